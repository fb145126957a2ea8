"""Acts on a house's analytic items that take long, shown in the status bar; for every page that offers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from sgmp_console.errors import Cancelled, SgmpError
from sgmp_console.ui.session import Session
from sgmp_console.ui.tasks import Report, Tasks

if TYPE_CHECKING:
    # Loaded when used: it checks formulas.
    from sgmp_console.fleet.analytics import RequiredCreated


POPULATING = "Populating aggregates"
"""How the title of a population begins."""


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
    """Make the required items the house lacks; then count what is stored for those with continuous aggregation.

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

    tasks.run_shown(owner, f"{POPULATING} of {house_name}", count, ended, failed)


def _left(error: Exception) -> str:
    tail = "The items are stored and show the right numbers; until all is counted, long reports take longer."
    if isinstance(error, Cancelled):
        return f"Populating was cancelled. What was counted stays. {tail}"
    if isinstance(error, SgmpError):
        return f"Populating stopped: {error} {tail}"
    return f"Populating stopped, since something in SGMP failed that should not have. {tail}"
