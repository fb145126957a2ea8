"""What `sgmp-console ingest` runs: batches from the broker into the database, acknowledged when they are committed.

One thread of ours. While the database is away nothing is acknowledged: the broker keeps what it has not got rid of,
and sends us no more than `subscriber.IN_FLIGHT` ahead.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import sqlalchemy as sa

from sgmp_console import store
from sgmp_console.errors import SgmpError
from sgmp_console.ingest.decode import (
    Decoded,
    Directory,
    UnknownSender,
    Unreadable,
    decode,
    house_of,
    storable_text,
)
from sgmp_console.ingest.inbox import Inbox, Message
from sgmp_console.ingest.subscriber import BrokerSettings, Subscriber
from sgmp_console.store import checked_deployment

_log = logging.getLogger(__name__)

BATCH_MESSAGES = 500
BATCH_AGE_S = 0.2
"""A message waits this long for others at most."""

_IDLE_WAIT_S = 0.5
_REPORT_EVERY_S = 5.0
_FIRST_RETRY_S = 0.5
_LONGEST_RETRY_S = 15.0


@dataclass(frozen=True)
class IngestSettings:
    """`name` is the MQTT client id and tells several ingests apart; each of them needs the same `share_group` then.

    Raw readings are kept for `keep_days` (on TimescaleDB its retention policy says for how long).
    """

    deployment: str
    database_url: str = field(repr=False)
    broker: BrokerSettings
    name: str = ""
    share_group: str = ""
    keep_days: int = store.aggregates.RAW_RETENTION_DAYS


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
    """The newest timestamp of any reading."""


def run(settings: IngestSettings, stop: threading.Event) -> Statistics:
    """Receive and store until `stop` is set (looked at about twice a second).

    Waits for database and broker for as long as it takes, at the start and later. Raises SignInRefused where the
    database no longer accepts the password, UserError where settings or credentials can't be used.
    """
    checked_deployment(settings.deployment)
    name = settings.name or f"{settings.deployment}_ingest"
    inbox = Inbox()
    subscriber = Subscriber(settings.broker, settings.deployment, name, settings.share_group, inbox)
    # Before the database is there: from the first subscription on the broker keeps what we don't take.
    subscriber.start()
    try:
        database = _open(settings.database_url, stop)
        if database is None:
            return Statistics()
        with closing(store.Maintenance(database, settings.keep_days)) as maintenance:
            writer = Writer(settings.deployment, database)
            reported = time.monotonic()
            while not stop.is_set():
                messages = inbox.take(BATCH_MESSAGES, wait_s=_IDLE_WAIT_S, fill_s=BATCH_AGE_S)
                if messages:
                    if not _persist(writer, messages, stop):
                        break
                    subscriber.acknowledge(messages)
                maintenance.look()
                if time.monotonic() - reported >= _REPORT_EVERY_S:
                    reported = time.monotonic()
                    subscriber.ensure_subscribed()
                    writer.report(name, receiving=subscriber.receiving, waiting=len(inbox))
        database.dispose()
        return writer.statistics
    finally:
        subscriber.stop()


class Writer:
    """Decodes messages and stores them; keeps what is needed for that between batches."""

    def __init__(self, deployment: str, database: store.Database) -> None:
        self._deployment = deployment
        self._database = database
        self._directory: Directory = {}
        self.statistics = Statistics()

    def write(self, messages: Sequence[Message]) -> None:
        """Store all of them, in one transaction if possible. What can't be read or stored goes to quarantine.

        Raises DatabaseUnavailable; Refused where the database does not let this account do its work.
        """
        try:
            with self._database.begin() as connection:
                batch = self._decode(connection, messages)
                written = store.readings.write(connection, batch)
        except SgmpError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a message may hold, the stream must go on
            if len(messages) == 1:
                _log.exception("a message can't be stored and goes to quarantine: %s", messages[0].topic)
                self._quarantine(messages[0], f"It can't be stored: {type(error).__name__}.")
                return
            _log.warning("a batch of %d can't be stored whole: %s", len(messages), type(error).__name__)
            middle = len(messages) // 2
            self.write(messages[:middle])
            self.write(messages[middle:])
            return
        self._count(messages, batch, written)

    def report(self, name: str, *, receiving: bool, waiting: int) -> None:
        """Tell the console how ingest is doing; a database that is away is told by the next batch."""
        about = {**vars(self.statistics), "receiving": receiving, "waiting": waiting}
        try:
            with self._database.begin() as connection:
                store.ingest_state.report(connection, name, about)
        except SgmpError as error:
            _log.warning("%s", error)

    def _decode(self, connection: sa.Connection, messages: Sequence[Message]) -> store.Batch:
        batch = store.Batch()
        looked_up = False
        for message in messages:
            try:
                try:
                    content = self._read(message)
                except UnknownSender:
                    if looked_up:
                        raise
                    looked_up = True
                    self._directory = store.devices.known(connection)
                    content = self._read(message)
            except Unreadable as error:
                batch.rejected.append(self._rejected(message, str(error)))
                continue
            if content.reading is not None:
                batch.readings.append(content.reading)
            if content.texts is not None:
                batch.texts.append(content.texts)
            if content.event is not None:
                batch.events.append(content.event)
        return batch

    def _read(self, message: Message) -> Decoded:
        return decode(self._deployment, self._directory, message.topic, message.payload, message.received_ms)

    def _rejected(self, message: Message, reason: str) -> store.Rejected:
        house_id = house_of(self._deployment, message.topic)
        if (house_id, 0) not in self._directory:
            house_id = None
        return store.Rejected(
            message.received_ms, storable_text(message.topic), message.payload, reason, house_id
        )

    def _quarantine(self, message: Message, reason: str) -> None:
        with self._database.begin() as connection:
            store.readings.write(connection, store.Batch(rejected=[self._rejected(message, reason)]))
        self.statistics.messages += 1
        self.statistics.rejected += 1

    def _count(self, messages: Sequence[Message], batch: store.Batch, written: store.Written) -> None:
        known = self.statistics
        known.messages += len(messages)
        known.batches += 1
        known.readings += written.readings
        known.repeated += written.repeated
        known.texts += written.texts
        known.events += written.events
        known.rejected += len(batch.rejected)
        known.delay_ms = int(time.time() * 1000) - min(message.received_ms for message in messages)
        known.newest_ms = max([known.newest_ms, *(row.timestamp_ms for row in batch.readings)])


def _open(url: str, stop: threading.Event) -> store.Database | None:
    """None where `stop` came first."""
    for delay_s in _delays():
        try:
            return store.Database.connect(url, application="sgmp-ingest", pre_ping=False)
        except store.DatabaseUnavailable as error:
            _log.warning("%s", error)
        if stop.wait(delay_s):
            return None
    raise AssertionError("delays never end")


def _persist(writer: Writer, messages: Sequence[Message], stop: threading.Event) -> bool:
    """Store for as long as it takes; False where `stop` came first."""
    for delay_s in _delays():
        try:
            writer.write(messages)
        except store.SignInRefused:
            raise
        except SgmpError as error:
            _log.warning("%d messages wait: %s", len(messages), error)
        else:
            return True
        if stop.wait(delay_s):
            return False
    raise AssertionError("delays never end")


def _delays() -> Iterator[float]:
    """Seconds between attempts, without end: longer and longer, and never in step with others'."""
    delay = _FIRST_RETRY_S
    while True:
        yield delay * random.uniform(0.7, 1.3)  # noqa: S311 - no secret
        delay = min(delay * 2, _LONGEST_RETRY_S)
