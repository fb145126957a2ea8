"""From a message to rows: pure, and total. Every message is read, or refused whole with the reason.

One odd field costs only itself: it is left out and named. A message of which nothing can be read is refused whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sgmp_console.measurements import (
    AHEAD_MS,
    EARLIEST_MS,
    OddField,
    Unreadable,
    flatten,
    json_type,
    parse,
    storable,
)
from sgmp_console.store import EventRow, ReadingRow, TextRow
from sgmp_edge import contract

KnownDevices = Mapping[tuple[int, int], str]
"""(house id, device id) -> device name, of all there are; device id 0 is the house's edge itself."""

_EVENT_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class UnknownSender(Unreadable):
    """The topic names a house or device that is not known; it may have been created just now."""


@dataclass(frozen=True)
class Decoded:
    """What one message holds; a message of nulls alone holds nothing. `odd`: the fields that were left out."""

    reading: ReadingRow | None = None
    texts: TextRow | None = None
    event: EventRow | None = None
    odd: tuple[OddField, ...] = ()


def decode(deployment: str, devices: KnownDevices, topic: str, payload: bytes, received_ms: int) -> Decoded:
    """Read a message of a `read_topic`. `received_ms`: UTC ms, by our clock. Raises Unreadable."""
    try:
        where = contract.parse_read_topic(deployment, topic)
    except contract.ContractError as error:
        raise Unreadable(f"The topic can't be read: {error}.") from None
    _check_sender(where, devices)
    _check_time(where.timestamp_ms, received_ms)
    content = parse(payload)
    if where.kind == "event":
        return _event(where, content)
    if where.device_id == contract.EDGE_DEVICE_ID:
        raise Unreadable("An edge reports events about itself, not readings.")
    found = flatten(content)
    if found.odd and not (found.values or found.texts):
        raise Unreadable(" ".join(map(str, found.odd[:3])))
    address = (where.house_id, where.device_id, where.device_name, where.timestamp_ms)
    return Decoded(
        reading=ReadingRow(*address, found.values) if found.values else None,
        texts=TextRow(*address, found.texts) if found.texts else None,
        odd=found.odd,
    )


def house_of(deployment: str, topic: str) -> int | None:
    """The house whose topic this is, by the part that the broker checks; None for any other topic."""
    parts = topic.split("/", 2)
    if len(parts) < 3 or parts[0] != f"{deployment}_read":
        return None
    try:
        return contract.house_id_of(deployment, parts[1])
    except contract.ContractError:
        return None


def _check_sender(where: contract.ReadTopic, devices: KnownDevices) -> None:
    name = devices.get((where.house_id, where.device_id))
    if name is None:
        if (where.house_id, contract.EDGE_DEVICE_ID) not in devices:
            raise UnknownSender(f"There is no house {where.house_id}.")
        raise UnknownSender(f"House {where.house_id} has no device {where.device_id} ({where.device_name}).")
    if name != where.device_name:
        raise Unreadable(
            f"Device {where.device_id} is called {name}, not {where.device_name}: Synchronize Configuration makes the "
            "edge know."
        )


def _check_time(timestamp_ms: int, received_ms: int) -> None:
    if timestamp_ms < EARLIEST_MS:
        raise Unreadable("Its time is before 2010: the edge's clock was not set.")
    if timestamp_ms > received_ms + AHEAD_MS:
        raise Unreadable(
            f"Its time is more than {AHEAD_MS // 60_000} minutes ahead of its reception: the edge's clock, or ours, is "
            "wrong."
        )


def _event(where: contract.ReadTopic, content: Mapping[str, Any]) -> Decoded:
    type_name = content.get("type")
    if not isinstance(type_name, str) or not _EVENT_TYPE.fullmatch(type_name):
        raise Unreadable("The event's `type` must be a name of letters, digits and underscores.")
    data = content.get("data")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise Unreadable(f"The event's `data` is a JSON {json_type(data)}, not an object.")
    kept, problems = storable(data)
    return Decoded(
        event=EventRow(
            where.house_id, where.device_id, where.device_name, where.timestamp_ms, type_name, kept
        ),
        odd=tuple(OddField("data", problem) for problem in dict.fromkeys(problems)),
    )
