"""The devices of the house on screen: listed with their state, created, changed, deleted, synchronized."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtWidgets import QVBoxLayout, QWidget

from sgmp_console.fleet import device_sheets, devices, in_use
from sgmp_console.fleet.devices_overview import DevicesOverview, overview
from sgmp_console.store import Device
from sgmp_console.ui import edge_words, formats
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.dialogs.import_dialog import ImportDialog
from sgmp_console.ui.dialogs.import_kinds import devices_of
from sgmp_console.ui.dialogs.synchronize import SynchronizeDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.devices.columns import COLUMNS, DeviceRow
from sgmp_console.ui.pages.devices.editor import DeviceEditor
from sgmp_console.ui.pages.devices.sync_bar import SyncBar
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.files import ask_where_to_save_sheet
from sgmp_console.ui.parts.list_page import CREATE_KEYS, DELETE_KEYS, ListAction, ListPage

_READ_EVERY_MS = 5_000
"""States and ages change by themselves; this is how often an edge's poll could change them."""


class DevicesPage(ListPage[DeviceRow, DevicesOverview]):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        self._manages = services.session.may("manage_devices")
        self._synchronizes = services.session.may("manage_houses") and services.session.may("view_secrets")
        super().__init__(
            services,
            noun="device",
            columns=COLUMNS,
            id_=lambda row: row.overview.device.device_id,
            of_house=True,
            every_ms=_READ_EVERY_MS,
            copied=_copied,
            parent=parent,
        )
        words = "Edit" if self._manages else "Show config"
        edit = ListAction("edit", words, self._edit, "one", keys=("F2",))
        shown = ListAction(
            "open", "Open", self._open, "one", keys=("Return", "Enter"), primary=not self._manages
        )
        acts = [ListAction("export", "Export", self._export), edit, shown]
        if self._manages:
            acts = [
                ListAction("export", "Export", self._export),
                ListAction("import", "Import", self._import),
                ListAction("delete", "Delete", self._ask_to_delete, "some", counted=True, keys=DELETE_KEYS),
                ListAction("duplicate", "Duplicate", self._duplicate, "one"),
                edit,
                shown,
                ListAction("create", "Create device", self._create, keys=CREATE_KEYS, primary=True),
            ]
        self.declare(acts)

    def beside(self, layout: QVBoxLayout) -> None:
        self.sync = SyncBar(offered=self._synchronizes)
        self.sync.wanted.connect(self._synchronize)
        self.sync.edge_wanted.connect(self._show_edge)
        layout.addWidget(self.sync)

    # --- The list --------------------------------------------------------------------------------------------------

    def reader(self) -> Callable[[], DevicesOverview]:
        # A list of a house is read only once there is a house on screen; 0 is none.
        database, house_id, now_ms = (
            self.services.session.database,
            self._house_id or 0,
            self.services.now_ms(),
        )

        def read() -> DevicesOverview:
            with database.begin() as connection:
                return overview(connection, house_id, now_ms)

        return read

    def loaded(self, found: DevicesOverview) -> None:
        self.sync.show_state(found, self.services.now_ms())

    def rows_of(self, found: DevicesOverview) -> Sequence[DeviceRow]:
        now_ms = self.services.now_ms()
        return [
            DeviceRow(one, edge_words.device_state(one, found.edge, now_ms), now_ms) for one in found.devices
        ]

    def empty_state(self, found: DevicesOverview) -> EmptyState:
        headline = f"{found.house.name} has no devices yet"
        if not self._manages:
            role = self.services.session.account.role
            return EmptyState(
                "device",
                headline,
                f"Your role {role} can't create devices. An account that manages devices can.",
            )
        sentence = (
            "A device is something the house's edge reads: a meter, a battery, a charging station. Once it is created and the "
            "configuration is synchronized, its readings arrive here."
        )
        actions: tuple[tuple[str, str], ...] = (("create", "Create device"), ("import", "Import"))
        if self._synchronizes and found.sync.version is not None and found.sync.changed:
            sentence = "The edge goes on reading the devices that were deleted until the configuration is synchronized."
            actions = (*actions, ("synchronize", "Synchronize Configuration"))
        return EmptyState("device", headline, sentence, actions)

    def actions_shown(self, chosen: Sequence[DeviceRow]) -> None:
        self.action("export").setEnabled(self.found is not None and bool(self.found.devices))

    def acted(self, id_: str) -> None:
        if id_ == "synchronize":
            self._synchronize()

    # --- Creating and editing --------------------------------------------------------------------------------------

    def _create(self) -> None:
        self._open_editor(None)

    def _show_edge(self) -> None:
        self.services.navigate("edge")

    def _open(self) -> None:
        chosen = self.table.chosen()
        if len(chosen) == 1:
            self.services.show_device(chosen[0].overview.device.name)

    def _edit(self) -> None:
        chosen = self.table.chosen()
        if len(chosen) == 1:
            self._open_editor(chosen[0].overview.device)

    def _duplicate(self) -> None:
        chosen = self.table.chosen()
        if len(chosen) == 1:
            self._open_editor(None, like=chosen[0].overview.device)

    def _open_editor(self, device: Device | None, like: Device | None = None) -> None:
        found = self.found
        if found is not None:
            taken = {row.device.name for row in found.devices}
            editor = DeviceEditor(self.services, found.house, device, taken, self, like=like)
            editor.saved.connect(self._saved)
            editor.open()

    def _saved(self, device: Device) -> None:
        self.reload_and_select(device.device_id)
        self._home_changed()

    def _home_changed(self) -> None:
        """What Home is made of has changed."""
        self.services.live.reload()

    # --- Deleting --------------------------------------------------------------------------------------------------

    def _ask_to_delete(self) -> None:
        chosen = [row.overview for row in self.table.chosen()]
        if not chosen:
            return
        if problem := in_use.refusal({one.device.name: one.used_by for one in chosen}):
            self.say(problem)
            return
        names = [one.device.name for one in chosen]
        what = names[0] if len(names) == 1 else f"{len(names)} devices"
        device_ids = [one.device.device_id for one in chosen]
        confirm(
            f"Delete {what}?",
            _consequences(names),
            f"Delete {what}",
            self,
            partial(self._delete, chosen[0].device.house_id, device_ids),
        )

    def _delete(self, house_id: int, device_ids: Sequence[int]) -> None:
        database = self.services.session.database
        self.run_act(
            "Deleting devices", lambda _report: devices.delete(database, house_id, device_ids), self._deleted
        )

    def _deleted(self, _nothing: None) -> None:
        self.changed()
        self._home_changed()

    # --- Synchronizing ---------------------------------------------------------------------------------------------

    def _synchronize(self) -> None:
        found = self.found
        if found is not None:
            dialog = SynchronizeDialog(self.services, found.house, self)
            dialog.sent.connect(self.changed)
            dialog.open()

    # --- Files -----------------------------------------------------------------------------------------------------

    def _import(self) -> None:
        found = self.found
        if found is not None:
            dialog = ImportDialog(self.services, devices_of(self.services, found.house), self)
            dialog.imported.connect(self._imported)
            dialog.open()

    def _imported(self) -> None:
        self.reload()
        self._home_changed()

    def _export(self) -> None:
        found = self.found
        if found is not None:
            ask_where_to_save_sheet(
                self, "Export devices", f"{found.house.name} devices.csv", self._export_to
            )

    def _export_to(self, path: Path, delimiter: str) -> None:
        database, house_id = self.services.session.database, self._house_id
        if house_id is None:
            return

        def write() -> int:
            with database.begin() as connection:
                return device_sheets.export_devices(connection, house_id, path, delimiter=delimiter)

        self.services.tasks.run(self, write, self._exported, self.not_done, pool="act")

    def _exported(self, count: int) -> None:
        counted = formats.count(count, "device was", "devices were")
        self.say(
            f"{counted} exported. Secrets are masked: *** in the file keeps what is stored when it is imported again.",
            "info",
        )


def _copied(row: DeviceRow) -> Sequence[str]:
    device = row.overview.device
    return (device.name, device.type, device.description)


def _consequences(names: Sequence[str]) -> str:
    several = len(names) > 1
    listed = f"{', '.join(names)}. " if several else ""
    whose, them = ("Their", "them") if several else ("Its", "it")
    return (
        f"{listed}{whose} history stays: readings and events are kept, and a new device of the same name can continue "
        f"them. {whose} config is not used any more. The edge goes on reading {them} until the configuration is "
        "synchronized."
    )
