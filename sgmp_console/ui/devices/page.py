"""The devices of the house on screen: listed with how they are doing, made, changed, deleted, synchronized."""

from __future__ import annotations

import traceback
from pathlib import Path

from PySide6.QtCore import QPoint, QRectF, Qt, QTimer
from PySide6.QtGui import (
    QAction,
    QGuiApplication,
    QHideEvent,
    QKeySequence,
    QResizeEvent,
    QShortcut,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.errors import SgmpError
from sgmp_console.fleet import device_sheets, devices
from sgmp_console.fleet.devices_overview import DeviceOverview, DevicesOverview, overview
from sgmp_console.store import DatabaseUnavailable, Device
from sgmp_console.ui import fonts, formats
from sgmp_console.ui.bulk.import_dialog import ImportDialog
from sgmp_console.ui.bulk.kinds import devices_of
from sgmp_console.ui.devices.editor import DeviceEditor
from sgmp_console.ui.devices.sync_bar import SyncBar
from sgmp_console.ui.devices.table import DevicesTable
from sgmp_console.ui.houses.synchronize import SynchronizeDialog
from sgmp_console.ui.newest import Newest
from sgmp_console.ui.page import Page, Services
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.confirm import ConfirmDialog
from sgmp_console.ui.parts.files import ask_where_to_save
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.notice import Notice, Skeleton
from sgmp_console.ui.parts.strip import Strip

_MARGIN = 16
_READ_EVERY_MS = 5_000
"""States and ages change by themselves; this is how often an edge's poll could change them."""


class DevicesPage(Page):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self._manages = services.session.may("manage_devices")
        self._synchronizes = services.session.may("manage_houses") and services.session.may("view_secrets")
        self._overview: DevicesOverview | None = None
        self._house_id: int | None = None
        self._select_after = 0
        self._to_delete: list[int] = []
        self._said = ""
        self._loads = Newest[DevicesOverview](services.tasks, self._loaded, self._not_loaded, self)
        self._stack = QStackedLayout(self)
        self._skeleton = Skeleton("Loading the devices of this house")
        self._content = self._build_content()
        self._stack.addWidget(self._skeleton)
        self._stack.addWidget(self._content)
        self._notice: Notice | None = None
        self._again = QTimer(self)
        self._again.setInterval(_READ_EVERY_MS)
        self._again.timeout.connect(self._refresh)
        services.live.loading.connect(self._house_may_have_changed)
        services.connection.restored.connect(self.reload)

    # --- The content ---------------------------------------------------------------------------------------------

    def _build_content(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        column.setSpacing(_MARGIN)
        self.search = QLineEdit()
        self.search.setFont(fonts.font("body"))
        self.search.setPlaceholderText("Search devices")
        self.search.setAccessibleName("Search devices")
        self.search.setClearButtonEnabled(True)
        self.search.setFixedWidth(240)
        self.table = DevicesTable(self.services.now_ms)
        self.search.textChanged.connect(self._searched)
        self._count = label("", "caption", "muted")
        self._make_actions()
        bar = QHBoxLayout()
        bar.setSpacing(8)
        bar.addWidget(self.search)
        bar.addWidget(self._count)
        bar.addStretch(1)
        self._buttons: dict[QAction, QPushButton] = {}
        for action in self.actions():
            made = button(action.text(), action.trigger, "primary" if action is self.create_action else "")
            self._buttons[action] = made
            bar.addWidget(made)
        column.addLayout(bar)
        self.strip = Strip()
        self.strip.acted.connect(self._act)
        column.addWidget(self.strip)
        self.sync = SyncBar(offered=self._synchronizes)
        self.sync.wanted.connect(self._synchronize)
        column.addWidget(self.sync)
        card = QFrame()
        card.setProperty("surface", "card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(1, 4, 1, 4)
        inside.addWidget(self.table)
        self._none_found = label("", "body", "muted")
        self._none_found.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._none_found.setMinimumHeight(96)
        self._none_found.hide()
        inside.addWidget(self._none_found)
        column.addWidget(card, 1)
        self.table.doubleClicked.connect(self.edit_action.trigger)
        self.table.selectionModel().selectionChanged.connect(self._show_actions)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._open_menu)
        self._keys()
        return page

    def _make_actions(self) -> None:
        self.create_action = QAction("Create device", self)
        self.edit_action = QAction("Edit" if self._manages else "Open", self)
        self.delete_action = QAction("Delete", self)
        self.import_action = QAction("Import", self)
        self.export_action = QAction("Export", self)
        for action, do, offered in (
            (self.export_action, self._export, True),
            (self.import_action, self._import, self._manages),
            (self.delete_action, self._ask_to_delete, self._manages),
            (self.edit_action, self._edit, True),
            (self.create_action, self._create, self._manages),
        ):
            action.triggered.connect(do)
            if offered:
                self.addAction(action)

    def _keys(self) -> None:
        """On the table Enter edits and Delete deletes; anywhere on the page Ctrl+N creates and Ctrl+F searches."""
        table, page = Qt.ShortcutContext.WidgetShortcut, Qt.ShortcutContext.WidgetWithChildrenShortcut
        for keys, action, on, context in (
            ("Return", self.edit_action, self.table, table),
            ("Enter", self.edit_action, self.table, table),
            ("F2", self.edit_action, self.table, table),
            ("Del", self.delete_action, self.table, table),
            ("Ctrl+N", self.create_action, self, page),
        ):
            if action in self.actions():
                shortcut = QShortcut(QKeySequence(keys), on)
                shortcut.setContext(context)
                shortcut.activated.connect(action.trigger)
        find = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self)
        find.setContext(page)
        find.activated.connect(self._focus_search)
        copy = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.table)
        copy.setContext(table)
        copy.activated.connect(self._copy)
        leave = QShortcut(QKeySequence("Escape"), self.search)
        leave.setContext(table)
        leave.activated.connect(self.search.clear)

    def _open_menu(self, at: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions(list(reversed(self.actions())))
        menu.popup(self.table.viewport().mapToGlobal(at))

    def _show_actions(self) -> None:
        chosen = self.table.chosen()
        self.edit_action.setEnabled(len(chosen) == 1)
        self.delete_action.setEnabled(bool(chosen))
        self.delete_action.setText(f"Delete {len(chosen)} devices" if len(chosen) > 1 else "Delete")
        self.export_action.setEnabled(self._overview is not None and bool(self._overview.devices))
        for action, made in self._buttons.items():
            made.setEnabled(action.isEnabled())
            made.setText(action.text())

    def _searched(self, text: str) -> None:
        self.table.proxy.search(text)
        self._show_count()

    def _show_count(self) -> None:
        found, all_of_them = self.table.proxy.rowCount(), self.table.devices.rowCount()
        counted = formats.count(all_of_them, "device")
        self._count.setText(counted if found == all_of_them else f"{found} of {counted}")
        self.table.setVisible(found > 0)
        self._none_found.setVisible(found == 0)
        self._none_found.setText(
            f"No device has “{self.search.text().strip()}” in its name, type, description or state."
        )

    def _focus_search(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    def _copy(self) -> None:
        rows = [row.device for row in self.table.chosen()]
        if rows:
            lines = [f"{device.name}\t{device.type}\t{device.description}" for device in rows]
            QGuiApplication.clipboard().setText("\n".join(lines))

    # --- Loading -------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the list again; what is selected and typed stays."""
        house_id = self.services.live.house_id
        if house_id is None:
            return
        if house_id != self._house_id:
            self._house_id = house_id
            self._overview = None
            self._said = ""
            self.search.clear()
            self.strip.be_silent()
            self._show_loading()
        database, now_ms = self.services.session.database, self.services.now_ms()

        def read() -> DevicesOverview:
            with database.begin() as connection:
                return overview(connection, house_id, now_ms)

        self._loads.ask(read)

    def _refresh(self) -> None:
        if self._overview is None:
            return
        self.table.devices.grow_older()
        if self.services.connection.online:
            self.reload()

    def _house_may_have_changed(self) -> None:
        if self.services.live.house_id != self._house_id and self.isVisible():
            self.reload()

    def _loaded(self, found: DevicesOverview) -> None:
        if found.house.house_id != self._house_id:
            return
        self._skeleton.end()
        before, self._overview = self._overview, found
        if not found.devices:
            same = before is not None and not before.devices and before.sync == found.sync
            if not same or self._stack.currentWidget() is not self._notice:
                self._show_empty(found)
            return
        self.table.set_rows(found.devices, found.edge)
        if self._select_after:
            self.table.select({self._select_after})
            self._select_after = 0
        self._show_count()
        self._show_actions()
        self.sync.show_state(found, self.services.now_ms())
        self._show_said()
        self._stack.setCurrentWidget(self._content)

    def _not_loaded(self, error: Exception) -> None:
        away = isinstance(error, DatabaseUnavailable)
        if isinstance(error, DatabaseUnavailable):
            self.services.connection.lost(error)
            if self._overview is not None:
                return  # what is on screen stays, and the window's banner says the rest
        self._skeleton.end()
        expected = isinstance(error, SgmpError)
        self._show_notice(
            Notice(
                "offline" if away else "fault",
                "The devices of this house could not be loaded",
                str(error)
                if expected
                else "Something in SGMP failed that should not have. Retrying can help.",
                (("retry", "Retry"),),
                "" if expected else "".join(traceback.format_exception(error)),
                tint="ink_muted" if expected else "state_fault",
            )
        )

    # --- What stands there instead, and beside ---------------------------------------------------------------------

    def _show_loading(self) -> None:
        self._stack.setCurrentWidget(self._skeleton)
        self._lay_skeleton()
        self._skeleton.begin()

    def _show_empty(self, found: DevicesOverview) -> None:
        if self._manages:
            sentence = (
                "A device is something the house's edge reads: a meter, a battery, a charging station. Once it is made "
                "and the configuration is synchronized, its readings arrive here."
            )
            actions: tuple[tuple[str, str], ...] = (("create", "Create device"), ("import", "Import"))
            if self._synchronizes and found.sync.version is not None and found.sync.changed:
                sentence = "The edge goes on reading the devices that were deleted until the configuration is synchronized."
                actions = (*actions, ("synchronize", "Synchronize Configuration"))
        else:
            role = self.services.session.account.role
            sentence = f"Somebody who manages devices can make them; your role {role} can not."
            actions = ()
        self._show_notice(Notice("device", f"{found.house.name} has no devices yet", sentence, actions))

    def _show_notice(self, notice: Notice) -> None:
        if self._notice is not None and self._notice.says == notice.says:
            notice.deleteLater()
            self._stack.setCurrentWidget(self._notice)
            return
        if self._notice is not None:
            self._stack.removeWidget(self._notice)
            self._notice.deleteLater()
        self._notice = notice
        notice.acted.connect(self._act)
        self._stack.addWidget(notice)
        self._stack.setCurrentWidget(notice)

    def _show_said(self) -> None:
        """What the last act had to say."""
        if self._said:
            self.strip.say("warning", self._said, (("dismiss", "Dismiss"),))
        else:
            self.strip.be_silent()

    def _say(self, what: str) -> None:
        self._said = what
        self._show_said()

    def _act(self, ident: str) -> None:
        if ident == "retry":
            self._retry()
        elif ident == "create":
            self._create()
        elif ident == "import":
            self._import()
        elif ident == "synchronize":
            self._synchronize()
        elif ident == "dismiss":
            self._say("")

    def _retry(self) -> None:
        if self.services.connection.online:
            self.reload()
        else:
            self.services.connection.retry_now()

    # --- Acts ----------------------------------------------------------------------------------------------------

    def _create(self) -> None:
        self._open_editor(None)

    def _edit(self) -> None:
        chosen = self.table.chosen()
        if len(chosen) == 1:
            self._open_editor(chosen[0].device)

    def _open_editor(self, device: Device | None) -> None:
        found = self._overview
        if found is not None:
            taken = {row.device.name for row in found.devices}
            editor = DeviceEditor(self.services, found.house, device, taken, self)
            editor.saved.connect(self._saved)
            editor.open()

    def _saved(self, device: Device) -> None:
        self._select_after = device.device_id
        self.reload()
        # What Home is made of has changed.
        self.services.live.reload()

    def _ask_to_delete(self) -> None:
        chosen = self.table.chosen()
        if not chosen:
            return
        used = [f"{row.device.name} is used by {', '.join(row.used_by)}" for row in chosen if row.used_by]
        if used:
            self._say(f"Nothing was deleted: {'; '.join(used)}. Change or delete these analytic items first.")
            return
        what = chosen[0].device.name if len(chosen) == 1 else f"{len(chosen)} devices"
        question = ConfirmDialog(f"Delete {what}?", _consequences(chosen), f"Delete {what}", self)
        self._to_delete = [row.device.device_id for row in chosen]
        question.accepted.connect(self._delete)
        question.open()

    def _delete(self) -> None:
        database, house_id, device_ids = self.services.session.database, self._house_id, self._to_delete
        if house_id is None:
            return
        self.services.tasks.run(
            self,
            lambda: devices.delete(database, house_id, device_ids),
            self._deleted,
            self._not_done,
            pool="act",
        )

    def _deleted(self, _nothing: None) -> None:
        self._said = ""
        self.reload()
        self.services.live.reload()

    def _not_done(self, error: Exception) -> None:
        if isinstance(error, DatabaseUnavailable):
            self.services.connection.lost(error)
        self._say(
            str(error)
            if isinstance(error, SgmpError)
            else "Something in SGMP failed that should not have. Look at the list before trying again."
        )
        self.reload()

    def _synchronize(self) -> None:
        found = self._overview
        if found is not None:
            dialog = SynchronizeDialog(self.services, found.house, self)
            dialog.sent.connect(self._synchronized)
            dialog.open()

    def _synchronized(self) -> None:
        self._said = ""
        self.reload()

    def _import(self) -> None:
        found = self._overview
        if found is not None:
            dialog = ImportDialog(self.services, devices_of(self.services, found.house), self)
            dialog.imported.connect(self._imported)
            dialog.open()

    def _imported(self) -> None:
        self.reload()
        self.services.live.reload()

    def _export(self) -> None:
        found = self._overview
        if found is not None:
            ask_where_to_save(
                self,
                "Export devices",
                f"{found.house.name} devices.csv",
                "CSV files (*.csv)",
                self._export_to,
            )

    def _export_to(self, path: Path) -> None:
        database, house_id = self.services.session.database, self._house_id
        if house_id is None:
            return

        def write() -> int:
            with database.begin() as connection:
                return device_sheets.export_devices(connection, house_id, path)

        self.services.tasks.run(self, write, self._exported, self._not_done, pool="act")

    def _exported(self, count: int) -> None:
        self._said = ""
        self.strip.say(
            "info",
            f"{formats.count(count, 'device was', 'devices were')} exported. Secrets are masked: *** in the file keeps what is "
            "stored when it is imported again.",
            (("dismiss", "Dismiss"),),
        )

    # --- Events --------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._again.start()
        self.reload()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._again.stop()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._lay_skeleton()

    def _lay_skeleton(self) -> None:
        width, top = self.width() - 2 * _MARGIN, 2 * _MARGIN + 34
        self._skeleton.set_blocks(
            (
                QRectF(_MARGIN, _MARGIN, 240, 34),
                QRectF(_MARGIN, top, width, 52),
                QRectF(_MARGIN, top + 52 + _MARGIN, width, max(120, self.height() - top - 52 - 2 * _MARGIN)),
            )
        )


def _consequences(chosen: list[DeviceOverview]) -> str:
    several = len(chosen) > 1
    listed = f"{', '.join(row.device.name for row in chosen)}. " if several else ""
    whose = "Their" if several else "Its"
    them = "them" if several else "it"
    return (
        f"{listed}{whose} history stays: readings and events are kept, and a new device of the same name can continue "
        f"them. {whose} config is not used any more. The edge goes on reading {them} until the configuration is "
        "synchronized."
    )
