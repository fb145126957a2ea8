"""The dialog in which a device is created, changed and tested."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from sgmp_console.errors import Taken, UserError
from sgmp_console.fleet import devices
from sgmp_console.fleet.devices import DeviceError
from sgmp_console.fleet.devices_overview import FormerDevice, former_device
from sgmp_console.store import Device, House
from sgmp_console.store import devices as stored_devices
from sgmp_console.store.devices import MASK
from sgmp_console.ui import edge_words, fonts
from sgmp_console.ui.dialogs.edit_dialog import EditDialog
from sgmp_console.ui.explain import explain_in_form
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.devices.config_editor import SCROLL_ROOM, ConfigEditor
from sgmp_console.ui.pages.devices.probe_card import ProbeCard
from sgmp_console.ui.pages.devices.same_meter import SameMeterDialog
from sgmp_console.ui.pages.devices.testing import DeviceTest
from sgmp_console.ui.parts.buttons import ComboBox
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.tasks import Report
from sgmp_edge import contract

_FORM_WIDTH = 440


@dataclass(frozen=True)
class _Entries:
    """What stands in the form. `config` is None where its JSON can't be read; `text` is that JSON then, else ""."""

    name: str
    type: str
    description: str
    config: Mapping[str, Any] | None = field(repr=False)
    text: str = field(repr=False)


class _FormerDeviceFound(UserError):
    """Whose history the new device continues must be decided first."""

    def __init__(self, former: FormerDevice) -> None:
        super().__init__(f"This house had a device {former.device.name} before.")
        self.former = former


class DeviceEditor(EditDialog[Device]):
    """`device` None creates one. `taken`: the names of the house's devices. An account that may not manage devices
    sees everything and changes nothing.
    """

    def __init__(
        self,
        services: Services,
        house: House,
        device: Device | None,
        taken: Collection[str],
        parent: QWidget | None = None,
        *,
        like: Device | None = None,
    ) -> None:
        """`like`: the device that a new one begins as, without its name and secrets."""
        may_change = services.session.may("manage_devices")
        title = f"Edit {device.name}" if device and may_change else device.name if device else "Create device"
        verb, doing = ("Save changes", "Saving") if device else ("Create device", "Creating")
        super().__init__(services, title, verb, doing, parent, context=house.name)
        self._house = house
        self._device = device
        self._taken = frozenset(taken)
        self._types = contract.device_types()
        self._read_only = not may_change
        self._secrets_had_focus = False
        self._same_meter: bool | None = None
        """Whether a new device continues a former one of its name; None until that was asked."""
        self._build()
        self.resize(self._size())
        if device is not None:
            self.fill(device)
        elif like is not None:
            self._fill_like(like)
        else:
            self._show_config({}, "")
        self._show_whole_form()
        self.set_free(True)
        self.mark_clean()
        self._connect()

    # --- Building ------------------------------------------------------------------------------------------------

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
            self.name_field.set_help("The name can't change, since formulas refer to it.")
        self.type_field = Field("Type", self.type)
        self.config = ConfigEditor(
            may_reveal=self._device is not None and self.services.session.may("view_secrets"),
            read_only=self._read_only,
            parent=self,
        )
        left = QWidget()
        left.setFixedWidth(_FORM_WIDTH)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        # As wide as the entries of the form below, which leaves room for its scroll bar.
        head = QVBoxLayout()
        head.setContentsMargins(0, 0, SCROLL_ROOM, 0)
        head.setSpacing(12)
        head.addWidget(self.name_field)
        head.addWidget(Field("Description, optional", self.description))
        self.description.setAccessibleName("Description")
        head.addWidget(self.type_field)
        column.addLayout(head)
        column.addWidget(self.config.form, 1)
        self.probe = ProbeCard(self._house.name, self.services.now_ms)
        self.test = DeviceTest(self.services, self._house, self.probe, self)
        right = QVBoxLayout()
        right.setSpacing(16)
        right.addWidget(self.config.json, 5)
        right.addWidget(self.probe, 4)
        middle = QHBoxLayout()
        middle.setSpacing(24)
        middle.addWidget(left)
        middle.addLayout(right, 1)
        self.lay_out(middle)
        if self._read_only:
            self.act.hide()
            self.set_refuse("Close")
            self.probe.say_nothing("Your role may look at devices, but not change or test them.")
        else:
            self.note.setText("The edge applies it after Synchronize Configuration.")

    def fill(self, stored: Device) -> None:
        self.name.setText(stored.name)
        self.description.setText(stored.description)
        index = self.type.findData(stored.type)
        if index < 0:
            # Its driver is not in this console's folder; the edge may have it.
            self.type.addItem(stored.type, stored.type)
            index = self.type.count() - 1
        self.type.setCurrentIndex(index)
        self._show_config(stored.config, stored.type)

    def _fill_like(self, like: Device) -> None:
        self.description.setText(like.description)
        self.type.setCurrentIndex(self.type.findData(like.type))
        self._show_config({key: value for key, value in like.config.items() if value != MASK}, "")

    def _show_config(self, config: Mapping[str, Any], kind: str) -> None:
        self.config.set_config(config, kind)
        self._show_type()

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
        room = self._room()
        return QSize(min(1160, room.width()), min(800, room.height()))

    def _room(self) -> QSize:
        parent = self.parentWidget()
        window = parent.window().size() if parent is not None else QSize(1280, 800)
        return window - QSize(48, 48)

    def _show_whole_form(self) -> None:
        """As much higher as the settings of the device need, where the window has the room."""
        layout, settings = self.layout(), self.config.form.widget()
        if layout is None or settings is None:
            return
        layout.activate()
        hidden = settings.sizeHint().height() - self.config.form.height()
        if hidden > 0:
            self.resize(self.width(), min(self.height() + hidden, self._room().height()))

    def set_free(self, free: bool) -> None:
        self.name.setEnabled(free)
        self.name.setReadOnly(self._device is not None)
        self.description.setEnabled(free)
        self.description.setReadOnly(self._read_only)
        self.type.setEnabled(free)
        self.type.set_read_only(self._read_only)
        self.config.form.setEnabled(free and self.config.config() is not None)
        self.config.json.setEnabled(free)

    # --- Checking ------------------------------------------------------------------------------------------------

    def entries(self) -> _Entries:
        config = self.config.config()
        return _Entries(
            self.name.text().strip(),
            self.type.currentData() or "",
            self.description.text().strip(),
            config,
            self.config.text.toPlainText() if config is None else "",
        )

    def _name_edited(self) -> None:
        """A letter that no name may have is reported at once; an empty name only when the field is left."""
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

    # --- Storing -------------------------------------------------------------------------------------------------

    def valid(self) -> bool:
        entries = self.entries()
        if self._device is None:
            self.name_field.set_problem(self._name_problem(entries.name))
        self.type_field.set_problem("" if entries.type else "Choose the type of the device.")
        usable = self.config.submit()
        if self.name_field.problem:
            self.name.setFocus()
        elif self.type_field.problem:
            self.type.setFocus()
        return usable and not self.name_field.problem and not self.type_field.problem

    def work(self) -> Callable[[Report], Device]:
        entries, device, same_meter = self.entries(), self._device, self._same_meter
        database, house_id, config = (
            self.services.session.database,
            self._house.house_id,
            entries.config or {},
        )

        def create(_report: Report) -> Device:
            if same_meter is None:
                with database.begin() as connection:
                    former = former_device(connection, house_id, entries.name)
                if former is not None:
                    raise _FormerDeviceFound(former)
            return devices.create(
                database,
                house_id,
                entries.name,
                entries.type,
                config,
                description=entries.description,
                same_meter=bool(same_meter),
            )

        if device is None:
            return create
        changed = replace(device, type=entries.type, config=config, description=entries.description)
        return lambda _report: devices.update(database, changed)

    def place(self, error: Exception) -> bool:
        if isinstance(error, _FormerDeviceFound):
            zone = ZoneInfo(self._house.time_zone)
            question = SameMeterDialog(error.former, self.services.now_ms(), zone, self)
            question.answered.connect(self._answered)
            question.open()
        elif isinstance(error, DeviceError) and error.problems:
            self.config.show_refused(error.problems)
            self.message_bar.say("fault", str(error))
        elif isinstance(error, Taken):
            self.name_field.set_problem(str(error))
            self.name.setFocus()
        else:
            return False
        return True

    def _answered(self, same_meter: bool) -> None:
        self._same_meter = same_meter
        self.perform()
        self._same_meter = None

    # --- Secrets -------------------------------------------------------------------------------------------------

    def _reveal(self) -> None:
        device = self._device
        if device is None:
            return
        database = self.services.session.database

        def read() -> Mapping[str, Any]:
            with database.begin() as connection:
                return stored_devices.reveal(connection, device.device_id)

        self._secrets_had_focus = self.config.secrets.hasFocus()
        self.config.secrets.setEnabled(False)
        self.services.tasks.run(self, read, self._revealed, self._not_revealed, pool="act")

    def _revealed(self, config: Mapping[str, Any]) -> None:
        self._enable_secrets()
        changed = self.changed
        self.config.reveal(config)
        if not changed:
            self.mark_clean()
        self.note.setText("The audit records that you were shown the secrets.")

    def _enable_secrets(self) -> None:
        self.config.secrets.setEnabled(True)
        if self._secrets_had_focus:
            self.config.secrets.setFocus()

    def _not_revealed(self, error: Exception) -> None:
        self._enable_secrets()
        self.report_unavailable(error)
        self.message_bar.say("fault", explain_in_form(error))

    # --- Test ----------------------------------------------------------------------------------------------------

    def _begin_test(self) -> None:
        entries = self.entries()
        self.type_field.set_problem("" if entries.type else "Choose the type of the device.")
        if self.type_field.problem:
            self.type.setFocus()
        elif self.config.submit() and entries.config is not None:
            device_id = self._device.device_id if self._device else None
            self.test.begin(entries.name or "a device", entries.type, entries.config, device_id)

    def _not_tested(self, error: Exception) -> None:
        self.report_unavailable(error)
        if isinstance(error, DeviceError) and error.problems:
            self.config.show_refused(error.problems)

    # --- Somebody else changed it --------------------------------------------------------------------------------

    def reread(self) -> Callable[[], Device] | None:
        if self._device is None:
            return None
        database, device_id = self.services.session.database, self._device.device_id

        def read() -> Device:
            with database.begin() as connection:
                return stored_devices.get(connection, device_id)

        return read

    def describe(self, stored: Device) -> str:
        changed = edge_words.differences(self._device, stored) if self._device else ()
        return ", ".join(changed) or "another secret"

    def rebase(self, stored: Device) -> None:
        self._device = stored

    def recreate(self) -> Callable[[], None] | None:
        return None if self._device is None else self._become_new

    def _become_new(self) -> None:
        if self._device is not None:
            self._taken -= {self._device.name}
        self._device = None
        self.config.forget_stored()

    # --- Leaving -------------------------------------------------------------------------------------------------

    def done(self, result: int) -> None:
        self.config.stop()
        self.test.stop()
        super().done(result)
