"""The dialog in which a house is created or changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QCompleter,
    QLineEdit,
    QStyledItemDelegate,
    QWidget,
)

from sgmp_console.fleet import houses
from sgmp_console.fleet.houses import NewHouse
from sgmp_console.reports.balance import CarInLoad
from sgmp_console.reports.ledger import read_car_in_load
from sgmp_console.store import House, Place
from sgmp_console.store import houses as stored_houses
from sgmp_console.ui import fonts, formats
from sgmp_console.ui.dialogs.form_dialog import FormDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.houses.acts import NO_CREDENTIALS
from sgmp_console.ui.parts.buttons import CheckBox, ComboBox
from sgmp_console.ui.tasks import Report
from sgmp_console.ui.zones import this_computers_zone, zones

_LONGEST_NAME = 64

_CAR_IN_LOAD = (
    "If the load is what a meter of the whole house measures, it contains the car: then the car is taken off it, so that it "
    "is not counted twice."
)


@dataclass(frozen=True)
class _Entries:
    """What stands in the form."""

    name: str
    description: str
    time_zone: str
    load_contains_ev: bool
    place: str


class HouseForm(FormDialog[House | NewHouse]):
    """`house` None creates one: `saved` carries a NewHouse with credentials, or a House where the connection
    can't generate any. `names`: those that are taken, as far as is known.
    """

    def __init__(
        self, services: Services, house: House | None, names: Collection[str], parent: QWidget
    ) -> None:
        super().__init__(
            services,
            f"Edit {house.name}" if house else "Create house",
            "Save changes" if house else "Create house",
            "Saving" if house else "Creating",
            parent,
            context=f"House ID {house.house_id}" if house else "",
        )
        self._house = house
        self._names = frozenset(names)
        self.name = QLineEdit()
        self.name.setMaxLength(_LONGEST_NAME)
        self.description = QLineEdit()
        self.zone = _ZoneBox(this_computers_zone())
        self.name_field = self.naming = self.add_field(
            "House name",
            self.name,
            "Unique among all houses. Everything refers to the house by its ID, so the name can change.",
            check=self._name_problem,
        )
        self.add_field("Description", self.description)
        self.zone_field = self.add_field(
            "Time zone",
            self.zone,
            "Where the house is: its days, months and times are shown so.",
            check=self._zone_problem,
        )
        self.load_contains_ev = CheckBox("The load's meter measures the car, too")
        self._car_field = self.add_field("Car in the load", self.load_contains_ev, _CAR_IN_LOAD)
        self.place_entry = QLineEdit()
        self.place_entry.setPlaceholderText("37.42, -122.20")
        self.place_field = self.add_field(
            "Place",
            self.place_entry,
            "Latitude and longitude in degrees, north and east positive. The Solar report then shows the sun of a clear "
            "sky. May be empty.",
            check=self._place_problem,
        )
        if house is not None:
            self.fill(house)
            self._look_for_car(house)
        elif services.session.profile.issues_credentials:
            self.note.setText("Credentials for its edge are generated with it.")
        else:
            self.note.setText(f"It is created without credentials for its edge. {NO_CREDENTIALS}")
        self.name.textEdited.connect(self._judge_name)
        self.ready()
        self.name.setFocus()
        self.name.selectAll()

    def entries(self) -> _Entries:
        return _Entries(
            self.name.text().strip(),
            self.description.text().strip(),
            self.zone.currentText().strip(),
            self.load_contains_ev.isChecked(),
            self.place_entry.text().strip(),
        )

    def title_in_status_bar(self) -> str:
        return "" if self._house is not None else f"Creating house {self.entries().name}"

    def work(self) -> Callable[[Report], House | NewHouse]:
        session, entries = self.services.session, self.entries()
        place = parsed_place(entries.place)
        if self._house is not None:
            changed = replace(
                self._house,
                name=entries.name,
                description=entries.description,
                time_zone=entries.time_zone,
                load_contains_ev=entries.load_contains_ev,
                place=place,
            )
            return lambda _report: houses.update(session.database, changed)

        def create(report: Report) -> House | NewHouse:
            service = session.cloud().credentials
            if service is None:
                return houses.create(
                    session.database,
                    entries.name,
                    description=entries.description,
                    time_zone=entries.time_zone,
                    load_contains_ev=entries.load_contains_ev,
                    place=place,
                )
            return houses.create_with_credentials(
                session.database,
                service,
                entries.name,
                description=entries.description,
                time_zone=entries.time_zone,
                load_contains_ev=entries.load_contains_ev,
                place=place,
                checkpoint=lambda: report(None, ""),
            )

        return create

    def reread(self) -> Callable[[], House | NewHouse] | None:
        if self._house is None:
            return None
        database, house_id = self.services.session.database, self._house.house_id

        def read() -> House:
            with database.begin() as connection:
                return stored_houses.get(connection, house_id)

        return read

    def describe(self, stored: House | NewHouse) -> str:
        house = _house(stored)
        car = "with" if house.load_contains_ev else "without"
        place = f", place {place_text(house.place)}" if house.place else ""
        return f"name {house.name}, description “{house.description}”, time zone {house.time_zone}, load {car} the car{place}"

    def fill(self, stored: House | NewHouse) -> None:
        house = _house(stored)
        self.name.setText(house.name)
        self.description.setText(house.description)
        self.zone.setCurrentText(house.time_zone)
        self.load_contains_ev.setChecked(house.load_contains_ev)
        self.place_entry.setText(place_text(house.place))

    def rebase(self, stored: House | NewHouse) -> None:
        self._house = _house(stored)

    # --- What the balance suggests -------------------------------------------------------------------------------

    def _look_for_car(self, house: House) -> None:
        database, house_id, now_ms = (
            self.services.session.database,
            house.house_id,
            self.services.now_ms(),
        )

        def read() -> CarInLoad | None:
            with database.begin() as connection:
                return read_car_in_load(connection, house_id, now_ms)

        self.services.tasks.run(self, read, self._suggest, self.report_unavailable)

    def _suggest(self, found: CarInLoad | None) -> None:
        self._car_field.set_help(f"{_CAR_IN_LOAD} {suggestion(found)}")
        self.fit()

    # --- Fields --------------------------------------------------------------------------------------------------

    def _judge_name(self) -> None:
        self.name_field.set_problem(self._name_problem() if self.name.text().strip() else "")

    def _name_problem(self) -> str:
        name = self.name.text().strip()
        if not name:
            return "Enter a name."
        if not name.isprintable():
            return "A house's name can't hold invisible characters."
        own = self._house.name if self._house is not None else ""
        same = [other for other in self._names if other != own and other.casefold() == name.casefold()]
        return f"A house {same[0]} exists already. Choose another name." if same else ""

    def _zone_problem(self) -> str:
        zone = self.zone.currentText().strip()
        if zone in zones() or (self._house is not None and zone == self._house.time_zone):
            return ""
        return f"There is no time zone {zone}. Choose one from the list." if zone else "Choose a time zone."

    def _place_problem(self) -> str:
        text = self.place_entry.text().strip()
        if not text or parsed_place(text) is not None:
            return ""
        return "Write latitude and longitude in degrees, such as 37.42, -122.20: at most 90 and 180, with points."


def parsed_place(text: str) -> Place | None:
    """The place of `37.42, -122.20`; None where the text is not one."""
    found = re.fullmatch(
        r"\s*([+-]?\d{1,3}(?:\.\d+)?)\s*[,;\s]\s*([+-]?\d{1,3}(?:\.\d+)?)\s*", text, re.ASCII
    )
    if found is None:
        return None
    place = Place(float(found[1]), float(found[2]))
    return place if abs(place.latitude) <= 90 and abs(place.longitude) <= 180 else None


def place_text(place: Place | None) -> str:
    """As `parsed_place` reads it."""
    if place is None:
        return ""
    return ", ".join(
        f"{degrees:.9f}".rstrip("0").rstrip(".") for degrees in (place.latitude, place.longitude)
    )


def suggestion(found: CarInLoad | None) -> str:
    """What the balance of the last two weeks says of the car in the load."""
    if found is None or found.suggestion is None:
        return "The readings of the last 14 days do not show which it is."
    without, with_car = (formats.with_unit(kwh, "kWh") for kwh in (found.apart_kwh, found.together_kwh))
    verdict = "contains" if found.suggestion else "does not contain"
    return (
        f"By the readings of the last 14 days it {verdict} the car: {with_car} do not add up if it does, {without} if it "
        "does not."
    )


def _house(stored: House | NewHouse) -> House:
    return stored.house if isinstance(stored, NewHouse) else stored


class _ZoneBox(ComboBox):
    """Any part of a zone's name finds it."""

    def __init__(self, zone: str) -> None:
        super().__init__()
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.addItems(zones())
        self.setCurrentText(zone)
        completer = QCompleter(self.model(), self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        popup: QAbstractItemView | None = completer.popup()
        if popup is not None:
            popup.setProperty("surface", "overlay")
            # The completer's own one does not know how high the stylesheet makes a row.
            popup.setItemDelegate(QStyledItemDelegate(popup))
        self.setCompleter(completer)
        line = self.lineEdit()
        if line is not None:
            line.setFont(fonts.font("body"))
            line.setPlaceholderText("Part of a name, such as Los_Angeles")
