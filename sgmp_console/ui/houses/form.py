"""The dialog in which a house is made or changed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QCompleter, QLineEdit, QWidget

from sgmp_console.cloud.services import Services as Cloud
from sgmp_console.errors import Conflict, UserError
from sgmp_console.fleet import houses
from sgmp_console.fleet.houses import NewHouse
from sgmp_console.store import House
from sgmp_console.store import houses as stored_houses
from sgmp_console.ui import fonts
from sgmp_console.ui.houses.act_dialog import ActDialog, sentence
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import ComboBox
from sgmp_console.ui.parts.confirm import ConfirmDialog
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.zones import this_computers_zone, zones

_LONGEST_NAME = 64


class HouseForm(ActDialog):
    """`open()` it; it closes by itself when the house is stored. `house` None makes a new one.

    `created` carries a NewHouse with credentials, or a House where the connection profile names nothing that makes
    them; `changed` carries the House as it is stored now. `names`: those that are taken, as far as is known.
    """

    created = Signal(object)
    changed = Signal(object)

    def __init__(
        self, services: Services, house: House | None, names: Collection[str], parent: QWidget
    ) -> None:
        super().__init__(
            services,
            f"Edit {house.name}" if house else "Create house",
            "Save changes" if house else "Create",
            parent,
        )
        self._house = house
        self._theirs: House | None = None
        self._names = set(names)
        self._leaving = False
        self.name = QLineEdit(house.name if house else "")
        self.name.setMaxLength(_LONGEST_NAME)
        self.name.setFont(fonts.font("body"))
        self.description = QLineEdit(house.description if house else "")
        self.description.setFont(fonts.font("body"))
        self.zone = _ZoneBox(house.time_zone if house else this_computers_zone())
        self._name_field = Field(
            "House name",
            self.name,
            "The name stays, since it must be unique in the deployment."
            if house
            else "Must be unique in the deployment, and stays.",
        )
        self.name.setEnabled(house is None)
        self._zone_field = Field(
            "Time zone", self.zone, "Where the house is: its days, months and times are shown so."
        )
        for field in (self._name_field, Field("Description", self.description), self._zone_field):
            self.body.addWidget(field)
        self.body.addStretch(1)
        if house is None:
            self.foot.setText("Credentials for its edge are generated with it.")
        self.name.textEdited.connect(self._judge_name)
        self.zone.currentTextChanged.connect(self._zone_touched)
        self._initial = self._entries()
        (self.description if house else self.name).setFocus()

    def perform(self) -> None:
        name, description, zone = self._entries()
        if self._house is None:
            self._name_field.set_problem(self._name_problem(name))
        self._zone_field.set_problem(_zone_problem(zone, self._house.time_zone if self._house else ""))
        for field in (self._name_field, self._zone_field):
            if field.problem:
                field.entry.setFocus()
                return
        if self._house is None:
            self._create(name, description, zone)
        else:
            self._change(replace(self._house, description=description, time_zone=zone))

    def _create(self, name: str, description: str, zone: str) -> None:
        database = self.services.session.database

        def create(cloud: Cloud, checkpoint: Callable[[], None]) -> NewHouse | House:
            if cloud.credentials is None:
                return houses.create(database, name, description=description, time_zone=zone)
            return houses.create_with_credentials(
                database,
                cloud.credentials,
                name,
                description=description,
                time_zone=zone,
                checkpoint=checkpoint,
            )

        self.run("Creating", f"Creating house {name}", create, self._was_created)

    def _was_created(self, made: NewHouse | House) -> None:
        self._leaving = True
        self.accept()
        self.created.emit(made)

    def _change(self, house: House) -> None:
        database = self.services.session.database

        def change(_cloud: Cloud, _checkpoint: Callable[[], None]) -> House:
            return houses.update(database, house)

        self.run("Saving", f"Saving house {house.name}", change, self._was_changed)

    def _was_changed(self, house: House) -> None:
        self._leaving = True
        self.accept()
        self.changed.emit(house)

    def failed(self, error: Exception) -> None:
        super().failed(error)
        if isinstance(error, Conflict) and self._house is not None:
            self._look_at_conflict(self._house)
        elif isinstance(error, UserError) and "exists already" in str(error):
            self.strip.be_silent()
            self._names.add(self.name.text().strip())
            self._name_field.set_problem(str(error))
            self.name.setFocus()

    # --- Fields --------------------------------------------------------------------------------------------------

    def _entries(self) -> tuple[str, str, str]:
        return self.name.text().strip(), self.description.text().strip(), self.zone.currentText().strip()

    def _judge_name(self) -> None:
        name = self.name.text().strip()
        self._name_field.set_problem(self._name_problem(name) if name else "")

    def _name_problem(self, name: str) -> str:
        if not name:
            return "Enter a name."
        if not name.isprintable():
            return "A house's name can't hold invisible characters."
        return f"A house {name} exists already. Choose another name." if name in self._names else ""

    def _zone_touched(self) -> None:
        self._zone_field.set_problem("")

    # --- Somebody else changed it --------------------------------------------------------------------------------

    def _look_at_conflict(self, house: House) -> None:
        database = self.services.session.database

        def read() -> House:
            with database.begin() as connection:
                return stored_houses.get(connection, house.house_id)

        self.services.tasks.run(self, read, self._conflict_known, self._conflict_unknown)

    def _conflict_known(self, theirs: House) -> None:
        self._theirs = theirs
        self.strip.say(
            "fault",
            f"{theirs.name} was changed by somebody else meanwhile. Stored now: description “{theirs.description}”, time "
            f"zone {theirs.time_zone}. Nothing was overwritten.",
            (("theirs", "Take theirs"), ("mine", "Keep mine")),
        )
        self.grow()

    def _conflict_unknown(self, error: Exception) -> None:
        gone = isinstance(error, UserError)
        self.strip.say("fault", "It was deleted by somebody else meanwhile." if gone else sentence(error))

    def act_on_strip(self, ident: str) -> None:
        self.strip.be_silent()
        theirs = self._theirs
        if theirs is None:
            return
        self._house = theirs
        if ident == "theirs":
            self.description.setText(theirs.description)
            self.zone.setCurrentText(theirs.time_zone)
            self._initial = self._entries()
        else:
            self.perform()  # knowingly

    # --- Leaving -------------------------------------------------------------------------------------------------

    def reject(self) -> None:
        if self.busy or self._leaving or self._entries() == self._initial:
            super().reject()
            return
        what = self._house.name if self._house else "the new house"
        question = ConfirmDialog(
            "Discard the changes?",
            f"What was entered for {what} is not stored.",
            "Discard changes",
            self,
            refuse="Keep editing",
        )
        question.accepted.connect(self._discard)
        question.open()

    def _discard(self) -> None:
        self._leaving = True
        self.reject()


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
        self.setCompleter(completer)
        line = self.lineEdit()
        if line is not None:
            line.setFont(fonts.font("body"))
            line.setPlaceholderText("Part of a name, such as Los_Angeles")


def _zone_problem(zone: str, present: str) -> str:
    if zone in zones() or zone == present:
        return ""
    return f"There is no time zone {zone}. Choose one from the list." if zone else "Choose a time zone."
