"""A new configuration: whole or not at all, answered for, and never at the cost of what runs."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_edge import configuration, contract
from sgmp_edge.configuration import Configuration
from sgmp_edge.contract import DeviceConfig
from sgmp_edge.polling.drivers import Catalogue
from tests.edge.house import TYPES

pytestmark = pytest.mark.expected_warnings("A configuration was rejected", "Of the stored configuration")


DOCUMENTS = 40_000
METER = DeviceConfig(1, "egauge", "egauge", {"ip": "10.0.0.2", "keys": ["A.Solar"]})
BATTERY = DeviceConfig(2, "sonnen", "sonnen", {"ip": "10.0.0.3", "serial": "1", "token": "s3cret-token"})


class Edge:
    """A configuration in a folder, with what it applied and reported."""

    def __init__(self, folder: Path, states: Mapping[str, str] | None = None) -> None:
        self.file = folder / "devices.json"
        self.applied: list[tuple[DeviceConfig, ...]] = []
        self.reports: list[tuple[str, Mapping[str, Any]]] = []
        self.states: dict[str, str] = dict(states or {})
        self.configuration = Configuration(
            self.file,
            Catalogue(TYPES),
            apply=self._apply,
            report=self._report,
            states=self.states,
        )
        self.configuration.start()

    def receive(self, payload: bytes, *, retained: bool = False) -> None:
        self.configuration.receive(payload, retained=retained)

    def _apply(self, devices: Sequence[DeviceConfig]) -> None:
        self.applied.append(tuple(devices))

    def _report(self, kind: str, data: Mapping[str, Any], states: Mapping[str, str | None]) -> None:
        self.reports.append((kind, data))
        self.states.update({key: value for key, value in states.items() if value is not None})


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


def test_a_versioned_document_is_stored_applied_and_confirmed(edge: Edge) -> None:
    document = contract.dump_config(7, [METER, BATTERY])
    edge.receive(document)
    assert edge.file.read_bytes() == document
    assert edge.applied == [(METER, BATTERY)]
    sha256 = contract.devices_sha256([METER, BATTERY])
    assert edge.reports == [("CONFIG_APPLIED", {"version": 7, "sha256": sha256})]


def test_the_bare_list_of_old_is_taken_too(edge: Edge) -> None:
    rows = [{"device_id": 1, "name": "egauge", "type": "egauge", "config": dict(METER.config)}]
    edge.receive(json.dumps(rows).encode())
    assert edge.applied == [(METER,)]
    assert edge.reports[0][1]["version"] is None


def test_only_the_owner_can_read_the_stored_configuration(edge: Edge) -> None:
    edge.receive(contract.dump_config(1, [BATTERY]))
    assert edge.file.stat().st_mode & 0o077 == 0


def test_after_a_restart_the_same_devices_run_without_a_connection(edge: Edge, tmp_path: Path) -> None:
    edge.receive(contract.dump_config(1, [METER]))
    again = Edge(tmp_path, edge.states)
    assert again.applied == [(METER,)]
    assert again.reports == []


def test_the_retained_document_is_confirmed_once_and_a_new_publication_of_it_again(
    edge: Edge, tmp_path: Path
) -> None:
    document = contract.dump_config(1, [METER])
    edge.receive(document, retained=True)
    edge.receive(document, retained=True)
    assert len(edge.reports) == 1
    again = Edge(tmp_path, edge.states)
    again.receive(document, retained=True)
    assert again.reports == []
    again.receive(document)
    assert [kind for kind, _ in again.reports] == ["CONFIG_APPLIED"]
    assert again.applied == [(METER,)]


def test_a_roll_back_is_a_new_version_and_confirmed_as_such(edge: Edge) -> None:
    edge.receive(contract.dump_config(1, [METER]))
    edge.receive(contract.dump_config(2, [METER, BATTERY]))
    edge.receive(contract.dump_config(3, [METER]))
    assert edge.applied == [(METER,), (METER, BATTERY), (METER,)]
    assert [data["version"] for _, data in edge.reports] == [1, 2, 3]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"5", "must be a list"),
        (b'{"devices": []}', "`version`"),
        (b'{"version": 2, "sha256": "wrong", "devices": []}', "`sha256` does not match"),
        (b'[{"device_id": 1, "name": "a", "type": "toaster", "config": {}}]', "unknown type 'toaster'"),
        (b'[{"device_id": "1", "name": "a", "type": "egauge", "config": {}}]', "`device_id`"),
        (b'[{"device_id": 1, "name": "1a", "type": "egauge", "config": {}}]', "starts with a letter"),
        (b'[{"device_id": 1, "name": "a", "type": "egauge", "config": []}]', "JSON object"),
        (b'[{"device_id": 1, "name": "a", "type": "egauge", "config": {"ip": 5}}]', "`ip`"),
        (b'[{"device_id": 1, "name": "a", "type": "scripted", "config": {"x": 1e999}}]', "JSON can't carry"),
        (
            b'[{"device_id": 1, "name": "a", "type": "scripted", "config": {"x": "\\ud800"}}]',
            "JSON can't carry",
        ),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_a_wrong_document_leaves_what_runs_and_is_reported_with_the_reason(
    edge: Edge, document: bytes, reason: str
) -> None:
    good = contract.dump_config(1, [METER])
    edge.receive(good)
    edge.receive(document)
    assert edge.applied == [(METER,)]
    assert edge.file.read_bytes() == good
    kind, data = edge.reports[-1]
    assert kind == "CONFIG_REJECTED"
    assert reason in data["reason"]


def test_a_rejection_names_the_version_that_was_rejected(edge: Edge) -> None:
    body = {"version": 9, "sha256": "0" * 64, "devices": []}
    edge.receive(json.dumps(body).encode())
    assert edge.reports[-1][1]["version"] == 9


def test_two_devices_of_one_name_or_id_are_rejected(edge: Edge) -> None:
    twin = DeviceConfig(2, "egauge", "egauge", METER.config)
    edge.receive(contract.dump_config(1, [METER, twin]))
    assert "two devices have the name 'egauge'" in edge.reports[-1][1]["reason"]
    edge.receive(contract.dump_config(1, [METER, DeviceConfig(1, "other", "egauge", METER.config)]))
    assert "two devices have the device_id 1" in edge.reports[-1][1]["reason"]


def test_a_document_that_stays_wrong_is_reported_once(edge: Edge) -> None:
    for _ in range(5):
        edge.receive(b"{", retained=True)
    assert len(edge.reports) == 1


def test_no_secret_is_in_a_rejection(edge: Edge) -> None:
    config = {**BATTERY.config, "s3cret-key": "s3cret-value", "token": ["s3cret-token"]}
    edge.receive(json.dumps([{"device_id": 2, "name": "b", "type": "sonnen", "config": config}]).encode())
    edge.receive(
        json.dumps([{"device_id": 2, "name": "b", "type": "sonnen", "config": {"token": 5}}]).encode()
    )
    texts = json.dumps(edge.reports)
    assert "s3cret-token" not in texts
    assert "s3cret-value" not in texts


def test_a_document_that_cannot_be_stored_is_not_applied(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    edge.receive(contract.dump_config(1, [METER]))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(configuration, "replace_file", full)
        edge.receive(contract.dump_config(2, [BATTERY]), retained=True)
    assert edge.applied == [(METER,)]
    assert edge.reports[-1][0] == "CONFIG_REJECTED"
    assert "No space left" in edge.reports[-1][1]["reason"]
    edge.receive(contract.dump_config(2, [BATTERY]), retained=True)
    assert edge.applied[-1] == (BATTERY,)


def test_an_emptied_topic_takes_no_device_away(edge: Edge) -> None:
    edge.receive(contract.dump_config(1, [METER]))
    edge.receive(b"")
    assert edge.applied == [(METER,)]


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 100, b"[5]", b'{"devices": 5}'])
def test_a_damaged_stored_configuration_is_reported_and_the_next_one_taken(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "devices.json").write_bytes(content)
    edge = Edge(tmp_path)
    assert edge.applied == [], "which would make the drivers forget"
    assert edge.reports[-1][0] == "CONFIG_REJECTED"
    edge.receive(contract.dump_config(1, [METER]), retained=True)
    assert edge.applied[-1] == (METER,)
    assert edge.reports[-1][0] == "CONFIG_APPLIED"


def test_of_a_stored_configuration_that_another_software_wrote_the_known_devices_run(tmp_path: Path) -> None:
    rows = [
        {"device_id": 1, "name": "egauge", "type": "egauge", "config": dict(METER.config)},
        {"device_id": 2, "name": "new", "type": "type_of_next_year", "config": {}},
        {"device_id": 1, "name": "twin", "type": "egauge", "config": dict(METER.config)},
        "nonsense",
    ]
    (tmp_path / "devices.json").write_text(json.dumps({"version": 3, "devices": rows}))
    edge = Edge(tmp_path)
    assert edge.applied == [(METER,)]
    assert "type_of_next_year" in edge.reports[-1][1]["reason"]


# --- Fuzz ---------------------------------------------------------------------------------------------------------


def broken_documents(count: int, chance: random.Random) -> list[bytes]:
    """Documents near a valid one: bytes flipped, cut, doubled, values swapped for others."""
    good = contract.dump_config(5, [METER, BATTERY])
    values: list[Any] = [
        None,
        True,
        -1,
        0,
        1.5,
        1e308,
        "",
        "x",
        [],
        {},
        [[]],
        "\x00",
        10**30,
        "egauge",
        "events",
        "a" * 1000,
    ]
    documents = []
    for number in range(count):
        if number % 3 == 0:
            content = bytearray(good)
            for _ in range(chance.randrange(1, 4)):
                content[chance.randrange(len(content))] = chance.randrange(256)
            documents.append(bytes(content))
        elif number % 3 == 1:
            start = chance.randrange(len(good))
            documents.append(good[:start] + good[chance.randrange(len(good)) :])
        else:
            body = json.loads(good)
            target: Any = chance.choice(
                [body, body["devices"][0], body["devices"][0]["config"], body["devices"][1]]
            )
            target[chance.choice(list(target))] = chance.choice(values)
            documents.append(json.dumps(body).encode())
    return documents


def test_forty_thousand_broken_documents_change_nothing_unless_they_are_valid(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    edge = Edge(tmp_path)
    edge.receive(contract.dump_config(1, [METER]))
    valid = 0
    for document in broken_documents(DOCUMENTS, random.Random(4)):
        before = len(edge.applied)
        edge.receive(document, retained=True)
        if len(edge.applied) > before:
            valid += 1
            parsed = contract.parse_config(document)
            assert edge.applied[-1] == parsed.devices
            assert edge.file.read_bytes() == document
    assert len(edge.reports) > 30_000
    assert len(edge.applied) == valid + 1
    assert 0 < valid < DOCUMENTS / 10


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_rejection(content: bytes) -> None:
    for parse in (contract.parse_config, contract.parse_command, contract.parse_probe):
        with suppress(contract.ContractError):
            parse(content)
    configuration.claims(content)


def test_a_rejection_names_code_device_and_setting() -> None:
    def rejection(row: dict[str, Any]) -> contract.ContractError:
        with pytest.raises(contract.ContractError) as caught:
            contract.parse_config(json.dumps([row]).encode())
        return caught.value

    meter = {"device_id": 1, "name": "meter", "type": "egauge", "config": {"ip": "10.0.0.9", "keys": ["A.L"]}}
    wrong = rejection({**meter, "config": {"ip": 5, "keys": ["A.L"]}})
    assert (wrong.code, wrong.device, wrong.setting, wrong.problem) == (
        contract.RejectionCode.WRONG_SETTING,
        "meter",
        "ip",
        contract.ProblemCode.WRONG_TYPE,
    )
    assert rejection({**meter, "type": "toaster"}).code is contract.RejectionCode.UNKNOWN_TYPE
    assert rejection({**meter, "name": "9"}).code is contract.RejectionCode.WRONG_NAME
    with pytest.raises(contract.ContractError) as caught:
        contract.parse_config(b"{")
    assert caught.value.code is contract.RejectionCode.INVALID_JSON
