"""How the polls of a device ended over time, from what its edge reported each minute. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sgmp_console.store.events import EdgeStatus
from sgmp_edge.contract import EdgeState


@dataclass(frozen=True)
class OutcomeRun:
    """Between `start_ms` and `end_ms` (UTC) polls ended with `outcome`, an Outcome as the edge reported it; "" where it reported
    none: it was away, or did not know the device."""

    start_ms: int
    end_ms: int
    outcome: str


def runs(
    statuses: Sequence[EdgeStatus], start_ms: int, end_ms: int, silent_after_ms: float
) -> tuple[OutcomeRun, ...]:
    """Of [start_ms, end_ms), without gaps, two in a row never the same. `statuses`: in order of time. What a status says holds until
    the next one, but no longer than `silent_after_ms`."""
    # The last will carries the time at which the connection was made: that an edge is away shows in what it does not send.
    known = [one for one in statuses if one.state != EdgeState.OFFLINE and one.at_ms < end_ms]
    found: list[OutcomeRun] = []
    at_ms = start_ms
    for place, status in enumerate(known):
        until_ms = known[place + 1].at_ms if place + 1 < len(known) else end_ms
        holds_ms = min(until_ms, round(status.at_ms + silent_after_ms))
        outcome = "" if status.state == EdgeState.STOPPED else status.outcome
        _append(found, at_ms, max(at_ms, status.at_ms), "")
        _append(found, max(at_ms, status.at_ms), holds_ms, outcome)
        at_ms = max(at_ms, holds_ms)
    _append(found, at_ms, end_ms, "")
    return tuple(found)


def _append(found: list[OutcomeRun], start_ms: int, end_ms: int, outcome: str) -> None:
    if end_ms <= start_ms:
        return
    if found and found[-1].outcome == outcome:
        found[-1] = OutcomeRun(found[-1].start_ms, end_ms, outcome)
    else:
        found.append(OutcomeRun(start_ms, end_ms, outcome))
