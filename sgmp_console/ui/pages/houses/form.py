"""The dialog in which a house is created or changed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QCompleter, QLineEdit, QWidget

from sgmp_console.fleet import houses
from sgmp_console.fleet.houses import NewHouse
from sgmp_console.store import House
from sgmp_console.store import houses as stored_houses
from sgmp_console.ui import fonts
from sgmp_console.ui.dialogs.form_dialog import FormDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.houses.acts import NO_CREDENTIALS
from sgmp_console.ui.parts.buttons import ComboBox
from sgmp_console.ui.tasks import Report
from sgmp_console.ui.zones import this_computers_zone, zones

_LONGEST_NAME = 64


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
        if house is not None:
            self.fill(house)
        elif services.session.profile.issues_credentials:
            self.note.setText("Credentials for its edge are generated with it.")
        else:
            self.note.setText(f"It is created without credentials for its edge. {NO_CREDENTIALS}")
        self.name.textEdited.connect(self._judge_name)
        self.ready()
        self.name.setFocus()
        self.name.selectAll()

    def entries(self) -> tuple[str, str, str]:
        return self.name.text().strip(), self.description.text().strip(), self.zone.currentText().strip()

    def title_in_status_bar(self) -> str:
        return "" if self._house is not None else f"Creating house {self.entries()[0]}"

    def work(self) -> Callable[[Report], House | NewHouse]:
        session, (name, description, zone) = self.services.session, self.entries()
        if self._house is not None:
            changed = replace(self._house, name=name, description=description, time_zone=zone)
            return lambda _report: houses.update(session.database, changed)

        def create(report: Report) -> House | NewHouse:
            service = session.cloud().credentials
            if service is None:
                return houses.create(session.database, name, description=description, time_zone=zone)
            return houses.create_with_credentials(
                session.database,
                service,
                name,
                description=description,
                time_zone=zone,
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
        return f"name {house.name}, description “{house.description}”, time zone {house.time_zone}"

    def fill(self, stored: House | NewHouse) -> None:
        house = _house(stored)
        self.name.setText(house.name)
        self.description.setText(house.description)
        self.zone.setCurrentText(house.time_zone)

    def rebase(self, stored: House | NewHouse) -> None:
        self._house = _house(stored)

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
        popup: QWidget | None = completer.popup()
        if popup is not None:
            popup.setProperty("surface", "overlay")
        self.setCompleter(completer)
        line = self.lineEdit()
        if line is not None:
            line.setFont(fonts.font("body"))
            line.setPlaceholderText("Part of a name, such as Los_Angeles")
