"""All houses that the account sees, the worst first, with what is wrong and what they did lately."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QItemSelectionModel, Qt, QTimer
from PySide6.QtGui import QHideEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from sgmp_console.fleet import house_filter, houses_overview
from sgmp_console.fleet.house_filter import HouseFilter
from sgmp_console.fleet.houses_overview import FleetOverview, HouseOverview, badness
from sgmp_console.reports.fleet import OpeningLedger, Pulse, next_houses, read_pulses
from sgmp_console.store import DatabaseUnavailable, House
from sgmp_console.ui import finding_words, formats, house_words, plain_text
from sgmp_console.ui.dialogs.maintenance import AddWindow, WindowsFound, read_windows
from sgmp_console.ui.dialogs.synchronize import SynchronizeDialog
from sgmp_console.ui.dialogs.synchronize_several import SynchronizeSeveral
from sgmp_console.ui.explain import explain
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.fleet.columns import COLUMNS, FleetRow
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.list_page import ListAction, ListPage
from sgmp_console.ui.parts.message_bar import Tone

_READ_EVERY_MS = 10_000

_BLOCK = 25
"""Houses whose pulses are read at once: what a screen shows."""

_NAMED = 3
"""Houses that are not set up, by name in the strip."""

_SOON_MS, _LATER_MS = 150, 2_000
"""Until the next block: of what is on screen, after one scrolled; of the others."""


class FleetPage(ListPage[FleetRow, FleetOverview]):
    """How the houses stand is read for all at once; their pulses in blocks, those on screen first.

    The order is that of the moment at which the page was opened or read again on request: no row moves meanwhile.
    """

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        self._filter = HouseFilter()
        self._places: dict[int, int] = {}
        self._sorts = True
        self._pulses: dict[int, Pulse] = {}
        super().__init__(
            services,
            noun="house",
            columns=COLUMNS,
            id_=lambda row: row.overview.house.house_id,
            of_house=False,
            every_ms=_READ_EVERY_MS,
            steady=True,
            parent=parent,
        )
        self.search.setPlaceholderText("Filter: age>10m findings>0")
        plain_text.set_tip(self.search, _filter_help())
        self._reads = LatestOnly[dict[int, Pulse]](
            services.tasks, self._pulses_came, self._pulses_not_read, self
        )
        self._next_block = QTimer(self)
        self._next_block.setSingleShot(True)
        self._next_block.timeout.connect(self._read_block)
        self.table.verticalScrollBar().valueChanged.connect(lambda _value: self._next_block.start(_SOON_MS))
        self.table.sortByColumn(-1, Qt.SortOrder.AscendingOrder)  # as `rows_of` has them
        for keys, step in (("J", 1), ("K", -1)):
            self._key(keys, partial(self._move, step))
        self._key("Space", self._choose_marked)
        self._windows = LatestOnly[WindowsFound](services.tasks, self._add_maintenance, self.not_done, self)
        self.declare(self._list_actions())

    def _list_actions(self) -> list[ListAction]:
        may = self.services.session.may
        actions = [ListAction("sort", "Sort again", self.reload)]
        if may("manage_devices"):
            actions.append(ListAction("maintenance", "Maintenance", self._read_windows, "some"))
        if may("manage_houses"):
            actions.append(ListAction("synchronize", "Synchronize Configuration", self._synchronize, "some"))
        if self.services.has_page("edge"):
            actions.append(ListAction("edge", "Show edge", self._show_edge, "one"))
        if self.services.has_page("home"):
            actions.append(
                ListAction("open", "Open house", self._open, "some", keys=("Return", "Enter"), primary=True)
            )
        return actions

    # --- The list ------------------------------------------------------------------------------------------------

    def reader(self) -> Callable[[], FleetOverview]:
        database, now_ms = self.services.session.database, self.services.now_ms()

        def read() -> FleetOverview:
            with database.begin() as connection:
                return houses_overview.fleet(connection, now_ms)

        return read

    def reload(self) -> None:
        """Read the list again, and sort it by what is so now."""
        self._sorts = True
        super().reload()

    def loaded(self, found: FleetOverview) -> None:
        if self._sorts:
            order = sorted(found.houses, key=badness)
            self._places = {one.house.house_id: place for place, one in enumerate(order)}

    def shown(self) -> None:
        if self._sorts:
            self.table.proxy.sort_again()
            self._sorts = False
        self._next_block.start(0)

    def rows_of(self, found: FleetOverview) -> Sequence[FleetRow]:
        now_ms = self.services.now_ms()
        is_watched = not self._watch_problem(found)
        rows = [
            FleetRow(
                one,
                self._places.get(one.house.house_id, len(self._places)),
                is_watched,
                now_ms,
                self._pulses.get(one.house.house_id),
            )
            for one in found.houses
        ]
        return sorted(rows, key=lambda row: row.place)

    def matcher(self, text: str) -> Callable[[FleetRow], bool]:
        before, self._filter = self._filter, house_filter.parse(text)
        if before.problem != self._filter.problem:
            self.show_message()
        accepts = self._filter.accepts
        return lambda row: accepts(row.facts)

    def standing(self) -> tuple[Tone, str, tuple[tuple[str, str], ...]] | None:
        if self._filter.problem:
            return "info", self._filter.problem, ()
        if self.found is None or not self.found.houses:
            return None
        if problem := self._watch_problem(self.found):
            return "warning", f"{problem}.", ()
        if self.found.general:
            worst = finding_words.said(self.found.general[0])
            return "fault", " ".join(filter(None, (f"{worst.text}.", worst.to_do))), ()
        return self._unfinished(self.found.houses)

    def _unfinished(
        self, houses: Sequence[HouseOverview]
    ) -> tuple[Tone, str, tuple[tuple[str, str], ...]] | None:
        """Which houses are not set up, those with the fewest steps left first."""
        waiting = [(len(known.open), one) for one in houses if (known := one.checklist) and known.open]
        if not waiting or not self.services.has_page("houses"):
            return None
        first = [one for _, one in sorted(waiting, key=lambda pair: (pair[0], pair[1].house.name))]
        named = ", ".join(f"{one.house.name} ({house_words.progress_count(one)})" for one in first[:_NAMED])
        more = f" and {len(first) - _NAMED} more" if len(first) > _NAMED else ""
        verb = "is" if len(first) == 1 else "are"
        text = f"{formats.count(len(first), 'house')} {verb} not set up completely: {named}{more}."
        buttons = [] if self.search.text() else [("unfinished", "Show them")]
        buttons.append(("houses", "Show Houses"))
        return "info", text, tuple(buttons)

    def _watch_problem(self, found: FleetOverview) -> str:
        age_ms = found.watch_age_ms
        return finding_words.watch_problem(None if age_ms is None else -age_ms, 0)

    def empty_state(self, found: FleetOverview) -> EmptyState:
        return EmptyState(
            "fleet",
            "There are no houses yet",
            "A house is one Raspberry Pi and the devices it reads. Houses are created on the page Houses.",
            (("houses", "Show Houses"),) if self.services.has_page("houses") else (),
        )

    def acted(self, id_: str) -> None:
        if id_ == "houses":
            self.services.navigate("houses")
        elif id_ == "unfinished":
            self.search.setText("setup>0")
            self.show_message()

    def actions_shown(self, chosen: Sequence[FleetRow]) -> None:
        may = self.services.session.may
        if may("manage_houses") and not may("view_secrets"):
            why = "The secrets of the devices are sent with it, and your role may not see them."
            self.disable("synchronize", why)

    # --- Keys ----------------------------------------------------------------------------------------------------

    def _key(self, keys: str, do: Callable[[], None]) -> None:
        shortcut = QShortcut(QKeySequence(keys), self.table)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        shortcut.activated.connect(do)

    def _move(self, step: int) -> None:
        """Mark the next row; what is chosen stays."""
        last = self.table.proxy.rowCount() - 1
        row = min(max(self.table.currentIndex().row() + step, 0), last)
        flag = QItemSelectionModel.SelectionFlag
        index = self.table.proxy.index(row, 0)
        self.table.selectionModel().setCurrentIndex(index, flag.NoUpdate)
        self.table.scrollTo(index)
        self.table.viewport().update()

    def _choose_marked(self) -> None:
        flag = QItemSelectionModel.SelectionFlag
        self.table.selectionModel().select(self.table.currentIndex(), flag.Toggle | flag.Rows)

    # --- Acts ----------------------------------------------------------------------------------------------------

    def _chosen_houses(self) -> list[House]:
        return [row.overview.house for row in self.table.chosen()]

    def _open(self) -> None:
        marked = self.table.marked()
        if marked is not None:
            self.services.show_house(marked.overview.house.house_id)
            self.services.navigate("home")

    def _show_edge(self) -> None:
        for house in self._chosen_houses():
            self.services.show_house(house.house_id)
            self.services.navigate("edge")

    def _synchronize(self) -> None:
        chosen = [row.overview for row in self.table.chosen()]
        if len(chosen) == 1:
            one = SynchronizeDialog(self.services, chosen[0].house, self)
            one.sent.connect(self._act_done)
            one.open()
        elif chosen:
            several = SynchronizeSeveral(self.services, chosen, self)
            several.sent.connect(self._act_done)
            several.open()

    def _read_windows(self) -> None:
        database = self.services.session.database

        def read() -> WindowsFound:
            with database.begin() as connection:
                return read_windows(connection)

        self._windows.ask(read)

    def _add_maintenance(self, found: WindowsFound) -> None:
        if chosen := self._chosen_houses():
            dialog = AddWindow(self.services, found, self, chosen)
            dialog.saved.connect(self._act_done)
            dialog.open()

    def _act_done(self, _result: object = None) -> None:
        """Read again, without moving any row."""
        self.say("")
        super().reload()

    # --- Pulses --------------------------------------------------------------------------------------------------

    def grow_older(self) -> None:
        super().grow_older()
        self._next_block.start(0)

    def _read_block(self) -> None:
        if (
            self.found is None
            or self._reads.busy()
            or not (self.isVisible() and self.services.connection.online)
        ):
            return
        now_ms = self.services.now_ms()
        known = {one.house.house_id: one.house for one in self.found.houses}
        on_screen = [row.overview.house.house_id for row in self.table.on_screen()]
        read_ms = {house_id: pulse.read_ms for house_id, pulse in self._pulses.items()}
        block = next_houses(known, on_screen, read_ms, now_ms, _BLOCK)
        if not block:
            return
        database, houses = self.services.session.database, [known[house_id] for house_id in block]
        openings: dict[int, OpeningLedger] = {
            house_id: opening
            for house_id, pulse in self._pulses.items()
            if (opening := pulse.opening) is not None
        }

        def read() -> dict[int, Pulse]:
            with database.begin() as connection:
                return read_pulses(connection, houses, now_ms, openings)

        self._reads.ask(read)

    def _pulses_came(self, pulses: dict[int, Pulse]) -> None:
        self._pulses |= pulses
        self.show_rows()
        self._next_block.start(_LATER_MS)

    def _pulses_not_read(self, error: Exception) -> None:
        if isinstance(error, DatabaseUnavailable):
            self.services.connection.lost(error)
        else:
            self.say(f"What houses did lately could not be read. {explain(error)}")

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._next_block.stop()


def _filter_help() -> str:
    return (
        "Words that stand somewhere in a house, and comparisons: age>10m, backlog>0, findings>0, critical>0, warnings>0,\n"
        "energy<5, autarky<50, quality<95, setup>0 (steps left); or a part of a text: house:, edge:, configuration:, software:.\n"
        "In the list: J and K go down and up, Space chooses, Enter opens the house."
    )
