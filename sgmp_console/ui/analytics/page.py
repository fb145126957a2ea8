"""The analytic items of the house on screen: listed, searched, made, changed, deleted."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence, QResizeEvent, QShortcut, QShowEvent
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

from sgmp_console.errors import SgmpError, Unavailable
from sgmp_console.fleet import analytics
from sgmp_console.fleet.analytics_overview import AnalyticsOverview, ItemOverview, overview
from sgmp_console.store import AnalyticItem
from sgmp_console.ui import fonts, formats
from sgmp_console.ui.analytics import acts
from sgmp_console.ui.analytics.editor import ItemEditor
from sgmp_console.ui.analytics.table import ItemsTable
from sgmp_console.ui.newest import Newest
from sgmp_console.ui.page import Page, Services
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.confirm import ConfirmDialog
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.notice import Notice, Skeleton
from sgmp_console.ui.parts.strip import Strip

if TYPE_CHECKING:
    from sgmp_console.fleet.analytics import RequiredCreated

_MARGIN = 16


class AnalyticsPage(Page):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self._overview: AnalyticsOverview | None = None
        self._house_id: int | None = None
        self._select_after = 0
        self._to_delete: list[int] = []
        self._said = ""
        self._loads = Newest[AnalyticsOverview](services.tasks, self._loaded, self._not_loaded, self)
        self._stack = QStackedLayout(self)
        self._skeleton = Skeleton("Loading the analytic items of this house")
        self._content = self._build_content()
        self._stack.addWidget(self._skeleton)
        self._stack.addWidget(self._content)
        self._notice: Notice | None = None
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
        self.search.setPlaceholderText("Search analytic items")
        self.search.setAccessibleName("Search analytic items")
        self.search.setClearButtonEnabled(True)
        self.search.setFixedWidth(280)
        self.table = ItemsTable()
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
            kind = "primary" if action is self.create_action else ""
            made = button(action.text(), action.trigger, "primary" if kind else "")
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
        self.create_action = QAction("Create item", self)
        self.edit_action = QAction("Edit", self)
        self.delete_action = QAction("Delete", self)
        self.required_action = QAction("Create required items", self)
        for action, do in (
            (self.required_action, self._create_required),
            (self.delete_action, self._ask_to_delete),
            (self.edit_action, self._edit),
            (self.create_action, self._create),
        ):
            action.triggered.connect(do)
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
        chosen = self.table.chosen()
        missing = self._overview.missing if self._overview else ()
        self.edit_action.setEnabled(len(chosen) == 1)
        self.delete_action.setEnabled(bool(chosen))
        self.delete_action.setText(f"Delete {len(chosen)} items" if len(chosen) > 1 else "Delete")
        self.required_action.setVisible(bool(missing))
        for action, made in self._buttons.items():
            made.setEnabled(action.isEnabled())
            made.setVisible(action.isVisible())
            made.setText(action.text())

    def _searched(self, text: str) -> None:
        self.table.proxy.search(text)
        self._show_count()

    def _show_count(self) -> None:
        found, all_of_them = self.table.proxy.rowCount(), self.table.items.rowCount()
        words = formats.count(all_of_them, "item")
        self._count.setText(words if found == all_of_them else f"{found} of {words}")
        self.table.setVisible(found > 0)
        self._none_found.setVisible(found == 0)
        self._none_found.setText(
            f"No item has “{self.search.text().strip()}” in its name, description or formula."
        )

    def _focus_search(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    def _copy(self) -> None:
        rows = [row.item for row in self.table.chosen()]
        if rows:
            QGuiApplication.clipboard().setText("\n".join(f"{item.name}\t{item.formula}" for item in rows))

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
        database = self.services.session.database

        def read() -> AnalyticsOverview:
            with database.begin() as connection:
                return overview(connection, house_id)

        self._loads.ask(read)

    def _house_may_have_changed(self) -> None:
        if self.services.live.house_id != self._house_id and self.isVisible():
            self.reload()

    def _loaded(self, found: AnalyticsOverview) -> None:
        if found.house.house_id != self._house_id:
            return
        self._skeleton.end()
        self._overview = found
        if not found.items:
            self._show_empty(found)
            return
        self.table.set_rows(found.items)
        if self._select_after:
            self.table.select({self._select_after})
            self._select_after = 0
        self._show_count()
        self._show_actions()
        self._show_strip()
        self._stack.setCurrentWidget(self._content)

    def _not_loaded(self, error: Exception) -> None:
        if isinstance(error, Unavailable):
            self.services.connection.lost(error)
            if self._overview is not None:
                return  # what is on screen stays, and the window's banner says the rest
        self._skeleton.end()
        expected = isinstance(error, SgmpError)
        self._show_notice(
            Notice(
                "offline" if isinstance(error, Unavailable) else "fault",
                "The analytic items of this house could not be loaded",
                str(error)
                if expected
                else "Something in SGMP failed that should not have. Retrying can help.",
                (("retry", "Retry"),),
                "" if expected else "".join(traceback.format_exception(error)),
                tint="ink_muted" if expected else "state_fault",
            )
        )

    # --- What stands there instead -------------------------------------------------------------------------------

    def _show_loading(self) -> None:
        self._stack.setCurrentWidget(self._skeleton)
        self._lay_skeleton()
        self._skeleton.begin()

    def _show_empty(self, found: AnalyticsOverview) -> None:
        self._show_notice(
            Notice(
                "formula",
                f"{found.house.name} has no analytic items yet",
                f"Dashboards and reports are made of analytic items: formulas over the fields of devices. "
                f"{formats.count(len(found.missing), 'item')} are required for each house; they can be made at once "
                "and adapted afterwards.",
                (("required", "Create required items"), ("create", "Create item")),
            )
        )

    def _show_notice(self, notice: Notice) -> None:
        if self._notice is not None:
            self._stack.removeWidget(self._notice)
            self._notice.deleteLater()
        self._notice = notice
        notice.acted.connect(self._act)
        self._stack.addWidget(notice)
        self._stack.setCurrentWidget(notice)

    def _show_strip(self) -> None:
        """What the last act had to say, what the house lacks, what is not counted yet; with what changes it."""
        found = self._overview
        if found is None:
            return
        waiting = [row.item.name for row in found.items if not row.populated]
        if any(task.title.startswith(acts.POPULATING) for task in self.services.tasks.shown()):
            waiting = []
        parts = [self._said] if self._said else []
        if found.missing:
            words = formats.count(len(found.missing), "required item")
            parts.append(
                f"This house lacks {words}: {', '.join(found.missing)}. Dashboards and reports need them."
            )
        if waiting:
            parts.append(
                f"Readings that were stored before are not all counted yet for {', '.join(waiting)}. Numbers are "
                "right, but long reports take longer."
            )
        actions = (("populate", "Populate now"),) if waiting else ()
        if self._said:
            actions = (*actions, ("dismiss", "Dismiss"))
        if parts:
            self.strip.say("warning" if self._said or found.missing else "info", "\n".join(parts), actions)
        else:
            self.strip.be_silent()

    def _say(self, what: str) -> None:
        """At once, since reading the list again may fail."""
        self._said = what
        self._show_strip()

    def _act(self, ident: str) -> None:
        if ident == "retry":
            self._retry()
        elif ident == "create":
            self._create()
        elif ident == "required":
            self._create_required()
        elif ident == "populate":
            self._said = ""
            self._populate()
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
            self._open_editor(chosen[0].item)

    def _open_editor(self, item: AnalyticItem | None) -> None:
        if self._overview is not None:
            editor = ItemEditor(self.services, self._overview.house, item, self)
            editor.saved.connect(self._saved)
            editor.open()

    def _saved(self, item: AnalyticItem) -> None:
        self._select_after = item.item_id
        if item.aggregated:
            self._populate()
        self.reload()

    def _ask_to_delete(self) -> None:
        chosen = self.table.chosen()
        if not chosen or self._overview is None:
            return
        names = [row.item.name for row in chosen]
        kept_by = {
            row.item.name: [user for user in row.used_by if user not in names]
            for row in chosen
            if set(row.used_by) - set(names)
        }
        if kept_by:
            reasons = "; ".join(f"{name} is used by {', '.join(users)}" for name, users in kept_by.items())
            self._say(f"Nothing was deleted: {reasons}. Change or delete these items first.")
            return
        what = names[0] if len(names) == 1 else f"{len(names)} items"
        question = ConfirmDialog(
            f"Delete {what}?", _consequences(chosen), f"Delete {what}", self, refuse="Cancel"
        )
        self._to_delete = [row.item.item_id for row in chosen]
        question.accepted.connect(self._delete)
        question.open()

    def _delete(self) -> None:
        database, house_id, item_ids = self.services.session.database, self._house_id, self._to_delete
        if house_id is None:
            return
        self.services.tasks.run(
            self,
            lambda: analytics.delete(database, house_id, item_ids),
            self._deleted,
            self._not_done,
            pool="act",
        )

    def _deleted(self, _nothing: None) -> None:
        self._said = ""
        self.reload()

    def _not_done(self, error: Exception) -> None:
        if isinstance(error, Unavailable):
            self.services.connection.lost(error)
        self._say(
            str(error)
            if isinstance(error, SgmpError)
            else "Something in SGMP failed that should not have. Look at the list before trying again."
        )
        self.reload()

    def _create_required(self) -> None:
        found = self._overview
        if found is None:
            return
        self.required_action.setEnabled(False)
        if self._notice is not None and "required" in self._notice.buttons():
            self._notice.buttons()["required"].setEnabled(False)
        self._show_actions()
        acts.create_required(
            self.services.tasks,
            self.services.session,
            self,
            found.house.house_id,
            found.house.name,
            self._required_created,
            self._required_not_created,
            self._populated,
        )

    def _required_created(self, outcome: RequiredCreated) -> None:
        self.required_action.setEnabled(True)
        lines = [f"{name} was not created: {why}" for name, why in outcome.lacking.items()]
        self._said = "\n".join([*lines, *outcome.remarks])
        self.reload()
        # What Home is made of has changed.
        self.services.live.reload()

    def _required_not_created(self, error: Exception) -> None:
        self.required_action.setEnabled(True)
        self._not_done(error)

    def _populate(self) -> None:
        found = self._overview
        if found is not None:
            acts.populate(
                self.services.tasks,
                self.services.session,
                self,
                found.house.house_id,
                found.house.name,
                self._populated,
            )
            self._show_strip()

    def _populated(self, left: str) -> None:
        if left:
            self._say(left)
        self.reload()

    # --- Events --------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.reload()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._lay_skeleton()

    def _lay_skeleton(self) -> None:
        width, height = self.width() - 2 * _MARGIN, self.height() - 3 * _MARGIN - 34
        self._skeleton.set_blocks(
            (
                QRectF(_MARGIN, _MARGIN, 280, 34),
                QRectF(_MARGIN, 2 * _MARGIN + 34, width, max(120, height)),
            )
        )


def _consequences(chosen: list[ItemOverview]) -> str:
    names = ", ".join(row.item.name for row in chosen)
    parts = [f"{names} will be gone from this house. Readings stay."]
    required = [row.item.name for row in chosen if row.required]
    if required:
        parts.append(f"Dashboards and reports need {', '.join(required)}.")
    if any(row.item.aggregated for row in chosen):
        parts.append("Aggregates that no other item asks for are no longer kept.")
    return " ".join(parts)
