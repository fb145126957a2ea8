"""Adding a time of maintenance: of all houses, a house, several houses or a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from sgmp_console.errors import UserError
from sgmp_console.store import House, devices, findings, houses
from sgmp_console.store.findings import Once, Recurring, Window
from sgmp_console.timeseries import calendar
from sgmp_console.ui import fonts, formats
from sgmp_console.ui.dialogs.form_dialog import FormDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import CheckBox, ComboBox
from sgmp_console.ui.tasks import Report
from sgmp_console.watch import recipients

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOUR_MS = 3_600_000
_SEVERAL = -1
"""In the place of a house's id."""


@dataclass(frozen=True)
class WindowsFound:
    windows: tuple[Window, ...]
    houses: tuple[House, ...]
    devices: dict[int, tuple[str, ...]]


def read_windows(connection: sa.Connection) -> WindowsFound:
    """The times of maintenance that the account sees, and what others can be added for."""
    names: dict[int, list[str]] = {}
    for house_id, name in devices.names(connection):
        names.setdefault(house_id, []).append(name)
    return WindowsFound(
        tuple(findings.windows(connection)),
        tuple(houses.list_all(connection)),
        {house_id: tuple(sorted(of)) for house_id, of in names.items()},
    )


class AddWindow(FormDialog[int]):
    """`saved` carries its id. `chosen`: only for these houses, one for each of several."""

    def __init__(
        self, services: Services, found: WindowsFound, parent: QWidget, chosen: Sequence[House] = ()
    ) -> None:
        super().__init__(
            services, "Add time of maintenance", "Add time", "Adding time of maintenance", parent,
            context=services.session.profile.name,
        )  # fmt: skip
        self._found = found
        self._typed = False
        self.house = ComboBox()
        self._several = tuple(chosen) if len(chosen) > 1 else ()
        if self._several:
            self.house.addItem(formats.count(len(self._several), "house"), _SEVERAL)
        elif services.session.may("all_houses") and not chosen:
            self.house.addItem("All houses", None)
        for house in () if self._several else chosen or found.houses:
            self.house.addItem(house.name, house.house_id)
        shown = self.house.findData(services.live.house_id)
        self.house.setCurrentIndex(max(shown, 0))  # rather one house too few in silence than all
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
        house_ids = [house.house_id for house in self._several] or [house_id]
        device, note, when = self.device.currentData() or "", self.reason.text(), self._when()

        def add(_report: Report) -> int:
            with database.begin() as connection:
                added = [
                    findings.add_window(connection, when, house_id=one, device=device, note=note)
                    for one in house_ids
                ]
            return added[-1]

        return add

    def _take_over(self) -> None:
        """The times are the operator's from now on."""
        self._typed = True

    def _zone(self) -> str:
        house_id = self.house.currentData()
        if self._several:
            zones = {house.time_zone for house in self._several}
            return zones.pop() if len(zones) == 1 else "UTC"
        return next((one.time_zone for one in self._found.houses if one.house_id == house_id), "UTC")

    def _house_changed(self) -> None:
        house_id = self.house.currentData()
        self.device.clear()
        self.device.addItem("All devices", "")
        for name in self._found.devices.get(house_id or 0, ()):
            self.device.addItem(name, name)
        self._device_field.setVisible(house_id is not None and not self._several)
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
        clock = "each house" if recurs and self._several else place
        self._starts_field.set_help(f"By the clock of {clock}, {form}.")
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
