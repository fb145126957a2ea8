"""Acts on a house's analytic items that take long, shown in the status bar; for every page that offers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from sgmp_console.errors import Cancelled
from sgmp_console.ui.explain import explain
from sgmp_console.ui.session import Session
from sgmp_console.ui.tasks import Report, Tasks

if TYPE_CHECKING:
    # Loaded when used: it checks formulas.
    from sgmp_console.fleet.analytics import RequiredCreated


@dataclass(frozen=True)
class Population:
    """The subject of the work that counts the stored readings of a house."""

    house_id: int


def is_populating(tasks: Tasks, house_id: int) -> bool:
    return any(task.subject == Population(house_id) for task in tasks.shown())


def create_required(
    tasks: Tasks,
    session: Session,
    owner: QObject,
    house_id: int,
    house_name: str,
    on_created: Callable[[RequiredCreated], None],
    on_error: Callable[[Exception], None],
    on_populated: Callable[[str], None],
) -> None:
    """Make the required items that are missing in the house; then count what is stored for those with continuous aggregation.

    `on_populated` as in `populate`, which is called only where something was made that needs it.
    """
    database = session.database

    def create(_report: Report) -> RequiredCreated:
        from sgmp_console.fleet import analytics

        return analytics.create_required(database, house_id)

    def created(outcome: RequiredCreated) -> None:
        if any(item.aggregated for item in outcome.created):
            populate(tasks, session, owner, house_id, house_name, on_populated)
        on_created(outcome)

    tasks.run_shown(owner, f"Creating the required items of {house_name}", create, created, on_error)


def populate(
    tasks: Tasks,
    session: Session,
    owner: QObject,
    house_id: int,
    house_name: str,
    on_end: Callable[[str], None],
) -> None:
    """Count the stored readings of fields whose aggregates are new, with progress and cancel in the status bar.

    `on_end` hears "" when all is counted, else the sentence that says what is left and what to do.
    """
    database = session.database

    def count(report: Report) -> None:
        from sgmp_console.fleet import analytics

        def progress(fraction: float) -> None:
            report(fraction, f"{fraction * 100:.0f}\u00a0%")

        report(None, "")
        analytics.populate(database, house_id, progress)

    def ended(_nothing: None) -> None:
        on_end("")

    def failed(error: Exception) -> None:
        on_end(_left(error))

    tasks.run_shown(
        owner,
        f"Aggregating earlier readings of {house_name}",
        count,
        ended,
        failed,
        subject=Population(house_id),
    )


def _left(error: Exception) -> str:
    tail = "The items are stored and their numbers are right; until all earlier readings are aggregated, long reports take longer."
    if isinstance(error, Cancelled):
        return f"Aggregating earlier readings was cancelled. What was done stays. {tail}"
    return f"Aggregating earlier readings stopped: {explain(error, then='')} {tail}"
