"""Client ids and topics."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .vocabulary import DEVICE_NAME, EDGE_DEVICE_NAME, ContractError

_HOUSE_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_DEVICE_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_MILLISECONDS = re.compile(r"([0-9]{1,15})(\.0{1,6})?", re.ASCII)
"""Edges that are deployed since before this contract write `1750000000000.0`."""


_DEPLOYMENT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")


def is_deployment(name: object) -> bool:
    """Whether a deployment can have this name, which stands in topics, client ids and the names of PostgreSQL's roles."""
    return isinstance(name, str) and _DEPLOYMENT.fullmatch(name) is not None


def client_id(deployment: str, house_id: int) -> str:
    """The MQTT client id, thing name and certificate CN of a house's edge."""
    return f"{deployment}_house_{house_id}"


def house_id_of(deployment: str, client: str) -> int:
    """The house of a client id. Raises ContractError for any other text."""
    prefix, number = f"{deployment}_house_", client.rpartition("_")[2]
    if client != prefix + number or not _HOUSE_NUMBER.fullmatch(number):
        raise ContractError(f"client id {client!r} is not {deployment}_house_<number>")
    return int(number)


@dataclass(frozen=True)
class ReadTopic:
    """`<deployment>_read/<client_id>/<device_id>/<device_name>/<timestamp_ms>/<kind>`, kind `data` or `event`."""

    house_id: int
    device_id: int
    device_name: str
    timestamp_ms: int
    kind: str


def read_topic(deployment: str, where: ReadTopic) -> str:
    client = client_id(deployment, where.house_id)
    return (
        f"{deployment}_read/{client}/{where.device_id}/{where.device_name}/{where.timestamp_ms}/{where.kind}"
    )


def parse_read_topic(deployment: str, topic: str) -> ReadTopic:
    """Take a topic apart. Raises ContractError saying which part is wrong."""
    parts = topic.split("/")
    if len(parts) != 6 or parts[0] != f"{deployment}_read":
        raise ContractError(f"not a {deployment}_read topic of six parts: {topic[:200]!r}")
    _, client, device_id, device_name, timestamp, kind = parts
    if kind not in ("data", "event"):
        raise ContractError(f"a topic ends with data or event, not {kind[:40]!r}")
    if not _DEVICE_NUMBER.fullmatch(device_id):
        raise ContractError(f"device id {device_id[:40]!r} is not a number")
    milliseconds = _MILLISECONDS.fullmatch(timestamp)
    if milliseconds is None:
        raise ContractError(f"timestamp {timestamp[:40]!r} is not a number of milliseconds")
    if device_name != EDGE_DEVICE_NAME and not DEVICE_NAME.fullmatch(device_name):
        raise ContractError(f"device name {device_name[:80]!r} breaks the naming rule")
    return ReadTopic(house_id_of(deployment, client), int(device_id), device_name, int(milliseconds[1]), kind)


def read_filter(deployment: str, client: str = "+") -> str:
    """The topics of what all edges publish, or the edge with this client id."""
    return f"{deployment}_read/{client}/+/+/+/+"


def config_topic(deployment: str, house_id: int) -> str:
    return f"{deployment}_config/{client_id(deployment, house_id)}/devices"


def probe_topic(deployment: str, house_id: int) -> str:
    return f"{deployment}_config/{client_id(deployment, house_id)}/probe"


def control_topic(deployment: str, house_id: int, device_name: str) -> str:
    return f"{deployment}_control/{client_id(deployment, house_id)}/{device_name}"
