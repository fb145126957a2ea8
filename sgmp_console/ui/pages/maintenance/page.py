"""Times of maintenance: of all houses, a house or a device, once or by the clock of the house."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtWidgets import QWidget

from sgmp_console.store import findings
from sgmp_console.store.findings import Recurring, Window
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.dialogs.maintenance import AddWindow, WindowsFound, read_windows
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.list_page import CREATE_KEYS, DELETE_KEYS, ListAction, ListPage
from sgmp_console.ui.parts.rows import Column, Mark
from sgmp_console.ui.tasks import Report
from sgmp_console.watch import recipients
from sgmp_console.watch.windows import is_within


@dataclass(frozen=True)
class WindowRow:
    """`now`: whether it is this time."""

    window: Window
    house: str
    zone: str
    now: bool


def _state(row: WindowRow) -> str:
    if row.now:
        return "Now"
    return "Recurs" if isinstance(row.window.when, Recurring) else "Once"


COLUMNS: tuple[Column[WindowRow], ...] = (
    Column("House", lambda row: row.house, 168, strong=True),
    Column("Device", lambda row: row.window.device or "All devices", 128),
    Column("Time", lambda row: recipients.window_text(row.window.when, row.zone), 280, whole=True),
    Column("Clock of", lambda row: row.zone, 160, optional=1),
    Column("State", _state, 96, mark=lambda row: Mark("clock", "state_warning") if row.now else None),
    Column("Note", lambda row: row.window.note),
)


class MaintenancePage(ListPage[WindowRow, WindowsFound]):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(
            services,
            noun="time of maintenance",
            plural="times of maintenance",
            columns=COLUMNS,
            id_=lambda row: row.window.window_id,
            of_house=False,
            every_ms=30_000,
            parent=parent,
        )
        self.declare(
            (
                ListAction("remove", "Remove", self._ask_to_remove, "some", counted=True, keys=DELETE_KEYS),
                ListAction("add", "Add time", self._add, keys=CREATE_KEYS, primary=True),
            )
        )

    def reader(self) -> Callable[[], WindowsFound]:
        database = self.services.session.database

        def read() -> WindowsFound:
            with database.begin() as connection:
                return read_windows(connection)

        return read

    def rows_of(self, found: WindowsFound) -> Sequence[WindowRow]:
        known = {house.house_id: house for house in found.houses}
        now_ms = self.services.now_ms()
        rows = []
        for window in found.windows:
            house = known.get(window.house_id or 0)
            zone = house.time_zone if house else "UTC"
            name = "All houses" if window.house_id is None else house.name if house else "A deleted house"
            rows.append(WindowRow(window, name, zone, is_within(window.when, zone, now_ms)))
        return rows

    def empty_state(self, found: WindowsFound) -> EmptyState:
        return EmptyState(
            "clock",
            "No times of maintenance",
            "In a time of maintenance nobody is notified. What is still wrong when it ends is sent then.",
            (("add", "Add time"),),
        )

    def _add(self) -> None:
        if self.found is not None:
            dialog = AddWindow(self.services, self.found, self)
            dialog.saved.connect(self._saved)
            dialog.left.connect(self.reload)
            dialog.open()

    def _saved(self, window_id: int) -> None:
        self.say("")
        self.reload_and_select(window_id)

    def _ask_to_remove(self) -> None:
        chosen = [row.window for row in self.table.chosen()]
        what = "this time of maintenance" if len(chosen) == 1 else f"{len(chosen)} times of maintenance"
        confirm(
            f"Remove {what}?",
            "What is wrong then is sent as at any other time.",
            f"Remove {what}",
            self,
            partial(self._remove, [window.window_id for window in chosen]),
        )

    def _remove(self, window_ids: Sequence[int]) -> None:
        database = self.services.session.database

        def work(_report: Report) -> None:
            with database.begin() as connection:
                for window_id in window_ids:
                    findings.remove_window(connection, window_id)

        self.run_act("Removing times of maintenance", work, self.changed)
