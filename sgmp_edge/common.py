"""What a device driver is written against: readings, events, and the closed set of ways a poll can end.

A driver is a class with `__init__(self, config)`, `read()` and, where it can be controlled, `act(data)`. It runs on
one worker thread, one call at a time. Optional, found by name:

- `state() -> dict` and `restore(state)`: small JSON-able memory (a token's expiry, a watermark, an open charging
  session). The poller stores it in the same transaction as the readings of that poll and gives it back after a
  restart, so that neither is ever ahead of the other. It must hold no secret.
- `recover(start_ms, end_ms) -> ReadResult`: what the device itself has recorded of the half-open range, called after
  a gap, beside live polling.
- `act(data) -> Mapping | None`: carry out a command, clamped to the limits of the device's config; returns what the
  device itself reports afterwards (the read-back), with `"clamped": {key: [asked, done]}` where it was limited.
- `release()`: undo whatever `act` did and give the device back to its own automatic mode. Called when a command's
  time-to-live lapses, at SIGTERM, at start if a lease was open, and again until it succeeds: it must be harmless
  to repeat. A class without it is commanded only with an `undo` for `act` in the command itself.
- `left_command() -> str | None`: asked after a `read()`: why the device no longer does what `act` commanded, though
  nobody undid it (a battery that left manual mode); None while it does, or nothing is commanded.
- `close()`: release connections.

In a file of `devices/` the driver is the one public class defined there that has `read`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

AT_TICK = 0
"""As timestamp of a Reading or Event: the tick of the poll that returned it, which a driver does not know."""


@dataclass
class Reading:
    """One row of data. `timestamp`: UTC milliseconds or AT_TICK; `data`: fields, nested objects allowed."""

    timestamp: int
    data: Mapping[str, Any]


@dataclass
class Event:
    """Something that happened. `timestamp`: UTC milliseconds or AT_TICK; `data`: see the types in contract/."""

    timestamp: int
    type: str
    data: Mapping[str, Any]


@dataclass
class ReadResult:
    """Several rows and events of one poll."""

    readings: list[Reading] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class DeviceError(Exception):
    """A poll without a reading. `str(error)` is the reason for the operator, without secrets; the cause is chained.

    Raise one of the subclasses; the set is closed, so that every driver's failures mean the same to the poller.
    """

    outcome = "error"
    retry_after_s = 0.0
    """Set on an exception: for how many seconds the device asks to be left alone. It is, for up to an hour."""


class Unreachable(DeviceError):
    """Connection refused, no route, name not known, or the proxy reports the device as offline."""

    outcome = "unreachable"


class TimedOut(DeviceError):
    """It accepted the connection or the request, and did not answer in time."""

    outcome = "timed_out"


class Unauthorized(DeviceError):
    """Wrong or expired credentials. The poller stops hammering until the configuration changes (or hourly)."""

    outcome = "unauthorized"


class BadAnswer(DeviceError):
    """An answer that can't be read or is physically absurd."""

    outcome = "bad_answer"


class NotReady(DeviceError):
    """It answers, but has no measurement yet: still booting, or its own clock stands still (stale)."""

    outcome = "not_ready"
