"""The analytic items of the house on screen: listed, searched, created, changed, deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from sgmp_console.fleet import analytics, in_use
from sgmp_console.fleet.analytics_overview import AnalyticsOverview, overview
from sgmp_console.reports.current_values import current_values
from sgmp_console.store import AnalyticItem
from sgmp_console.ui import formats, item_actions
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.analytics.columns import COLUMNS, ItemRow
from sgmp_console.ui.pages.analytics.editor import ItemEditor
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.list_page import CREATE_KEYS, DELETE_KEYS, EDIT_KEYS, ListAction, ListPage
from sgmp_console.ui.parts.message_bar import Tone

if TYPE_CHECKING:
    from sgmp_console.fleet.analytics import RequiredCreated


_READ_EVERY_MS = 10_000
"""Values and ages change by themselves."""


@dataclass(frozen=True)
class AnalyticsFound(AnalyticsOverview):
    """`values`: the newest value of items that have one lately (UTC ms, value), by name."""

    values: Mapping[str, tuple[int, float]]


class AnalyticsPage(ListPage[ItemRow, AnalyticsFound]):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(
            services,
            noun="item",
            called="analytic items",
            columns=COLUMNS,
            id_=lambda row: row.item.item_id,
            of_house=True,
            every_ms=_READ_EVERY_MS,
            copied=lambda row: (row.item.name, row.item.formula),
            parent=parent,
        )
        self._is_creating_required = False
        self.declare(
            (
                ListAction("required", "Create required items", self._create_required),
                ListAction("delete", "Delete", self._ask_to_delete, "some", counted=True, keys=DELETE_KEYS),
                ListAction("duplicate", "Duplicate", self._duplicate, "one"),
                ListAction("edit", "Edit", self._edit, "one", keys=EDIT_KEYS),
                ListAction("create", "Create item", self._create, keys=CREATE_KEYS, primary=True),
            )
        )

    # --- The list --------------------------------------------------------------------------------------------------

    def reader(self) -> Callable[[], AnalyticsFound]:
        # A list of a house is read only once there is a house on screen; 0 is none.
        database, house_id = self.services.session.database, self._house_id or 0
        now_ms = self.services.now_ms()

        def read() -> AnalyticsFound:
            with database.begin() as connection:
                found = overview(connection, house_id)
                values = current_values(connection, house_id, now_ms)
            return AnalyticsFound(**vars(found), values=values)

        return read

    def rows_of(self, found: AnalyticsFound) -> Sequence[ItemRow]:
        now_ms = self.services.now_ms()
        return [
            ItemRow(**vars(one), newest=found.values.get(one.item.name), now_ms=now_ms) for one in found.items
        ]

    def empty_state(self, found: AnalyticsFound) -> EmptyState:
        return EmptyState(
            "formula",
            f"{found.house.name} has no analytic items yet",
            f"Dashboards and reports are made of analytic items: formulas over the fields of devices. "
            f"{formats.count(len(found.missing), 'item')} are required for each house; they can be created at once "
            "and adapted afterwards.",
            (("required", "Create required items"), ("create", "Create item")),
        )

    def actions_shown(self, chosen: Sequence[ItemRow]) -> None:
        required = self.action("required")
        required.setVisible(self.found is not None and bool(self.found.missing))
        required.setEnabled(self.found is not None and not self._is_creating_required)

    def standing(self) -> tuple[Tone, str, tuple[tuple[str, str], ...]] | None:
        """Required items that are missing, and items of which earlier readings are not aggregated yet."""
        found = self.found
        if found is None:
            return None
        waiting = [row.item.name for row in found.items if not row.populated]
        if item_actions.is_populating(self.services.tasks, found.house.house_id):
            waiting = []
        parts = []
        if found.missing:
            words = formats.count(len(found.missing), "required item")
            parts.append(f"{words} missing: {', '.join(found.missing)}; needed by dashboards and reports.")
        if waiting:
            parts.append(
                f"Earlier readings of {', '.join(waiting)} are not aggregated yet. Numbers are right, but long reports "
                "take longer."
            )
        if not parts:
            return None
        buttons = (("populate", "Aggregate them now"),) if waiting else ()
        return "warning" if found.missing else "info", "\n".join(parts), buttons

    def acted(self, id_: str) -> None:
        if id_ == "devices":
            self.services.navigate("devices")
        elif id_ == "populate":
            self.say("")
            self._populate()

    # --- Creating and editing --------------------------------------------------------------------------------------

    def _create(self) -> None:
        self._open_editor(None)

    def _edit(self) -> None:
        chosen = self.table.chosen()
        if len(chosen) == 1:
            self._open_editor(chosen[0].item)

    def _duplicate(self) -> None:
        chosen = self.table.chosen()
        if len(chosen) == 1:
            self._open_editor(None, like=chosen[0].item)

    def _open_editor(self, item: AnalyticItem | None, like: AnalyticItem | None = None) -> None:
        if self.found is not None:
            editor = ItemEditor(self.services, self.found.house, item, self, like=like)
            editor.saved.connect(self._saved)
            editor.open()

    def _saved(self, item: AnalyticItem) -> None:
        if item.aggregated:
            self._populate()
        self.reload_and_select(item.item_id)

    # --- Deleting --------------------------------------------------------------------------------------------------

    def _ask_to_delete(self) -> None:
        chosen = self.table.chosen()
        if not chosen:
            return
        names = [row.item.name for row in chosen]
        staying = {row.item.name: [user for user in row.used_by if user not in names] for row in chosen}
        if problem := in_use.refusal(staying):
            self.say(problem)
            return
        what = names[0] if len(names) == 1 else f"{len(names)} items"
        item_ids = [row.item.item_id for row in chosen]
        confirm(
            f"Delete {what}?",
            _consequences(chosen),
            f"Delete {what}",
            self,
            partial(self._delete, chosen[0].item.house_id, item_ids),
        )

    def _delete(self, house_id: int, item_ids: Sequence[int]) -> None:
        database = self.services.session.database
        self.run_act(
            "Deleting analytic items",
            lambda _report: analytics.delete(database, house_id, item_ids),
            self.changed,
        )

    # --- Required items and population -----------------------------------------------------------------------------

    def _create_required(self) -> None:
        found = self.found
        if found is None:
            return
        self._is_creating_required = True
        self.show_actions()
        item_actions.create_required(
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
        self._is_creating_required = False
        needs_devices = bool(outcome.absent_types) and self.services.has_page("devices")
        self.say(
            "\n".join([*outcome.not_created, *outcome.remarks]),
            actions=(("devices", "Show devices"),) if needs_devices else (),
        )
        self.reload()
        # What Home is made of has changed.
        self.services.live.reload()

    def _required_not_created(self, error: Exception) -> None:
        self._is_creating_required = False
        self.show_actions()
        self.not_done(error)

    def _populate(self) -> None:
        found = self.found
        if found is not None:
            item_actions.populate(
                self.services.tasks,
                self.services.session,
                self,
                found.house.house_id,
                found.house.name,
                self._populated,
            )
            self.show_message()

    def _populated(self, left: str) -> None:
        if left:
            self.say(left)
        self.reload()


def _consequences(chosen: Sequence[ItemRow]) -> str:
    names = ", ".join(row.item.name for row in chosen)
    parts = [f"{names} will be gone from this house. Readings stay."]
    required = [row.item.name for row in chosen if row.required]
    if required:
        parts.append(f"Dashboards and reports need {', '.join(required)}.")
    if any(row.item.aggregated for row in chosen):
        parts.append("Aggregates that no other item asks for are no longer kept.")
    return " ".join(parts)
