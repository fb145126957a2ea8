"""What a house needs, from created to finished: what is done of it, since when, and what comes next. Pure.

A step that was done stays done: what breaks afterwards is a finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sgmp_console.fleet.edge_state import EdgeStanding
from sgmp_console.fleet.required import missing_items
from sgmp_console.store.config_versions import EdgeState
from sgmp_console.store.standings import HouseSetup


class Task(StrEnum):
    """In the order in which they are done."""

    CREDENTIALS = "credentials"
    EDGE = "edge"
    DEVICES = "devices"
    SYNCHRONIZE = "synchronize"
    DATA = "data"
    ITEMS = "items"
    WIRING = "wiring"


@dataclass(frozen=True)
class ChecklistStep:
    """`at_ms` (UTC): since when it is done, or when that was seen last; None where it is not, or nobody knows."""

    task: Task
    done: bool
    at_ms: int | None = None


@dataclass(frozen=True)
class Checklist:
    """`missing`: the required items that the house does not have."""

    setup: HouseSetup
    steps: tuple[ChecklistStep, ...]
    missing: tuple[str, ...]

    @property
    def open(self) -> tuple[Task, ...]:
        return tuple(step.task for step in self.steps if not step.done)


def checklist(
    setup: HouseSetup, devices: int, edge: EdgeStanding, reported: EdgeState, newest_ms: int | None
) -> Checklist:
    """`devices`: how many; `reported`: what the edge last said; `newest_ms`: the newest reading."""
    missing, check = missing_items(setup.items), setup.check
    heard = edge.heard_ms is not None
    confirmed = reported.applied_version is not None
    steps = (
        # Who was heard has credentials, wherever they come from.
        ChecklistStep(Task.CREDENTIALS, setup.credentials_ms is not None or heard, setup.credentials_ms),
        ChecklistStep(Task.EDGE, heard, edge.heard_ms),
        ChecklistStep(Task.DEVICES, devices > 0),
        ChecklistStep(Task.SYNCHRONIZE, confirmed and devices > 0, reported.applied_ms),
        ChecklistStep(Task.DATA, newest_ms is not None, newest_ms),
        ChecklistStep(Task.ITEMS, not missing),
        ChecklistStep(Task.WIRING, check is not None and not check.wrong, check.at_ms if check else None),
    )
    return Checklist(setup, steps, missing)
