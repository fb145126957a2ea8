"""All houses: listed with how they stand, made, changed, given credentials, synchronized, deleted."""

from __future__ import annotations

import traceback
from zoneinfo import ZoneInfo

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
from sgmp_console.fleet import houses_overview
from sgmp_console.fleet.edge_state import Presence
from sgmp_console.fleet.houses import NewCredentials, NewHouse
from sgmp_console.fleet.houses_overview import HouseOverview
from sgmp_console.fleet.sync import Outcome
from sgmp_console.store import DatabaseUnavailable, House
from sgmp_console.ui import fonts, formats
from sgmp_console.ui.devices import words
from sgmp_console.ui.houses.acts import NO_CREDENTIALS, DeleteDialog, RenewDialog, RevokeDialog
from sgmp_console.ui.houses.cells import Cell, CellTable, Column, Row
from sgmp_console.ui.houses.credentials import CredentialsDialog, first_steps, renewal_steps
from sgmp_console.ui.houses.form import HouseForm
from sgmp_console.ui.houses.synchronize import SynchronizeDialog
from sgmp_console.ui.newest import Newest
from sgmp_console.ui.page import Page, Services
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.notice import Notice, Skeleton
from sgmp_console.ui.parts.strip import Strip

_MARGIN = 16
_READ_EVERY_MS = 5_000
_COLUMNS = (
    Column("Name", 144),
    Column("Description", 0),
    Column("Time zone", 168),
    Column("Devices", 84, is_number=True),
    Column("Edge", 128),
    Column("Newest reading", 128),
    Column("Configuration", 152),
    Column("Credentials", 104),
)
_EDGE = {
    Presence.ONLINE: ("Online", "check", "state_ok"),
    Presence.OFFLINE: ("Offline", "offline", "state_fault"),
    Presence.STOPPED: ("Stopped", "offline", "ink_muted"),
    Presence.SILENT: ("Silent", "warning", "state_warning"),
    Presence.NEVER: ("Never heard", "clock", "ink_muted"),
}
_SYNC = {
    Outcome.NEVER: ("Never sent", "info", "ink_muted"),
    Outcome.PENDING: ("Not confirmed", "clock", "ink_muted"),
    Outcome.IN_SYNC: ("In sync", "check", "state_ok"),
    Outcome.REJECTED: ("Refused by the edge", "fault", "state_fault"),
    Outcome.DRIFTED: ("Drifted", "warning", "state_warning"),
}


class HousesPage(Page):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self._rows: dict[int, HouseOverview] = {}
        self._valid: dict[int, tuple[str, ...]] | None = None
        self._credentials_said = "Not looked up yet."
        self._select_after = 0
        self._has_loaded = False
        self._loads = Newest[list[HouseOverview]](services.tasks, self._loaded, self._not_loaded, self)
        self._credentials = Newest[dict[int, tuple[str, ...]] | None](
            services.tasks, self._credentials_known, self._credentials_unknown, self
        )
        self._stack = QStackedLayout(self)
        self._skeleton = Skeleton("Loading the houses")
        self._content = self._build_content()
        self._stack.addWidget(self._skeleton)
        self._stack.addWidget(self._content)
        self._notice: Notice | None = None
        self._again = QTimer(self)
        self._again.setInterval(_READ_EVERY_MS)
        self._again.timeout.connect(self._read)
        services.connection.restored.connect(self.reload)

    # --- The content ---------------------------------------------------------------------------------------------

    def _build_content(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        column.setSpacing(_MARGIN)
        self.search = QLineEdit()
        self.search.setFont(fonts.font("body"))
        self.search.setPlaceholderText("Search houses")
        self.search.setAccessibleName("Search the list of houses")
        self.search.setClearButtonEnabled(True)
        self.search.setFixedWidth(200)
        self.table = CellTable("List of houses", _COLUMNS)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
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
        card = QFrame()
        card.setProperty("surface", "card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(1, 4, 1, 4)
        inside.addWidget(self.table)
        column.addWidget(card, 1)
        self.table.doubleClicked.connect(self.edit_action.trigger)
        self.table.selectionModel().selectionChanged.connect(self._show_actions)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._open_menu)
        self._keys()
        self._show_actions()
        return page

    def _make_actions(self) -> None:
        self.synchronize_action = QAction("Synchronize Configuration", self)
        self.renew_action = QAction("New credentials", self)
        self.revoke_action = QAction("Revoke old credentials", self)
        self.delete_action = QAction("Delete", self)
        self.edit_action = QAction("Edit", self)
        self.create_action = QAction("Create", self)
        for action, do in (
            (self.synchronize_action, self._synchronize),
            (self.revoke_action, self._revoke),
            (self.renew_action, self._renew),
            (self.delete_action, self._delete),
            (self.edit_action, self._edit),
            (self.create_action, self._create),
        ):
            action.triggered.connect(do)
            self.addAction(action)
        self.create_action.setVisible(self.services.session.may("all_houses"))

    def _keys(self) -> None:
        table, page = Qt.ShortcutContext.WidgetShortcut, Qt.ShortcutContext.WidgetWithChildrenShortcut
        for keys, action, on, context in (
            ("Return", self.edit_action, self.table, table),
            ("Enter", self.edit_action, self.table, table),
            ("F2", self.edit_action, self.table, table),
            ("Del", self.delete_action, self.table, table),
            ("Ctrl+N", self.create_action, self, page),
        ):
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
        menu.addActions([action for action in reversed(self.actions()) if action.isVisible()])
        menu.popup(self.table.viewport().mapToGlobal(at))

    def _show_actions(self) -> None:
        chosen = self._chosen()
        may_send = self.services.session.may("view_secrets")
        self.synchronize_action.setEnabled(chosen is not None and may_send)
        for action in (self.edit_action, self.delete_action, self.renew_action):
            action.setEnabled(chosen is not None)
        valid = (self._valid or {}).get(chosen.house.house_id, ()) if chosen else ()
        self.revoke_action.setVisible(len(valid) > 1)
        for action, made in self._buttons.items():
            made.setEnabled(action.isEnabled())
            made.setVisible(action.isVisible())

    def _chosen(self) -> HouseOverview | None:
        ident = self.table.chosen()
        return None if ident is None else self._rows.get(ident)

    def _searched(self, text: str) -> None:
        self.table.proxy.search(text)
        self._show_count()

    def _show_count(self) -> None:
        found, every = self.table.proxy.rowCount(), self.table.cells.rowCount()
        text = formats.count(every, "house")
        self._count.setText(text if found == every else f"{found} of {text}")

    def _focus_search(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    def _copy(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            house = chosen.house
            QGuiApplication.clipboard().setText(
                f"{house.house_id}\t{house.name}\t{house.description}\t{house.time_zone}"
            )

    def _row(self, one: HouseOverview) -> Row:
        house, now_ms = one.house, self.services.now_ms()
        told = words.sync_state(one.sync, now_ms, ZoneInfo(house.time_zone))
        sync = _SYNC[one.sync.outcome]
        if one.sync.changed and one.sync.outcome is not Outcome.NEVER:
            sync = ("Changed since", "warning", "state_warning")
        return Row(
            house.house_id,
            (
                Cell(house.name, strong=True, tip=f"House ID {house.house_id}"),
                Cell(house.description),
                Cell(house.time_zone),
                Cell(str(one.devices), sort=one.devices),
                Cell(*_EDGE[one.edge.presence], tip=f"{words.edge_words(one.edge, now_ms)}."),
                Cell(
                    formats.MISSING if one.newest_ms is None else formats.age(one.newest_ms, now_ms),
                    # As text: a sort key is of one kind in its column, and milliseconds overflow an int of Qt.
                    sort=f"{one.newest_ms or 0:020d}",
                ),
                Cell(*sync, tip=told.text),
                self._credentials_cell(house.house_id),
            ),
        )

    def _credentials_cell(self, house_id: int) -> Cell:
        if self._valid is None:
            return Cell(formats.MISSING, tip=self._credentials_said)
        number = len(self._valid.get(house_id, ()))
        if number == 0:
            return Cell(
                "None",
                "warning",
                "state_warning",
                "No edge is let in as this house: generate new credentials.",
            )
        if number == 1:
            return Cell("Valid", "check", "state_ok")
        return Cell(
            f"{number} valid",
            "info",
            "ink_muted",
            "Older credentials let the edge in, too, until they are revoked.",
        )

    # --- Loading -------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the list and the credentials again; what is selected and typed stays."""
        if not self._has_loaded:
            self._stack.setCurrentWidget(self._skeleton)
            self._lay_skeleton()
            self._skeleton.begin()
        self._read()
        self._read_credentials()

    def _read(self) -> None:
        database, now_ms = self.services.session.database, self.services.now_ms()

        def read() -> list[HouseOverview]:
            with database.begin() as connection:
                return houses_overview.overview(connection, now_ms)

        self._loads.ask(read)

    def _loaded(self, found: list[HouseOverview]) -> None:
        self._skeleton.end()
        self._has_loaded = True
        known = self._rows.keys()
        self._rows = {one.house.house_id: one for one in found}
        if not found:
            self._show_notice(
                Notice(
                    "house",
                    "There are no houses yet",
                    "A house is one Raspberry Pi and the devices it reads. Creating one gives the credentials that let its "
                    "edge in.",
                    (("create", "Create house"),) if self.create_action.isVisible() else (),
                )
            )
            return
        if self._rows.keys() - known:
            self._read_credentials()
        self._show_rows()
        self._stack.setCurrentWidget(self._content)

    def _show_rows(self) -> None:
        self.table.set_rows([self._row(one) for one in self._rows.values()])
        if self._select_after in self._rows:
            self.table.choose(self._select_after)
            self._select_after = 0
        self._show_count()
        self._show_actions()

    def _not_loaded(self, error: Exception) -> None:
        if isinstance(error, DatabaseUnavailable):
            self.services.connection.lost(error)
            if self._has_loaded:
                return  # what is on screen stays, and the window's banner says the rest
        self._skeleton.end()
        expected = isinstance(error, SgmpError)
        self._show_notice(
            Notice(
                "offline" if isinstance(error, DatabaseUnavailable) else "fault",
                "The houses could not be loaded",
                str(error)
                if expected
                else "Something in SGMP failed that should not have. Retrying can help.",
                (("retry", "Retry"),),
                "" if expected else "".join(traceback.format_exception(error)),
                tint="ink_muted" if expected else "state_fault",
            )
        )

    def _read_credentials(self) -> None:
        session, house_ids = self.services.session, list(self._rows)

        def read() -> dict[int, tuple[str, ...]] | None:
            service = session.cloud().credentials
            return None if service is None else houses_overview.valid_credentials(service, house_ids)

        if house_ids:
            self._credentials.ask(read)

    def _credentials_known(self, found: dict[int, tuple[str, ...]] | None) -> None:
        self._valid = found
        self._credentials_said = NO_CREDENTIALS
        self._show_rows()

    def _credentials_unknown(self, error: Exception) -> None:
        self._valid = None
        self._credentials_said = str(error) if isinstance(error, SgmpError) else "It could not be looked up."
        self._show_rows()

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

    # --- Acts ----------------------------------------------------------------------------------------------------

    def _act(self, ident: str) -> None:
        if ident == "create":
            self._create()
        elif ident == "dismiss":
            self.strip.be_silent()
        elif self.services.connection.online:
            self.reload()
        else:
            self.services.connection.retry_now()

    def _create(self) -> None:
        form = HouseForm(self.services, None, [one.house.name for one in self._rows.values()], self)
        form.created.connect(self._created)
        form.open()

    def _created(self, made: NewHouse | House) -> None:
        house = made.house if isinstance(made, NewHouse) else made
        self._select_after = house.house_id
        if isinstance(made, NewHouse):
            steps = first_steps(house.house_id, self.services.session.profile.deployment)
            CredentialsDialog(self.services, house, made.credentials, steps, self).open()
        else:
            self.strip.say(
                "warning",
                f"{house.name} was created without credentials. {NO_CREDENTIALS}",
                (("dismiss", "Dismiss"),),
            )
        self._changed()

    def _edit(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            form = HouseForm(self.services, chosen.house, (), self)
            form.changed.connect(self._changed)
            form.open()

    def _changed(self) -> None:
        self.reload()
        self.services.houses_changed()

    def _renew(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self._select_after = chosen.house.house_id
            dialog = RenewDialog(self.services, chosen.house, self)
            dialog.renewed.connect(self._renewed)
            dialog.open()

    def _renewed(self, made: NewCredentials) -> None:
        one = self._rows.get(made.credentials.house_id or 0)
        if one is not None:
            CredentialsDialog(
                self.services, one.house, made.credentials, renewal_steps(), self, problem=made.problem or ""
            ).open()
        self.reload()

    def _revoke(self) -> None:
        chosen = self._chosen()
        valid = (self._valid or {}).get(chosen.house.house_id, ()) if chosen else ()
        if chosen is not None and len(valid) > 1:
            dialog = RevokeDialog(self.services, chosen.house, valid, chosen.edge.is_online, self)
            dialog.revoked.connect(self.reload)
            dialog.open()

    def _delete(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            dialog = DeleteDialog(self.services, chosen.house, self)
            dialog.deleted.connect(self._changed)
            dialog.open()

    def _synchronize(self) -> None:
        chosen = self._chosen()
        if chosen is not None and self.synchronize_action.isEnabled():
            dialog = SynchronizeDialog(self.services, chosen.house, self)
            dialog.sent.connect(self._read)
            dialog.open()

    # --- Events --------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.reload()
        self._again.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._again.stop()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._lay_skeleton()

    def _lay_skeleton(self) -> None:
        width, height = self.width() - 2 * _MARGIN, self.height() - 3 * _MARGIN - 34
        self._skeleton.set_blocks(
            (
                QRectF(_MARGIN, _MARGIN, 200, 34),
                QRectF(_MARGIN, 2 * _MARGIN + 34, width, max(120, height)),
            )
        )
