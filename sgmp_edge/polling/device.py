"""One device that is being polled: its driver, the thread that the driver runs on, its health and its gaps."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from sgmp_edge import contract
from sgmp_edge.backoff import BackOff
from sgmp_edge.contract import Outcome
from sgmp_edge.delivery.outbox import Message
from sgmp_edge.threads import Loop

from . import drivers
from .drivers import CallResult, Catalogue, Redactor
from .health import Health

log = logging.getLogger(__name__)

HUNG_AFTER_S = 30.0
"""A call of a driver that takes longer counts as failed, though nothing can end it."""
GAP_MS = 60_000
"""A shorter time without readings is not worth asking the device's own history."""
GAP_CHUNK_MS = 6 * 3_600_000
GAPS_KEPT = 20
OLDEST_GAP_MS = 30 * 86_400_000
GAP_TRIES = 8
GAP_RETRY = BackOff(60.0, 7200.0)


class Device:
    """All methods but those that say so belong to the main thread; the driver is touched on its own one only.

    `saved` is what `saved_state` gave in an earlier life; it counts only for the same type and config.
    """

    def __init__(
        self, config: contract.DeviceConfig, catalogue: Catalogue, interval_ms: int, saved: str | None
    ) -> None:
        self.config = config
        self.interval_ms = interval_ms
        self.due_ms = 0
        """The tick of the next poll."""
        self.rest_until_s: float | None = None
        """It is left alone until then (monotonic), whatever the clock is set to; None: it is polled at each tick."""
        self.poll_ms: int | None = None
        """How long the last poll that gave a reading took; None before there was one."""
        self.left_command: str | None = None
        """At the last poll: why the device no longer did what it was commanded; None if it did."""
        kind = catalogue.types()[config.type]
        self.redact = Redactor(kind, config.config)
        self._has_interval = kind.field("interval") is not None
        self.driver: Any = None
        self._catalogue = catalogue
        self._loop = Loop(f"device {config.name}")
        self._pending = 0
        self._busy_since = 0.0
        self._fingerprint = _fingerprint(config)
        self._driver_state: str | None = None
        self._last_ok_ms: int | None = None
        self._gaps: list[tuple[int, int]] = []
        self._gap_tries = 0
        self._gap_at_s = 0.0
        self._load(saved)
        self.health = Health(credentials_worked=self._last_ok_ms is not None)
        self._loop.start()

    # --- The driver's thread -------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a call of the driver is on its way."""
        return self._pending > 0

    @property
    def hung(self) -> bool:
        """Whether the call on its way takes longer than any call should."""
        return self.busy and time.monotonic() - self._busy_since > HUNG_AFTER_S

    def read(self, timestamp_ms: int, done: Callable[[CallResult], None]) -> None:
        """Start reading the device; `done` is called on the driver's thread. Only while not `busy`."""
        self.call(lambda driver: drivers.read(driver, self.config, timestamp_ms), done)

    def recover(self, start_ms: int, end_ms: int, done: Callable[[CallResult], None]) -> None:
        """Start asking for a gap. Only while not `busy`."""
        self.call(lambda driver: drivers.recover(driver, self.config, start_ms, end_ms), done)

    def call(self, use: Callable[[Any], CallResult], done: Callable[[CallResult], None]) -> None:
        """Have `use(driver)` called after what is on its way; `done` on the driver's thread."""
        if not self._pending:
            self._busy_since = time.monotonic()
        self._pending += 1
        self._loop.post(partial(self._call, use, done))

    def close(self) -> None:
        """End after what is on its way: release the driver's connections, and the thread."""
        self._loop.post(self._close)

    def join(self, timeout_s: float) -> bool:
        return self._loop.join(timeout_s)

    def _call(self, use: Callable[[Any], CallResult], done: Callable[[CallResult], None]) -> None:
        began_s = time.monotonic()
        result = drivers.guarded(lambda: use(self._opened()), self.redact)
        done(replace(result, took_s=time.monotonic() - began_s))

    def _opened(self) -> Any:
        """The driver, created at its first use: a class that can't be made is a device that is down, no more."""
        if self.driver is None:
            driver = self._new_driver()
            if self._driver_state is not None and callable(getattr(driver, "restore", None)):
                try:
                    driver.restore(json.loads(self._driver_state))
                except Exception:
                    # Memory of another version: the driver starts over, as it does for a new device.
                    log.exception("%s: the driver could not take its memory back", self.config.name)
                    driver = self._new_driver()
            self.driver = driver
        return self.driver

    def _new_driver(self) -> Any:
        """A driver of the config. Where its type has an `interval`, it is given the one in use, set there or in config.py."""
        config = dict(self.config.config)
        if self._has_interval:
            config["interval"] = self.interval_ms / 1000
        return self._catalogue.driver_class(self.config.type)(config)

    def _close(self) -> None:
        close = getattr(self.driver, "close", None)
        if callable(close):
            ended = drivers.guarded(lambda: _closed(close), self.redact)
            if ended.outcome != Outcome.OK:
                log.warning("%s: close() failed: %s", self.config.name, ended.text)
        self._loop.quit()

    # --- What came of it -----------------------------------------------------------------------------------------

    def finished(self) -> None:
        """A call on its way is over."""
        self._pending -= 1
        self._busy_since = time.monotonic()

    def polled(self, tick_ms: int, now_ms: int, result: CallResult) -> list[Message]:
        """Take note of a poll; everything to publish because of it."""
        if result.outcome is not Outcome.OK:
            return self._failed(now_ms, result)
        if self._last_ok_ms is not None and tick_ms - self._last_ok_ms > GAP_MS + self.interval_ms:
            self._note_gap(self._last_ok_ms + 1, tick_ms)
        self._last_ok_ms = tick_ms
        self.poll_ms = round(result.took_s * 1000)
        self._driver_state = result.state
        self.left_command = result.left_command
        self.rest_until_s = None
        warnings = self.health.succeeded()
        if warnings:
            log.info("%s: back", self.config.name)
        return result.messages + [self._warning(now_ms, data) for data in warnings]

    def _failed(self, now_ms: int, result: CallResult) -> list[Message]:
        now_s = time.monotonic()
        warnings = self.health.failed(
            result.outcome, result.text, now_s=now_s, now_ms=now_ms, retry_after_s=result.retry_after_s
        )
        pause_s = self.health.pause_s(self.interval_ms / 1000)
        self.rest_until_s = now_s + pause_s if pause_s else None
        for _ in warnings:
            log.warning("%s: %s: %s", self.config.name, result.outcome, result.text)
        return [self._warning(now_ms, data) for data in warnings]

    def overdue(self, now_ms: int) -> list[Message]:
        """A tick is due while a call is on its way: nothing, unless the call hangs."""
        if not self.hung:
            return []
        text = f"the driver has not answered for {HUNG_AFTER_S:.0f} s"
        return self._failed(now_ms, CallResult(Outcome.TIMED_OUT, text))

    def next_gap(self) -> tuple[int, int] | None:
        """The range to ask the device's own history for now; half-open, UTC ms."""
        if (
            not self._gaps
            or time.monotonic() < self._gap_at_s
            or not callable(getattr(self.driver, "recover", None))
        ):
            return None
        start, end = self._gaps[0]
        return start, min(end, start + GAP_CHUNK_MS)

    def recovered(self, chunk: tuple[int, int], result: CallResult) -> list[Message]:
        """Take note of an answer about a gap; what to publish."""
        if not self._gaps or self._gaps[0][0] != chunk[0]:
            return result.messages
        end = self._gaps[0][1]
        if result.outcome == Outcome.OK:
            self._gap_tries = 0
            self._gap_at_s = 0.0
            if any(message.kind == "data" for message in result.messages):
                log.info("%s: %d rows recovered from its own history", self.config.name, len(result.messages))
            else:
                log.warning("%s: its own history has nothing of a gap; the gap stays", self.config.name)
            self._gaps[0] = (chunk[1], end)
        else:
            self._gap_tries += 1
            self._gap_at_s = time.monotonic() + GAP_RETRY.after(self._gap_tries)
            if self._gap_tries >= GAP_TRIES:
                log.warning("%s: its history can't be read (%s); a gap stays", self.config.name, result.text)
                self._gap_tries = 0
                self._gaps[0] = (end, end)
        if self._gaps[0][0] >= end:
            self._gaps.pop(0)
        return result.messages

    def _note_gap(self, start_ms: int, end_ms: int) -> None:
        self._gaps.append((max(start_ms, end_ms - OLDEST_GAP_MS), end_ms))
        del self._gaps[:-GAPS_KEPT]

    def _warning(self, now_ms: int, data: Any) -> Message:
        return drivers.event_message(self.config.device_id, self.config.name, now_ms, contract.WARNING, data)

    # --- What outlives a restart ---------------------------------------------------------------------------------

    @property
    def state_key(self) -> str:
        return f"device/{self.config.device_id}"

    def saved_state(self) -> str:
        """The driver's memory, the last good tick and the gaps, as text for the outbox."""
        saved = {
            "of": self._fingerprint,
            "driver": self._driver_state,
            "last_ok_ms": self._last_ok_ms,
            "gaps": self._gaps,
        }
        return json.dumps(saved, separators=(",", ":"))

    def _load(self, saved: str | None) -> None:
        if saved is None:
            return
        try:
            memory = json.loads(saved)
            if memory["of"] != self._fingerprint:
                return
            last_ok = memory["last_ok_ms"]
            gaps = [(int(start), int(end)) for start, end in memory["gaps"]]
            self._last_ok_ms = None if last_ok is None else int(last_ok)
            self._driver_state, self._gaps = memory["driver"], gaps
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            log.warning("%s: its memory can't be read; it starts without one", self.config.name)


def _closed(close: Callable[[], None]) -> CallResult:
    close()
    return CallResult(Outcome.OK)


def _fingerprint(config: contract.DeviceConfig) -> str:
    """Distinguishes configs without giving away what is in them."""
    text = json.dumps([config.device_id, config.type, config.config], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def same_device(before: contract.DeviceConfig, after: contract.DeviceConfig) -> bool:
    """Whether a driver of the one config can serve the other; the name may change."""
    return before.device_id == after.device_id and before.type == after.type and before.config == after.config


def interval_ms(config: contract.DeviceConfig, kind: contract.DeviceType, house_ms: int) -> int:
    """The `interval` (seconds) of a device's config, else the house's, but not more often than its type declares."""
    configured = config.config.get("interval")
    if isinstance(configured, (int, float)) and not isinstance(configured, bool) and 0 < configured < 86_400:
        return max(int(configured * 1000), 200)
    declared = kind.field("interval")
    return max(house_ms, int(declared.default * 1000)) if declared and declared.default else house_ms
