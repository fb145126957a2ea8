"""What a measurement says, and how it is taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RUNS = 50
"""Of one measurement, at most."""


@dataclass(frozen=True)
class Result:
    """`ratio`: how many times better than the other (the ancestor or a baseline), or the value itself where there is
    no other. `budget`: what the ratio must reach (`at_least`) or must not exceed; None: told for comparison only."""

    what: str
    ours: str
    other: str
    ratio: float
    budget: float | None
    at_least: bool = True
    unit: str = "x"

    @property
    def met(self) -> bool | None:
        if self.budget is None:
            return None
        return self.ratio >= self.budget if self.at_least else self.ratio <= self.budget


def seconds(act: Callable[[], object], times: int = 9) -> float:
    """The best of several runs, after one that warms the caches: whatever else the machine does only adds."""
    act()
    return min(once(act) for _ in range(min(times, RUNS)))


def side_by_side(times: int, *acts: Callable[[], object]) -> list[float]:
    """The same of several that are compared, in turn, so that a busy moment falls on all."""
    for act in acts:
        act()
    return [min(runs) for runs in zip(*([once(act) for act in acts] for _ in range(times)), strict=True)]


def once(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def ms(duration_s: float) -> str:
    return f"{duration_s * 1000:,.1f} ms"


def table(results: Sequence[Result]) -> str:
    """Aligned columns for a terminal."""
    rows = [("what", "ours", "ancestor or baseline", "ratio", "budget", "met")]
    for one in results:
        limit = "" if one.budget is None else f"{'>=' if one.at_least else '<='} {one.budget:g} {one.unit}"
        met = {None: "", True: "yes", False: "NO"}[one.met]
        rows.append((one.what, one.ours, one.other, f"{one.ratio:.3g} {one.unit}", limit, met))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)
