"""Times of maintenance: of all houses, a house or a device, once or by the clock of the house."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from sgmp_console.errors import UserError
from sgmp_console.store import House, devices, findings, houses
from sgmp_console.store.findings import Once, Recurring, Window
from sgmp_console.timeseries import calendar
from sgmp_console.ui import fonts
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.dialogs.form_dialog import FormDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import CheckBox, ComboBox
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.list_page import CREATE_KEYS, DELETE_KEYS, ListAction, ListPage
from sgmp_console.ui.parts.table import Column, Mark
from sgmp_console.ui.tasks import Report
from sgmp_console.watch import recipients
from sgmp_console.watch.windows import is_within

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class WindowRow:
    """`now`: whether it is this time."""

    window: Window
    house: str
    zone: str
    now: bool


@dataclass(frozen=True)
class WindowsFound:
    windows: tuple[Window, ...]
    houses: tuple[House, ...]
    devices: dict[int, tuple[str, ...]]


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
                names: dict[int, list[str]] = {}
                for house_id, name in devices.names(connection):
                    names.setdefault(house_id, []).append(name)
                return WindowsFound(
                    tuple(findings.windows(connection)),
                    tuple(houses.list_all(connection)),
                    {house_id: tuple(sorted(of)) for house_id, of in names.items()},
                )

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


class AddWindow(FormDialog[int]):
    """`saved` carries its id."""

    def __init__(self, services: Services, found: WindowsFound, parent: QWidget) -> None:
        super().__init__(
            services, "Add time of maintenance", "Add time", "Adding time of maintenance", parent,
            context=services.session.profile.name,
        )  # fmt: skip
        self._found = found
        self._typed = False
        self.house = ComboBox()
        if services.session.may("all_houses"):
            self.house.addItem("All houses", None)
        for house in found.houses:
            self.house.addItem(house.name, house.house_id)
        self.device = ComboBox()
        self.recurs = ComboBox()
        self.recurs.addItem("Once", False)
        self.recurs.addItem("Every week", True)
        self.days = [CheckBox(day) for day in _DAYS]
        days = QWidget()
        row = QHBoxLayout(days)
        row.setContentsMargins(0, 0, 0, 0)
        for box in self.days:
            box.setFont(fonts.font("body"))
            box.toggled.connect(self._day_chosen)
            row.addWidget(box)
        row.addStretch(1)
        self.starts, self.ends, self.reason = QLineEdit(), QLineEdit(), QLineEdit()
        self.add_field("House", self.house)
        self._device_field = self.add_field("Device", self.device)
        self.add_field("How often", self.recurs)
        self._days_field = self.add_field("On", days, check=self._days_problem)
        self._starts_field = self.add_field("From", self.starts, check=self._starts_problem)
        self._ends_field = self.add_field("Until", self.ends, check=self._ends_problem)
        self.add_field("Note", self.reason, "Why, for others.")
        self.starts.textEdited.connect(self._take_over)
        self.ends.textEdited.connect(self._take_over)
        self.house.currentIndexChanged.connect(self._house_changed)
        self.recurs.currentIndexChanged.connect(self._recurs_changed)
        self._house_changed()
        self._recurs_changed()
        self.ready()
        self.house.setFocus()

    def entries(self) -> tuple[object, ...]:
        return (
            self.house.currentData(),
            self.device.currentData(),
            self.recurs.currentData(),
            tuple(box.isChecked() for box in self.days),
            *(entry.text().strip() for entry in (self.starts, self.ends, self.reason)),
        )

    def work(self) -> Callable[[Report], int]:
        database, house_id = self.services.session.database, self.house.currentData()
        device, note, when = self.device.currentData() or "", self.reason.text(), self._when()

        def add(_report: Report) -> int:
            with database.begin() as connection:
                return findings.add_window(connection, when, house_id=house_id, device=device, note=note)

        return add

    def _take_over(self) -> None:
        """The times are the operator's from now on."""
        self._typed = True

    def _zone(self) -> str:
        house_id = self.house.currentData()
        return next((one.time_zone for one in self._found.houses if one.house_id == house_id), "UTC")

    def _house_changed(self) -> None:
        house_id = self.house.currentData()
        self.device.clear()
        self.device.addItem("All devices", "")
        for name in self._found.devices.get(house_id or 0, ()):
            self.device.addItem(name, name)
        self._device_field.setVisible(house_id is not None)
        self._recurs_changed()

    def _recurs_changed(self) -> None:
        recurs, zone = bool(self.recurs.currentData()), self._zone()
        self._days_field.setVisible(recurs)
        now_ms = self.services.now_ms()
        if recurs:
            starts, ends, form = "22:00", "06:00", "such as 22:00"
        else:
            starts, ends = (
                f"{calendar.local(now_ms + hours * _HOUR_MS, zone):%Y-%m-%d %H:00}" for hours in (1, 3)
            )
            form = "such as 2026-06-01 22:00"
        if not self._typed:
            self.starts.setText(starts)
            self.ends.setText(ends)
        place = zone.replace("_", " ")
        self._starts_field.set_help(f"By the clock of {place}, {form}.")
        self._ends_field.set_help("On the next day, where it is not later." if recurs else "")
        self.fit()

    def _when(self) -> Once | Recurring:
        chosen = [recipients.DAYS[place] for place, box in enumerate(self.days) if box.isChecked()]
        days = ",".join(chosen) if self.recurs.currentData() else ""
        return recipients.parse_window(self.starts.text(), self.ends.text(), days, self._zone())

    def _day_chosen(self) -> None:
        self._days_field.set_problem("")

    def _days_problem(self) -> str:
        recurs = bool(self.recurs.currentData())
        return "Choose at least one day." if recurs and not any(one.isChecked() for one in self.days) else ""

    def _starts_problem(self) -> str:
        return self._problem(self.starts.text(), self.starts.text())

    def _ends_problem(self) -> str:
        if problem := self._problem(self.ends.text(), self.ends.text()):
            return problem
        if self._starts_problem():
            return ""
        days = "daily" if self.recurs.currentData() else ""
        when = recipients.parse_window(self.starts.text(), self.ends.text(), days, self._zone())
        if isinstance(when, Once):
            return "" if when.starts_ms < when.ends_ms else "It ends after it starts."
        return "" if when.starts != when.ends else "It ends at another time than it starts."

    def _problem(self, starts: str, ends: str) -> str:
        days = "daily" if self.recurs.currentData() else ""
        try:
            recipients.parse_window(starts, ends, days, self._zone())
        except UserError as error:
            return str(error)
        return ""
