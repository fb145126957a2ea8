"""From messages to rows in the database, each batch in one transaction."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console import store
from sgmp_console.ingest.decode import (
    Decoded,
    KnownDevices,
    UnknownSender,
    decode,
    house_of,
)
from sgmp_console.ingest.inbox import Message
from sgmp_console.measurements import OddField, Problem, Unreadable, storable_text
from sgmp_console.store import StatementFailed
from sgmp_edge import contract

_log = logging.getLogger(__name__)

_MAX_REPORTED = 10_000
"""Odd fields that are remembered as reported; the database recognizes the others."""

_MAX_NAMED = 3
"""Odd fields that one sentence names."""

_DAY_MS = 86_400_000


@dataclass
class Statistics:
    """Since the start. Times in ms."""

    messages: int = 0
    readings: int = 0
    repeated: int = 0
    texts: int = 0
    events: int = 0
    rejected: int = 0
    batches: int = 0
    delay_ms: int = 0
    """From arrival to commit, of the oldest message of the last batch."""
    newest_ms: int = 0
    """The newest timestamp of any reading, at most now."""


@dataclass
class _Heard:
    """The newest reading of a house, and how long it is until the next, as it seems. UTC ms, ms."""

    newest_ms: int
    interval_ms: int = 0
    offline: bool = False


class Writer:
    """Decodes messages and stores them; keeps what is needed for that between batches."""

    def __init__(self, deployment: str, database: store.Database) -> None:
        self._deployment = deployment
        self._database = database
        self._devices: KnownDevices = {}
        self._reported: set[str] = set()
        self._heard: dict[int, _Heard] = {}
        self._without_room: Counter[str] = Counter()
        self.statistics = Statistics()

    def write(self, messages: Sequence[Message]) -> None:
        """Store all of them, in one transaction if possible. What can't be read goes to quarantine.

        So does a message whose data the database refuses (SQLSTATE class 22 or 23): the batch is halved until it is
        alone. All other failures are raised and say nothing about the messages: to be tried again.
        """
        try:
            with self._database.begin() as connection:
                batch, rejected = self._decode(connection, messages)
                written = store.readings.write(connection, batch)
                left_out = self._left_out(messages, written.over_limit)
                _, without_room = store.quarantine.store(connection, [*rejected, *left_out])
        except StatementFailed as error:
            if not error.is_about_data:
                raise
            if len(messages) == 1:
                _log.exception("the database refuses the data of %s", messages[0].topic)
                self._quarantine(messages[0], f"The database refuses its data (SQLSTATE {error.sqlstate}).")
                return
            _log.warning("a batch of %d can't be stored whole: %s", len(messages), error)
            middle = len(messages) // 2
            self.write(messages[:middle])
            self.write(messages[middle:])
            return
        self._without_room.update(map(str, without_room))
        self._count(messages, batch, written, len(rejected))

    def late_houses(self, late_ms: int, polls: int, away_ms: int) -> list[int]:
        """Houses whose newest reading is older than `polls` of their intervals and `late_ms`, but not than `away_ms`, and
        whose edge has not said good-bye."""
        now_ms = int(time.time() * 1000)
        return [
            house_id
            for house_id, heard in sorted(self._heard.items())
            if not heard.offline and late_ms + polls * heard.interval_ms < now_ms - heard.newest_ms < away_ms
        ]

    def without_room(self) -> dict[str, int]:
        """Messages by house (0: none) for which quarantine had no room, since the start."""
        return dict(self._without_room)

    def _note_heard(self, batch: store.Batch) -> None:
        for row in batch.readings:
            heard = self._heard.setdefault(row.house_id, _Heard(row.timestamp_ms))
            if row.timestamp_ms > heard.newest_ms:
                heard.interval_ms = row.timestamp_ms - heard.newest_ms
                heard.newest_ms = row.timestamp_ms
                heard.offline = False
        for event in batch.events:
            if event.type == contract.EDGE_STATUS and event.house_id in self._heard:
                self._heard[event.house_id].offline = event.data.get("state") == "offline"

    def _decode(
        self, connection: sa.Connection, messages: Sequence[Message]
    ) -> tuple[store.Batch, list[store.Rejected]]:
        batch, rejected = store.Batch(), list[store.Rejected]()
        looked_up = False
        for message in messages:
            try:
                try:
                    content = self._read(message)
                except UnknownSender:
                    if looked_up:
                        raise
                    looked_up = True
                    self._devices = store.devices.known(connection)
                    content = self._read(message)
            except Unreadable as error:
                rejected.append(self._rejected(message, str(error)))
                continue
            _add(batch, content)
            if content.odd:
                rejected += self._odd(message, content.odd)
        return batch, rejected

    def _read(self, message: Message) -> Decoded:
        try:
            return decode(
                self._deployment, self._devices, message.topic, message.payload, message.received_ms
            )
        except Unreadable:
            raise
        except Exception as error:  # decoding is pure: whatever fails in it is the message's
            _log.exception("a message can't be decoded: %s", message.topic)
            raise Unreadable(f"It can't be decoded ({type(error).__name__}).") from error

    def _odd(self, message: Message, odd: Sequence[OddField]) -> list[store.Rejected]:
        """Fields that were left out: the whole message is kept, for the first of a device's day that has them."""
        device = message.topic.rsplit("/", 2)[0]
        day = message.received_ms // _DAY_MS
        new = [one for one in odd if f"{day} {device} {one.problem} {one.name}" not in self._reported]
        if not new:
            return []
        if len(self._reported) + len(new) > _MAX_REPORTED:
            self._reported.clear()
        self._reported.update(f"{day} {device} {one.problem} {one.name}" for one in new)
        more = f" And {len(new) - _MAX_NAMED} more." if len(new) > _MAX_NAMED else ""
        reason = f"Only part of it was stored. {' '.join(map(str, new[:_MAX_NAMED]))}{more}"
        once = f"{day} {device} {sorted((one.problem, one.name) for one in new)}"
        return [self._rejected(message, reason, once)]

    def _left_out(
        self, messages: Sequence[Message], devices: frozenset[tuple[int, int]]
    ) -> list[store.Rejected]:
        """The first message of each of these devices, which have too many fields."""
        rejected, reported = [], set()
        for message in messages:
            try:
                where = contract.parse_read_topic(self._deployment, message.topic)
            except contract.ContractError:
                continue
            device = (where.house_id, where.device_id)
            if device in devices and device not in reported and where.kind == "data":
                reported.add(device)
                rejected += self._odd(message, [OddField("", Problem.NO_SERIES)])
        return rejected

    def replay(self) -> bool:
        """Read again a message of the quarantine for which somebody asked; whether there was one. Raises as `write`."""
        with self._database.begin() as connection:
            asked = store.quarantine.to_replay(connection)
            if asked is None:
                return False
            number, topic, payload = asked
            try:
                with store.savepoint(connection):
                    reason = self._replay(connection, topic, payload)
            except StatementFailed as error:
                if not error.is_about_data:
                    raise
                reason = f"The database refuses its data (SQLSTATE {error.sqlstate})."
            store.quarantine.settle_replay(connection, number, reason)
        return True

    def _replay(self, connection: sa.Connection, topic: str, payload: bytes) -> str | None:
        """Why the message can't be stored whole; None where it is."""
        message = Message(topic, payload, int(time.time() * 1000))
        self._devices = store.devices.known(connection)
        try:
            content = self._read(message)
        except Unreadable as error:
            return str(error)
        batch = store.Batch()
        _add(batch, content)
        written = store.readings.write(connection, batch)
        odd = [*content.odd, *([OddField("", Problem.NO_SERIES)] if written.over_limit else [])]
        return f"Only part of it was stored. {' '.join(map(str, odd[:_MAX_NAMED]))}" if odd else None

    def _rejected(self, message: Message, reason: str, once: str = "") -> store.Rejected:
        house_id = house_of(self._deployment, message.topic)
        if (house_id, 0) not in self._devices:
            house_id = None
        return store.Rejected(
            message.received_ms, storable_text(message.topic), message.payload, reason, house_id, once
        )

    def _quarantine(self, message: Message, reason: str) -> None:
        with self._database.begin() as connection:
            _, without_room = store.quarantine.store(connection, [self._rejected(message, reason)])
        self._without_room.update(map(str, without_room))
        self.statistics.messages += 1
        self.statistics.rejected += 1

    def _count(
        self, messages: Sequence[Message], batch: store.Batch, written: store.Written, rejected: int
    ) -> None:
        known, now_ms = self.statistics, int(time.time() * 1000)
        known.messages += len(messages)
        known.batches += 1
        known.readings += written.readings
        known.repeated += written.repeated
        known.texts += written.texts
        known.events += written.events
        known.rejected += rejected
        self._note_heard(batch)
        known.delay_ms = now_ms - min(message.received_ms for message in messages)
        newest_ms = max((row.timestamp_ms for row in batch.readings), default=0)
        known.newest_ms = max(known.newest_ms, min(newest_ms, now_ms))


def _add(batch: store.Batch, content: Decoded) -> None:
    if content.reading is not None:
        batch.readings.append(content.reading)
    if content.texts is not None:
        batch.texts.append(content.texts)
    if content.event is not None:
        batch.events.append(content.event)
