"""What a house's certificate lets it do at the broker: Mosquitto's access list as it is applied, and AWS's policy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from awscrt.mqtt5 import PubackReasonCode

from sgmp_console.resources import resource
from sgmp_edge import contract
from sgmp_edge.contract import ReadTopic
from tests.mosquitto import TestBroker, TestClient, running_broker

A, B = 1, 11
"""House B's client id begins with house A's."""

Connect = Callable[..., TestClient]


def read_topics(house_id: int) -> list[str]:
    return [
        contract.read_topic("sgmp", ReadTopic(house_id, 5, "meter", 1_700_000_000_000, kind))
        for kind in ("data", "event")
    ]


def own_topics(house_id: int) -> list[str]:
    """What an edge may hear."""
    return [
        contract.config_topic("sgmp", house_id),
        contract.probe_topic("sgmp", house_id),
        contract.control_topic("sgmp", house_id, "battery"),
    ]


FORBIDDEN_FILTERS = [
    *own_topics(B),
    f"sgmp_config/{contract.client_id('sgmp', B)}/#",
    *("#", "+/#", "sgmp_config/#", "sgmp_config/+/devices", "sgmp_control/+/+", "sgmp_read/#"),
    *read_topics(B),
]


@pytest.fixture(scope="module")
def broker() -> Iterator[TestBroker]:
    with running_broker() as running:
        yield running


@pytest.fixture
def connect(broker: TestBroker) -> Iterator[Connect]:
    clients: list[TestClient] = []

    def connect(common_name: str) -> TestClient:
        client = TestClient(broker, broker.files_for(common_name), common_name)
        clients.append(client)
        client.wait_connected()
        return client

    yield connect
    for client in clients:
        client.close()


def test_a_house_publishes_readings_and_events_of_its_own_and_nothing_else(connect: Connect) -> None:
    connect("sgmp_ingest").subscribe(contract.read_filter("sgmp"))
    house = connect(contract.client_id("sgmp", A))
    for topic in read_topics(A):
        assert house.publish(topic, b"{}") == PubackReasonCode.SUCCESS
    for topic in (*read_topics(B), *own_topics(B), *own_topics(A), "sgmp_read", "elsewhere"):
        assert house.publish(topic, b"forged") == PubackReasonCode.NOT_AUTHORIZED, topic


def test_a_house_hears_its_own_configuration_and_commands_and_nothing_else(connect: Connect) -> None:
    house = connect(contract.client_id("sgmp", A))
    for topic_filter in (*FORBIDDEN_FILTERS, *own_topics(A)):
        house.subscribe(topic_filter)
    console, other = connect("sgmp_console"), connect(contract.client_id("sgmp", B))
    for topic in own_topics(B):
        console.publish(topic, b"of house B")
    for topic in read_topics(B):
        other.publish(topic, b"of house B")
    expected = {(topic, b"of house A") for topic in own_topics(A)}
    for topic, payload in sorted(expected):
        console.publish(topic, payload)
    heard: set[tuple[str, bytes]] = set()
    while not expected <= heard:  # ends, or the client's wait does
        heard.add(house.next_message())
    assert heard == expected


# --- AWS IoT Core ----------------------------------------------------------------------------------------------------

THING = "${iot:Connection.Thing.ThingName}"


def policy_statements() -> list[dict[str, Any]]:
    text = resource("aws/edge_policy.json").read_text("utf-8")
    for name, value in {"deployment": "sgmp", "region": "eu-central-1", "account": "123456789012"}.items():
        text = text.replace(f"${{{name}}}", value)
    statements: list[dict[str, Any]] = json.loads(text)["Statement"]
    return statements


def resources_of(action: str) -> list[str]:
    """The resources of an action, without their ARN prefix."""
    found: list[str] = []
    for statement in policy_statements():
        assert statement["Effect"] == "Allow"
        if statement["Action"] == action:
            named = statement["Resource"]
            found += [named] if isinstance(named, str) else named
    return [re.fullmatch(r"arn:aws:iot:eu-central-1:123456789012:(.+)", name)[1] for name in found]  # type: ignore[index]


def may(house_id: int, action: str, what: str) -> bool:
    """Whether the policy lets the thing of a house do that, as AWS IoT evaluates it: `*` is any text, and in a
    subscription's resource `+` and `#` are characters like others."""
    thing = contract.client_id("sgmp", house_id)
    patterns = [name.replace(THING, thing) for name in resources_of(action)]
    return any(fnmatchcase(what, re.sub(r"[?\[]", "[\\g<0>]", pattern)) for pattern in patterns)


def as_listed(resources: list[str], kind: str) -> set[str]:
    """Resources of the policy as the access list writes them: device, name and time are one `*` there."""
    topics = (name.removeprefix(f"{kind}/").replace(THING, "%u") for name in resources)
    return {re.sub(r"/\*$", "/#", topic).replace("/*/", "/+/+/+/") for topic in topics}


def test_the_policy_gives_a_thing_what_the_access_list_gives_a_house() -> None:
    rules = resource("mosquitto/acl").read_text("utf-8").replace("${deployment}", "sgmp")
    listed = re.findall(r"^pattern (write|read) (\S+)$", rules, re.MULTILINE)
    written = {topic for access, topic in listed if access == "write"}
    read = {topic for access, topic in listed if access == "read"}
    assert as_listed(resources_of("iot:Publish"), "topic") == written
    assert as_listed(resources_of("iot:Subscribe"), "topicfilter") == read
    assert as_listed(resources_of("iot:Receive"), "topic") == read
    assert {statement["Action"] for statement in policy_statements()} == {
        "iot:Connect",
        "iot:Publish",
        "iot:Subscribe",
        "iot:Receive",
    }


def test_a_certificate_connects_only_as_the_thing_it_is_attached_to() -> None:
    (statement,) = (each for each in policy_statements() if each["Action"] == "iot:Connect")
    assert statement["Condition"] == {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}
    assert may(A, "iot:Connect", "client/sgmp_house_1")
    assert not may(A, "iot:Connect", "client/sgmp_house_11")


def test_the_policy_lets_an_edge_do_all_that_it_does() -> None:
    for topic in read_topics(A):
        assert may(A, "iot:Publish", f"topic/{topic}")
    for topic in own_topics(A):
        assert may(A, "iot:Receive", f"topic/{topic}")
    for topic_filter in (*own_topics(A), contract.control_topic("sgmp", A, "+")):
        assert may(A, "iot:Subscribe", f"topicfilter/{topic_filter}")


def test_the_policy_keeps_houses_apart() -> None:
    for topic in (*read_topics(B), *own_topics(B), *own_topics(A)):
        assert not may(A, "iot:Publish", f"topic/{topic}"), topic
    for topic_filter in FORBIDDEN_FILTERS:
        assert not may(A, "iot:Subscribe", f"topicfilter/{topic_filter}"), topic_filter
    for topic in (*own_topics(B), *read_topics(A)):
        assert not may(A, "iot:Receive", f"topic/{topic}"), topic
