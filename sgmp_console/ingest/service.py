"""What `sgmp-console ingest` runs: batches from the broker into the database, acknowledged when they are committed.

The main thread stores, `subscriber`'s receives. While the database is away nothing is acknowledged: the broker keeps what
we have not taken, and our inbox is bounded whatever the broker sends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sgmp_console import store
from sgmp_console.backoff import delays
from sgmp_console.cloud.mqtt import BrokerSettings
from sgmp_console.ingest.health import Health
from sgmp_console.ingest.inbox import Inbox
from sgmp_console.ingest.refusals import Refusals
from sgmp_console.ingest.subscriber import Subscriber
from sgmp_console.ingest.writer import Statistics, Writer
from sgmp_console.monitoring.metrics import Service, served
from sgmp_console.retention import RAW_RETENTION_DAYS
from sgmp_console.store import checked_deployment

_log = logging.getLogger(__name__)

BATCH_MESSAGES = 500
"""A batch that has so many waits for no more; one of a long queue may have ten times as many."""

_MAX_BATCH_MESSAGES = 5_000
_MAX_BATCH_BYTES = 4 * 1024 * 1024
BATCH_AGE_S = 0.2
"""A message waits this long for others at most."""

_IDLE_WAIT_S = 0.5
_REPLAY_EVERY_S = 2.0
_REPLAY_RETRY_S = 30.0


@dataclass(frozen=True)
class IngestSettings:
    """`name` is the MQTT client id, different for each of several ingests; each of them needs the same `share_group` then.

    Raw readings are kept for `keep_days` (on TimescaleDB its retention policy says for how long).
    """

    deployment: str
    database_url: str = field(repr=False)
    broker: BrokerSettings
    name: str = ""
    share_group: str = field(default="", repr=False)
    keep_days: int = RAW_RETENTION_DAYS
    access_list: Path | None = None
    """Mosquitto's, in which houses that flood are refused; `reload` is the command that makes it read that again."""
    reload: Sequence[str] = ()
    metrics_port: int | None = None
    """Of 127.0.0.1, for Prometheus."""


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
        writer = Writer(settings.deployment, database)
        refusals = Refusals(settings.deployment, settings.access_list, settings.reload)
        health = Health(name, settings.deployment, database, writer, inbox, subscriber, refusals)
        with (
            closing(store.Maintenance(database, settings.keep_days)) as maintenance,
            served(Service.INGEST, settings.metrics_port, health.metrics),
        ):
            replay_at = time.monotonic()
            while not stop.is_set():
                messages = inbox.take(
                    BATCH_MESSAGES,
                    _MAX_BATCH_MESSAGES,
                    _MAX_BATCH_BYTES,
                    wait_s=_IDLE_WAIT_S,
                    fill_s=BATCH_AGE_S,
                )
                if messages:
                    subscriber.wake()
                    if not _until_done(partial(writer.write, messages), len(messages), stop, health):
                        break
                    subscriber.acknowledge(messages)
                if time.monotonic() >= replay_at:
                    replay_at = time.monotonic() + _replay(writer)
                maintenance.look()
                health.report_when_due()
        database.dispose()
        return writer.statistics
    finally:
        subscriber.stop()


def _replay(writer: Writer) -> float:
    """Read again some of what somebody asked for; seconds until it is to be tried again. Never holds up what arrives."""
    try:
        return 0.0 if writer.replay() else _REPLAY_EVERY_S
    except store.SignInRefused:
        raise
    except Exception as error:  # noqa: BLE001 - what is in quarantine can wait
        _log.warning("messages in quarantine could not be read again: %s", error)
        return _REPLAY_RETRY_S


def _open(url: str, stop: threading.Event) -> store.Database | None:
    """None where `stop` came first."""
    for delay_s in delays():
        try:
            return store.Database.connect(url, application="sgmp-ingest", pre_ping=False)
        except store.DatabaseUnavailable as error:
            _log.warning("%s", error)
        if stop.wait(delay_s):
            return None
    raise AssertionError("delays never end")


def _until_done(work: Callable[[], None], count: int, stop: threading.Event, health: Health) -> bool:
    """Store for as long as it takes, whatever hinders it; False where `stop` came first. Raises SignInRefused."""
    for delay_s in delays():
        began = time.monotonic()
        try:
            work()
        except store.SignInRefused:
            raise
        except Exception as error:  # noqa: BLE001 - nothing but the data may cost a message; Health makes it an alarm
            _log.warning("%d messages wait: %s", count, error)
            health.note_failure(error)
        else:
            health.note_stored(time.monotonic() - began)
            return True
        health.report_when_due()
        if stop.wait(delay_s):
            return False
    raise AssertionError("delays never end")
