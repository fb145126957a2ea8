"""Test: one read of a device by its house's edge, without adopting it.

The request goes over the broker to the edge, the answer comes as an event through ingest into the database. So three
things can be in the way, and are distinguished: the broker does not take the request (BrokerUnavailable, BrokerRefused), the
edge does not answer (EdgeAway), or the edge answers what came of the device (ProbeResult).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Protocol

import sqlalchemy as sa

from sgmp_console.errors import Refused, Unavailable, UserError
from sgmp_console.fleet.devices import MASK, check
from sgmp_console.fleet.edge_state import EdgeStanding, Presence, standing
from sgmp_console.measurements import flatten
from sgmp_console.store import (
    Change,
    Database,
    Reconnected,
    devices,
    events,
    houses,
    ingest_state,
    listen,
    permissions,
    savepoint,
)
from sgmp_edge import contract
from sgmp_edge.contract import Outcome

ANSWER_WITHIN_S = 45.0
"""The edge gives a device 30 s, and as much as that may be waiting before it."""

_ASKED_AGAIN_S = 15.0
"""An edge that connects just now may have missed the request. Of one that it is busy with it ignores the repetition."""

_CLOCKS_MS = 24 * 3_600_000
"""The answer carries the edge's time, which may differ from ours by as much as ingest takes."""

_INGEST_SILENT_MS = 30_000


class RequestingBroker(Protocol):
    """What is needed of `cloud.broker.Broker`."""

    def publish_once(self, topic: str, payload: bytes, *, expires_s: int, timeout_s: float = ...) -> None: ...


class EdgeAway(Unavailable):
    """The edge does not answer. `standing`: what is known of it; `ingest_silent`: answers could not arrive anyway."""

    def __init__(self, sentence: str, standing: EdgeStanding, *, ingest_silent: bool = False) -> None:
        super().__init__(sentence)
        self.standing = standing
        self.ingest_silent = ingest_silent


@dataclass(frozen=True)
class ReadValue:
    """A field as it would be stored: a number with its unit ("" where it has none), or a text."""

    field: str
    value: float | str
    unit: str


@dataclass(frozen=True)
class ProbeResult:
    """What came of the device. `outcome` is what the edge reports (docs/edge.md), `text` its reason, `headline` and `advice`
    say both in sentences; `values` in order of field, where it was read."""

    outcome: Outcome
    headline: str
    text: str
    advice: str
    values: tuple[ReadValue, ...] = ()

    @property
    def is_ok(self) -> bool:
        return self.outcome is Outcome.OK


_WORDS: Mapping[Outcome, tuple[str, str]] = {
    # outcome: (headline, what to do)
    Outcome.OK: ("The device answers", ""),
    Outcome.UNREACHABLE: (
        "The edge can't reach the device",
        "Check its address, that it is switched on, and that it is in the same network as the Raspberry Pi.",
    ),
    Outcome.TIMED_OUT: (
        "The device did not answer in time",
        "Check its address and that nothing between the Raspberry Pi and the device blocks the connection; then test "
        "again.",
    ),
    Outcome.UNAUTHORIZED: (
        "The device does not accept the credentials",
        "Check user name, password or token in the config.",
    ),
    Outcome.BAD_ANSWER: (
        "Something answers that is not this kind of device",
        "Check that the address belongs to this device, and that the type is right.",
    ),
    Outcome.NOT_READY: (
        "The device answers, but has no values yet",
        "It may be starting. Test again in a minute.",
    ),
    Outcome.REFUSED: ("The edge did not run the test", ""),
    Outcome.ERROR: ("The device could not be read", "The edge's log on the Raspberry Pi says more."),
}


def probe(
    database: Database,
    broker: RequestingBroker,
    deployment: str,
    house_id: int,
    kind: str,
    config: Mapping[str, Any],
    *,
    device_id: int | None = None,
    waiting: Callable[[], None] = lambda: None,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    answer_within_s: float = ANSWER_WITHIN_S,
) -> ProbeResult:
    """Have a house's edge read a device of type `kind` with this config once. Blocks for up to `answer_within_s` seconds.

    Secrets that are masked in `config` are those stored for the device `device_id`: they are looked up, which is
    recorded, where the account may see them. `waiting` is called several times a second and may raise Cancelled. Raises
    DeviceError (type or config), Refused, UserError (a masked secret that can't be looked up), BrokerUnavailable,
    BrokerRefused, EdgeAway.
    """
    with database.begin() as connection:
        _require(connection)
        house = houses.get(connection, house_id)
        edge = standing(connection, house_id, now_ms())
        config = _unmasked(connection, house_id, device_id, kind, config)
    check("under test", kind, config)
    if edge.presence in (Presence.OFFLINE, Presence.STOPPED):
        raise EdgeAway(f"The edge of {house.name} is offline, so no device can be tested there now.", edge)
    request = uuid.uuid4().hex
    payload = contract.dump_probe(contract.Probe(request, kind, config))
    with closing(listen(database)) as changes:
        # First listen, then ask: no answer is missed.
        _until_listening(changes, waiting)
        asked_ms = now_ms()

        def ask() -> None:
            topic = contract.probe_topic(deployment, house_id)
            broker.publish_once(topic, payload, expires_s=max(1, round(answer_within_s)))

        answer = _answer(database, changes, house_id, request, asked_ms, ask, waiting, answer_within_s)
    if answer is None:
        raise _away(database, house_id, house.name, now_ms(), answer_within_s)
    return result_of(kind, answer)


def result_of(kind: str, answer: Mapping[str, Any]) -> ProbeResult:
    """A PROBE_RESULT's data in words and values; whatever an edge says can be read."""
    outcome = Outcome.of(answer.get("outcome"))
    headline, advice = _WORDS.get(outcome, _WORDS[Outcome.ERROR])
    result = ProbeResult(outcome, headline, str(answer.get("text") or ""), advice)
    reading = answer.get("reading")
    if not isinstance(reading, dict):
        return result
    read = flatten(reading)
    if read.odd and not (read.values or read.texts):
        return replace(
            result,
            outcome=Outcome.BAD_ANSWER,
            headline="The device answers, but not with values that can be stored",
            text=str(read.odd[0]),
            advice="The driver of this device type must be repaired.",
        )
    declared = contract.device_types().get(kind)
    fields: dict[str, float | str] = {**read.values, **read.texts}
    values = [
        ReadValue(field, value, declared.unit_of(field) if declared else "")
        for field, value in sorted(fields.items())
    ]
    return replace(result, values=tuple(values))


def _require(connection: sa.Connection) -> None:
    if not permissions.has(connection, "manage_devices"):
        raise Refused(
            "Your role does not have the permission manage_devices, which testing needs. An administrator can give it."
        )


def _unmasked(
    connection: sa.Connection,
    house_id: int,
    device_id: int | None,
    kind: str,
    config: Mapping[str, Any],
) -> Mapping[str, Any]:
    masked = sorted(key for key, value in config.items() if value == MASK)
    if not masked:
        return config
    stored: Mapping[str, Any] = {}
    if device_id is not None:
        device = devices.get(connection, device_id)
        if device.house_id == house_id and device.type == kind:
            try:
                with savepoint(connection):
                    stored = devices.reveal(connection, device_id)
            except Refused as error:
                raise UserError(
                    f"{_listed(masked)} must be typed for the test: your account may not see what is stored."
                ) from error
    missing = [key for key in masked if key not in stored]
    if missing:
        raise UserError(f"{_listed(missing)} must be typed for the test: nothing is stored under this name.")
    return {**config, **{key: stored[key] for key in masked}}


def _listed(keys: list[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _until_listening(changes: Iterator[Change | Reconnected | None], waiting: Callable[[], None]) -> None:
    for change in changes:
        waiting()
        if isinstance(change, Reconnected):
            return


def _answer(
    database: Database,
    changes: Iterator[Change | Reconnected | None],
    house_id: int,
    request: str,
    asked_ms: int,
    ask: Callable[[], None],
    waiting: Callable[[], None],
    answer_within_s: float,
) -> Mapping[str, Any] | None:
    ask()
    deadline = time.monotonic() + answer_within_s
    again = time.monotonic() + _ASKED_AGAIN_S
    for change in changes:
        waiting()
        if time.monotonic() >= again:
            again += _ASKED_AGAIN_S
            ask()
        if isinstance(change, Reconnected) or (isinstance(change, Change) and change.house_id == house_id):
            answer = _stored_answer(database, house_id, request, asked_ms)
            if answer is not None:
                return answer
        if time.monotonic() >= deadline:
            break
    return _stored_answer(database, house_id, request, asked_ms)


def _stored_answer(
    database: Database, house_id: int, request: str, asked_ms: int
) -> Mapping[str, Any] | None:
    with database.begin() as connection:
        found = events.read(
            connection,
            house_id,
            asked_ms - _CLOCKS_MS,
            asked_ms + _CLOCKS_MS,
            devices=(contract.EDGE_DEVICE_NAME,),
            types=(contract.PROBE_RESULT,),
        )
    return next((event.data for event in found if event.data.get("request") == request), None)


def _away(database: Database, house_id: int, house: str, now_ms: int, waited_s: float) -> EdgeAway:
    with database.begin() as connection:
        edge = standing(connection, house_id, now_ms)
        ingests = ingest_state.read(connection)
    silent = not any(now_ms - one.updated_ms <= _INGEST_SILENT_MS for one in ingests)
    why = (
        " Ingest does not report either: while it does not run, no answer can arrive."
        if silent
        else " It may be offline, or have lost its connection a moment ago."
    )
    return EdgeAway(
        f"The edge of {house} did not answer within {waited_s:.0f} s.{why}", edge, ingest_silent=silent
    )
