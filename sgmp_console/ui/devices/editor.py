"""The dialog in which a device is made, changed and tested."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from sgmp_console.errors import Conflict, SgmpError, UserError
from sgmp_console.fleet import devices
from sgmp_console.fleet.devices import DeviceError
from sgmp_console.fleet.devices_overview import FormerDevice, former_device
from sgmp_console.store import DatabaseUnavailable, Device, House
from sgmp_console.store import devices as stored_devices
from sgmp_console.ui import fonts
from sgmp_console.ui.devices import words
from sgmp_console.ui.devices.config_editor import ConfigEditor
from sgmp_console.ui.devices.probe_card import ProbeCard
from sgmp_console.ui.devices.same_meter import SameMeterDialog
from sgmp_console.ui.devices.testing import DeviceTest
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import ComboBox, button
from sgmp_console.ui.parts.confirm import ConfirmDialog
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.strip import Strip
from sgmp_edge import contract

_LEFT = 440


@dataclass(frozen=True)
class _Entries:
    """What stands in the form. `config` is None where its JSON can't be read; `text` is that JSON then, else ""."""

    name: str
    type: str
    description: str
    config: Mapping[str, Any] | None = field(repr=False)
    text: str = field(repr=False)


class DeviceEditor(QDialog):
    """`open()` it. `saved` carries the Device as it is stored now; the dialog closes by itself then.

    `device` None makes a new one. `taken`: the names of the house's devices. An account that may not manage devices sees
    everything and changes nothing. Whatever fails, what was typed stays.
    """

    saved = Signal(object)

    def __init__(
        self,
        services: Services,
        house: House,
        device: Device | None,
        taken: Collection[str],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._services = services
        self._house = house
        self._device = device
        self._theirs: Device | None = None
        self._taken = frozenset(taken)
        self._types = contract.device_types()
        self._read_only = not services.session.may("manage_devices")
        self._saving = False
        self._discarding = False
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self._title())
        self._build()
        self.resize(self._size())
        self._fill(device)
        self._initial = self._entries()
        self._connect()

    # --- Building ------------------------------------------------------------------------------------------------

    def _title(self) -> str:
        if self._device is None:
            return "Create device"
        return self._device.name if self._read_only else f"Edit {self._device.name}"

    def _build(self) -> None:
        self.name, self.description = QLineEdit(), QLineEdit()
        for entry in (self.name, self.description):
            entry.setFont(fonts.font("body"))
        self.type = ComboBox()
        self.type.setPlaceholderText("Choose")
        for kind in sorted(self._types.values(), key=lambda one: (not one.declared, one.title.lower())):
            words = kind.name if kind.title == kind.name else f"{kind.title} ({kind.name})"
            self.type.addItem(words, kind.name)
        self.type.setCurrentIndex(-1)
        self.name_field = Field(
            "Device name",
            self.name,
            "Letters, digits and underscores; starts with a letter. Unique in the house.",
        )
        if self._device is not None:
            self.name_field.set_help("The name stays, since formulas refer to it.")
        self.type_field = Field("Type", self.type)
        self.config = ConfigEditor(
            may_reveal=self._device is not None and self._services.session.may("view_secrets"),
            read_only=self._read_only,
            parent=self,
        )
        left = QWidget()
        left.setFixedWidth(_LEFT)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self.name_field)
        column.addWidget(Field("Description, optional", self.description))
        self.description.setAccessibleName("Description")
        column.addWidget(self.type_field)
        column.addWidget(self.config.form, 1)
        self.probe = ProbeCard(self._house.name, self._services.now_ms)
        self.test = DeviceTest(self._services, self._house, self.probe, self)
        right = QVBoxLayout()
        right.setSpacing(16)
        right.addWidget(self.config.json, 5)
        right.addWidget(self.probe, 4)
        middle = QHBoxLayout()
        middle.setSpacing(24)
        middle.addWidget(left)
        middle.addLayout(right, 1)
        self.strip = Strip()
        self.strip.acted.connect(self._act_on_strip)
        self.cancel = button("Close" if self._read_only else "Cancel", self.reject)
        self.save = button(self._save_words(), self._save, "primary")
        self.save.setToolTip("Ctrl+Enter")
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        self._note = label("", "caption", "muted")
        buttons.addWidget(self._note)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.save)
        heading = QHBoxLayout()
        heading.addWidget(label(self.windowTitle(), "heading"))
        heading.addStretch(1)
        heading.addWidget(label(self._house.name, "body", "secondary"))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(24, 16, 24, 16)
        outer.setSpacing(16)
        outer.addLayout(heading)
        outer.addWidget(self.strip)
        outer.addLayout(middle, 1)
        outer.addLayout(buttons)
        self.save.setVisible(not self._read_only)
        for sequence in ("Ctrl+Return", "Ctrl+Enter", "Ctrl+S"):
            QShortcut(QKeySequence(sequence), self, self._save)

    def _save_words(self) -> str:
        return "Save changes" if self._device else "Create device"

    def _fill(self, device: Device | None) -> None:
        if device is not None:
            self.name.setText(device.name)
            self.description.setText(device.description)
            index = self.type.findData(device.type)
            if index < 0:
                # Its driver is not in this console's folder; the edge may have it.
                self.type.addItem(device.type, device.type)
                index = self.type.count() - 1
            self.type.setCurrentIndex(index)
        self.config.set_config(device.config if device else {}, device.type if device else "")
        self._show_type()
        self._set_enabled()
        if self._read_only:
            self.probe.say_nothing("Your role may look at devices, but not change or test them.")
        self._note.setText("" if self._read_only else "The edge learns of it by Synchronize Configuration.")

    def _connect(self) -> None:
        self.name.textEdited.connect(self._name_edited)
        self.name.editingFinished.connect(self._name_left)
        self.type.activated.connect(self._type_chosen)
        self.config.edited.connect(self.probe.mark_outdated)
        self.config.reveal_wanted.connect(self._reveal)
        self.probe.wanted.connect(self._begin_test)
        self.test.failed.connect(self._not_tested)
        (self.description if self._device else self.name).setFocus()

    def _size(self) -> QSize:
        parent = self.parentWidget()
        window = parent.window().size() if parent is not None else QSize(1280, 800)
        return QSize(min(1160, window.width() - 48), min(800, window.height() - 48))

    def _set_enabled(self) -> None:
        free = not self._saving and not self._read_only
        self.name.setEnabled(free and self._device is None)
        for part in (self.description, self.type, self.save):
            part.setEnabled(free)
        self.config.form.setEnabled(not self._saving and self.config.config() is not None)
        self.config.json.setEnabled(not self._saving)
        self.save.setText("Saving" if self._saving else self._save_words())

    # --- Checking ------------------------------------------------------------------------------------------------

    def _entries(self) -> _Entries:
        config = self.config.config()
        return _Entries(
            self.name.text().strip(),
            self.type.currentData() or "",
            self.description.text().strip(),
            config,
            self.config.text.toPlainText() if config is None else "",
        )

    def _name_edited(self) -> None:
        """A letter that no name may have is told at once; that one is still missing, only when the field is left."""
        name = self.name.text().strip()
        problem = self._name_problem(name) if name else ""
        self.name_field.set_problem(problem)

    def _name_left(self) -> None:
        if self._device is None and self.name.text().strip():
            self.name_field.set_problem(self._name_problem(self.name.text().strip()))

    def _name_problem(self, name: str) -> str:
        if not name:
            return "Enter a name."
        problem = contract.name_problem(name)
        if problem:
            return f"{problem[0].upper()}{problem[1:]}."
        if name in self._taken:
            return f"This house has a device {name} already."
        return ""

    def _type_chosen(self) -> None:
        self.type_field.set_problem("")
        self._show_type()
        self.probe.mark_outdated()

    def _show_type(self) -> None:
        name = self.type.currentData()
        kind = self._types.get(name) or (contract.undeclared_type(name) if name else None)
        self.config.set_type(kind)
        if name and name not in self._types:
            self.type_field.set_help(f"This console has no driver file of the type {name}.")
        else:
            self.type_field.set_help("" if name else "What it is; its settings follow from it.")

    # --- Saving --------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        if self._saving or self._read_only:
            return
        entries = self._entries()
        if self._device is None:
            self.name_field.set_problem(self._name_problem(entries.name))
        self.type_field.set_problem("" if entries.type else "Choose the type of the device.")
        usable = self.config.submit()
        if self.name_field.problem:
            self.name.setFocus()
        elif self.type_field.problem:
            self.type.setFocus()
        elif usable and self._device is None:
            self._look_for_former(entries.name)
        elif usable:
            self._store(same_meter=False)

    def _look_for_former(self, name: str) -> None:
        database, house_id = self._services.session.database, self._house.house_id

        def look() -> FormerDevice | None:
            with database.begin() as connection:
                return former_device(connection, house_id, name)

        self.strip.be_silent()
        self._set_saving(True)
        self._services.tasks.run(self, look, self._former_known, self._not_stored, pool="act")

    def _former_known(self, former: FormerDevice | None) -> None:
        if former is None:
            self._store(same_meter=False)
            return
        self._set_saving(False)
        question = SameMeterDialog(former, self._services.now_ms(), ZoneInfo(self._house.time_zone), self)
        question.answered.connect(self._answered)
        question.open()

    def _answered(self, same_meter: bool) -> None:
        self._store(same_meter=same_meter)

    def _store(self, *, same_meter: bool) -> None:
        entries, device = self._entries(), self._device
        config = entries.config
        if config is None:
            return
        database, house_id = self._services.session.database, self._house.house_id

        def store() -> Device:
            if device is None:
                return devices.create(
                    database,
                    house_id,
                    entries.name,
                    entries.type,
                    config,
                    description=entries.description,
                    same_meter=same_meter,
                )
            return devices.update(
                database,
                replace(device, type=entries.type, config=config, description=entries.description),
            )

        self.strip.be_silent()
        self._set_saving(True)
        self._services.tasks.run(self, store, self._stored, self._not_stored, pool="act")

    def _stored(self, device: Device) -> None:
        self._set_saving(False)
        self._discarding = True
        self.saved.emit(device)
        self.accept()

    def _not_stored(self, error: Exception) -> None:
        self._set_saving(False)
        self._tell_unavailable(error)
        if isinstance(error, DeviceError) and error.problems:
            self.config.show_refused(error.problems)
            self.strip.say("fault", str(error))
        elif isinstance(error, Conflict) and self._device is not None:
            self._look_at_conflict(error)
        else:
            self.strip.say("fault", _sentence(error))

    def _set_saving(self, saving: bool) -> None:
        self._saving = saving
        self._set_enabled()

    def _tell_unavailable(self, error: Exception) -> None:
        if isinstance(error, DatabaseUnavailable):
            self._services.connection.lost(error)

    # --- Secrets -------------------------------------------------------------------------------------------------

    def _reveal(self) -> None:
        device = self._device
        if device is None:
            return
        database = self._services.session.database

        def read() -> Mapping[str, Any]:
            with database.begin() as connection:
                return stored_devices.reveal(connection, device.device_id)

        self.config.secrets.setEnabled(False)
        self._services.tasks.run(self, read, self._revealed, self._not_revealed, pool="act")

    def _revealed(self, config: Mapping[str, Any]) -> None:
        self.config.secrets.setEnabled(True)
        unchanged = self._entries() == self._initial
        self.config.reveal(config)
        if unchanged:
            self._initial = self._entries()
        self._note.setText("The audit records that you were shown the secrets.")

    def _not_revealed(self, error: Exception) -> None:
        self.config.secrets.setEnabled(True)
        self._tell_unavailable(error)
        self.strip.say("fault", _sentence(error))

    # --- Test ----------------------------------------------------------------------------------------------------

    def _begin_test(self) -> None:
        entries = self._entries()
        self.type_field.set_problem("" if entries.type else "Choose the type of the device.")
        if self.type_field.problem:
            self.type.setFocus()
        elif self.config.submit() and entries.config is not None:
            device_id = self._device.device_id if self._device else None
            self.test.begin(entries.name or "a device", entries.type, entries.config, device_id)

    def _not_tested(self, error: Exception) -> None:
        self._tell_unavailable(error)
        if isinstance(error, DeviceError) and error.problems:
            self.config.show_refused(error.problems)

    # --- Somebody else changed it --------------------------------------------------------------------------------

    def _look_at_conflict(self, error: Conflict) -> None:
        """Find out what is stored now, so that one can decide."""
        device = self._device
        if device is None:
            return
        database = self._services.session.database
        self.strip.say("fault", str(error))

        def read() -> Device:
            with database.begin() as connection:
                return stored_devices.get(connection, device.device_id)

        self._services.tasks.run(self, read, self._conflict_known, self._gone)

    def _conflict_known(self, theirs: Device) -> None:
        self._theirs = theirs
        mine = self._device
        changed = words.differences(mine, theirs) if mine else ()
        self.strip.say(
            "fault",
            f"{theirs.name} was changed by somebody else meanwhile: {', '.join(changed) or 'a secret'}. Nothing was "
            "overwritten.",
            (("theirs", "Take theirs"), ("mine", "Keep mine")),
        )

    def _gone(self, error: Exception) -> None:
        self._tell_unavailable(error)
        name = self._device.name if self._device else ""
        if not isinstance(error, UserError):
            self.strip.say("fault", _sentence(error))
            return
        self.strip.say(
            "fault",
            f"{name} was deleted by somebody else meanwhile. What is written here can be made again as a new device; "
            "stored secrets must be typed then.",
            (("again", "Create it again"),),
        )

    def _act_on_strip(self, ident: str) -> None:
        self.strip.be_silent()
        if ident == "theirs" and self._theirs is not None:
            self._device = self._theirs
            self._fill(self._theirs)
            self._initial = self._entries()
        elif ident == "mine":
            # From now on ours replaces theirs, knowingly.
            self._device = self._theirs
            self._save()
        elif ident == "again" and self._device is not None:
            self._taken -= {self._device.name}
            self._device = None
            self.config.forget_stored()
            self.save.setText(self._save_words())
            self._save()

    # --- Leaving -------------------------------------------------------------------------------------------------

    def reject(self) -> None:
        """Escape and Cancel; asks where something would be lost."""
        if self._saving:
            return
        if not self._discarding and not self._read_only and self._entries() != self._initial:
            what = self._device.name if self._device else "the new device"
            question = ConfirmDialog(
                "Discard the changes?",
                f"What was written for {what} is not stored.",
                "Discard changes",
                self,
                refuse="Keep editing",
            )
            question.accepted.connect(self._discard)
            question.open()
            return
        super().reject()

    def _discard(self) -> None:
        self._discarding = True
        self.reject()

    def done(self, result: int) -> None:
        self.config.stop()
        self.test.stop()
        self._services.tasks.forget_all(self)
        super().done(result)


def _sentence(error: Exception) -> str:
    if isinstance(error, SgmpError):
        return str(error)
    return "Something in SGMP failed that should not have. What was written is still here; trying again can help."
