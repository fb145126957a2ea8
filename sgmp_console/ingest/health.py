"""How ingest is doing: figures and alarms, for the console and the log.

Ingest may be connected, busy and useless at once: when what it stores was stored before, when one house takes all its
time, when houses whose edges are there no longer get through. So rates of new and of repeated readings are what counts.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sgmp_console import store
from sgmp_console.errors import SgmpError
from sgmp_console.ingest.inbox import Inbox, house_of_sender
from sgmp_console.ingest.refusals import Refusals
from sgmp_console.ingest.subscriber import Link, Subscriber
from sgmp_console.ingest.writer import Writer
from sgmp_console.monitoring.metrics import Figures
from sgmp_console.store.ingest_state import Alarm

_log = logging.getLogger(__name__)

_REPORT_EVERY_S = 5.0
_WINDOW_S = 60.0
"""Rates are over so long."""

_ALARM_AFTER_S = 60.0
"""What can't be stored for so long is an alarm, whatever hinders it."""

_LOG_AGAIN_S = 600.0
_REPEATED_SHARE = 0.95
_MIN_REPEATS = 200
"""In the window; a few repeats are an edge that connected again."""

FLOOD_PER_S = 200.0
"""Messages of one house, more than AWS IoT Core lets an edge publish (100), backlog included."""

_FLOOD_WINDOW_S = 10.0
_QUIET = FLOOD_PER_S * _REPORT_EVERY_S
_CATCHING_UP_S = 300.0
"""What comes fast after a connection, until it was quiet once, is what the broker had kept for us."""

_QUEUE_ALARM = 2_000_000
"""Messages that wait in the broker: a fifth of what `resources/mosquitto` lets it keep."""

_LATE_MS = 60_000
_LATE_POLLS = 5
_NOT_LATE_BUT_AWAY_MS = 3_600_000
"""A house that is silent for so long is shown as away everywhere."""


@dataclass(frozen=True)
class _Sample:
    at: float
    new: int
    repeated: int
    arrived: Mapping[str, int]


class Health:
    """Looked at by the main thread only."""

    def __init__(
        self,
        name: str,
        deployment: str,
        database: store.Database,
        writer: Writer,
        inbox: Inbox,
        subscriber: Subscriber,
        refusals: Refusals,
    ) -> None:
        self._name = name
        self._deployment = deployment
        self._database = database
        self._writer = writer
        self._inbox = inbox
        self._subscriber = subscriber
        self._refusals = refusals
        self._samples: deque[_Sample] = deque([_Sample(time.monotonic(), 0, 0, {})])
        self._reported = time.monotonic()
        self._logged: dict[Alarm, float] = {}
        self._failing_since: float | None = None
        self._failure = ""
        self._commit_s = 0.0
        self._metrics: Figures = {}
        self._caught_up_with: float | None = None
        self._counted: dict[Alarm, dict[str, int]] = {}

    def note_failure(self, error: Exception) -> None:
        """A batch can't be stored now."""
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        self._failure = str(error)[:300]

    def note_stored(self, seconds: float) -> None:
        """A batch was stored, in so many seconds."""
        self._failing_since = None
        self._commit_s += seconds

    def metrics(self) -> Figures:
        """As of the last report. Any thread may ask."""
        return self._metrics

    def report_when_due(self) -> None:
        """Every few seconds: figures to the console, alarms also to the log. A lost database is for the next batch to meet."""
        now = time.monotonic()
        if now - self._reported < _REPORT_EVERY_S:
            return
        self._reported = now
        self._take_sample(now)
        report = self._figures(now)
        alarms = self._alarms(now)
        report["alarms"] = {alarm.value: about for alarm, about in alarms.items()}
        self._log_alarms(now, alarms)
        self._metrics = self._measured(alarms)
        try:
            with self._database.begin() as connection:
                store.ingest_state.report(connection, self._name, report)
        except SgmpError as error:
            _log.warning("%s", error)
        except Exception:  # noqa: BLE001 - reporting must not end ingest
            _log.exception("could not report")

    def _take_sample(self, now: float) -> None:
        known = self._writer.statistics
        new = known.readings + known.texts + known.events
        arrived = self._inbox.arrived()
        self._samples.append(_Sample(now, new, known.repeated, arrived))
        since = self._subscriber.connected_since
        if since is not None and now - since > _REPORT_EVERY_S and sum(arrived.values()) < _QUIET:
            self._caught_up_with = since
        while len(self._samples) > 2 and self._samples[1].at <= now - _WINDOW_S:
            self._samples.popleft()

    def _figures(self, now: float) -> dict[str, Any]:
        first, last = self._samples[0], self._samples[-1]
        seconds = max(last.at - first.at, 1e-3)
        queue = self._subscriber.queue
        return {
            **vars(self._writer.statistics),
            "receiving": self._subscriber.receiving,
            "link": self._subscriber.link.value,
            "waiting": len(self._inbox),
            "new_per_s": round((last.new - first.new) / seconds, 1),
            "repeats_per_s": round((last.repeated - first.repeated) / seconds, 1),
            "queued": queue.queued,
            "dropped": queue.dropped,
        }

    def _measured(self, alarms: Mapping[Alarm, Any]) -> Figures:
        known, queue = self._writer.statistics, self._subscriber.queue
        figures: dict[str, float | Mapping[str, float]] = {
            "messages": known.messages,
            "readings": known.readings,
            "texts": known.texts,
            "events": known.events,
            "repeated": known.repeated,
            "rejected": known.rejected,
            "batches": known.batches,
            "commit_seconds": self._commit_s,
            "delay_seconds": known.delay_ms / 1000,
            "inbox_messages": len(self._inbox),
            "receiving": int(self._subscriber.receiving),
            "connections": self._subscriber.connections,
            "alarm": {alarm.value: int(alarm in alarms) for alarm in Alarm},
        }
        if known.newest_ms:
            figures["newest_reading_timestamp_seconds"] = known.newest_ms / 1000
        if queue.queued is not None:
            figures["broker_queued_messages"] = queue.queued
        if queue.dropped is not None:
            figures["broker_dropped_messages"] = queue.dropped
        return figures

    def _alarms(self, now: float) -> dict[Alarm, Any]:
        alarms: dict[Alarm, Any] = {}
        if self._failing_since is not None and now - self._failing_since >= _ALARM_AFTER_S:
            alarms[Alarm.NOT_STORING] = {
                "seconds": round(now - self._failing_since),
                "reason": self._failure,
            }
        if self._subscriber.pushed_off:
            alarms[Alarm.TAKEN_OVER] = {"name": self._name}
        if self._subscriber.link is Link.CERTIFICATE_EXPIRED:
            alarms[Alarm.CERTIFICATE_EXPIRED] = {}
        if self._only_repeats():
            alarms[Alarm.ONLY_REPEATS] = {}
        flooding = self._flooding(now)
        refused = self._refusals.look(flooding)
        if flooding:
            alarms[Alarm.FLOOD] = {"houses": {self._house(sender): rate for sender, rate in flooding.items()}}
        if refused:
            alarms[Alarm.REFUSED] = {"houses": [self._house(sender) for sender in refused]}
        if without := self._new(Alarm.WITHOUT_RECEIPT, self._subscriber.without_receipt()):
            alarms[Alarm.WITHOUT_RECEIPT] = {"houses": without}
        if without_room := self._new(Alarm.QUARANTINE_FULL, self._writer.without_room()):
            alarms[Alarm.QUARANTINE_FULL] = {"houses": without_room}
        if retained := self._new(Alarm.RETAINED, self._subscriber.retained()):
            alarms[Alarm.RETAINED] = {"houses": retained}
        queue = self._subscriber.queue
        if queue.dropped:
            alarms[Alarm.BROKER_DROPPED] = {"messages": queue.dropped}
        if (queue.queued or 0) > _QUEUE_ALARM:
            alarms[Alarm.BROKER_FILLING] = {"messages": queue.queued}
        if late := self._writer.late_houses(_LATE_MS, _LATE_POLLS, _NOT_LATE_BUT_AWAY_MS):
            alarms[Alarm.LATE_HOUSES] = {"houses": late}
        if not self._database.listeners_notified:
            alarms[Alarm.NOT_NOTIFYING] = {}
        return alarms

    def _only_repeats(self) -> bool:
        first, last = self._samples[0], self._samples[-1]
        repeated, new = last.repeated - first.repeated, last.new - first.new
        return (
            last.at - first.at >= _WINDOW_S - _REPORT_EVERY_S
            and repeated >= _MIN_REPEATS
            and repeated >= _REPEATED_SHARE * (repeated + new)
        )

    def _flooding(self, now: float) -> dict[str, float]:
        """Messages per second of clients that send too many."""
        since = self._subscriber.connected_since
        if since is None or (self._caught_up_with != since and now - since < _CATCHING_UP_S):
            return {}
        recent = [one for one in self._samples if one.at > now - _FLOOD_WINDOW_S]
        arrived: Counter[str] = Counter()
        for one in recent:
            arrived.update(one.arrived)
        seconds = _REPORT_EVERY_S * len(recent)
        return {
            sender: round(count / seconds, 1)
            for sender, count in arrived.most_common(10)
            if count / seconds > FLOOD_PER_S
        }

    def _new(self, alarm: Alarm, counts: dict[str, int]) -> dict[str, int]:
        """Since the last report, by house."""
        before, self._counted[alarm] = self._counted.get(alarm, {}), counts
        new = {sender: count - before.get(sender, 0) for sender, count in counts.items()}
        return {self._house(sender): count for sender, count in new.items() if count}

    def _house(self, sender: str) -> str:
        """Its number, as JSON keys are; foreign names as they are, shortened."""
        house_id = house_of_sender(self._deployment, sender)
        return sender[:64] if house_id is None else str(house_id)

    def _log_alarms(self, now: float, alarms: Mapping[Alarm, Any]) -> None:
        for alarm, about in alarms.items():
            if now - self._logged.get(alarm, -_LOG_AGAIN_S) >= _LOG_AGAIN_S:
                self._logged[alarm] = now
                _log.error("%s", store.ingest_state.sentence(alarm, about))
        for alarm in set(self._logged) - set(alarms):
            del self._logged[alarm]
            _log.info("over: %s", alarm.value)
