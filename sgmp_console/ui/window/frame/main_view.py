"""The window's content while somebody is signed in: frame, pages, and what keeps them alive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QAction, QActionGroup, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QMenu,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.errors import SgmpError, Unavailable
from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.settings import ThemeChoice
from sgmp_console.store import SignInRefused, accounts, changes, findings, houses, ingest_state
from sgmp_console.store.accounts import Account
from sgmp_console.store.changes import Change, Reconnected
from sgmp_console.store.findings import Finding, Severity, State
from sgmp_console.store.houses import House
from sgmp_console.store.ingest_state import IngestState
from sgmp_console.ui import finding_words, focus_order, plain_text
from sgmp_console.ui.charts.draw_clock import DrawClock
from sgmp_console.ui.connection import Connection
from sgmp_console.ui.live import HomeFeed, HomeReader
from sgmp_console.ui.page import Page, Services
from sgmp_console.ui.parts.buttons import IconButton
from sgmp_console.ui.parts.colourless import Colourless
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.message_bar import MessageBar, Tone
from sgmp_console.ui.parts.popup import open_menu_below
from sgmp_console.ui.session import Session
from sgmp_console.ui.shown_period import ShownPeriod
from sgmp_console.ui.tasks import Task, Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window import application
from sgmp_console.ui.window.frame.banner import OfflineBanner
from sgmp_console.ui.window.frame.findings_button import FindingsButton
from sgmp_console.ui.window.frame.house_switcher import HouseSwitcher
from sgmp_console.ui.window.frame.ingest_light import IngestLight
from sgmp_console.ui.window.frame.live_light import LiveLight
from sgmp_console.ui.window.frame.notices import Notices
from sgmp_console.ui.window.frame.own_account import OwnAccountDialog
from sgmp_console.ui.window.frame.pages import PAGES, PageDeclaration
from sgmp_console.ui.window.frame.sidebar import Sidebar
from sgmp_console.ui.window.frame.status_bar import StatusBar
from sgmp_console.ui.window.frame.time_range import TimeRangeControl

_THEMES: tuple[tuple[ThemeChoice, str], ...] = (
    ("system", "As the system"),
    ("light", "Light"),
    ("dark", "Dark"),
)

_ACCOUNT_EVERY_MS = 60_000
"""Between looks at what the account may by now. The database holds to it at once, whatever the pages offer."""

_HOUSES_EVERY_MS = 10_000
"""Between looks at which houses there are and what is wrong in them."""

_TRIM_AFTER_MS = 3_000
"""After another page was shown: by then it has read what it shows, and what that took is free again."""

_ACCOUNT_SOON_MS = 2_000
"""After sessions were ended: a new one may have been let in just before what ended them was committed."""


def utc_now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class _HousesFound:
    """`findings`: the open ones of all of them; `watch_age_ms`: since the watch last looked."""

    houses: tuple[House, ...]
    findings: tuple[Finding, ...]
    watch_age_ms: int | None


class MainView(QWidget):
    """Made for one session; `close_down` ends it."""

    sign_out_wanted = Signal()
    help_wanted = Signal()
    signed_out = Signal(object)
    """By the database: carries the SignInRefused."""
    account_changed = Signal(object)
    """The Account as it is now: its role or permissions are others, and the operator wants pages to follow."""
    password_changed = Signal(str)
    house_shown = Signal(int)
    rail_collapsed_changed = Signal(bool)
    findings_read = Signal(object, object)
    """The open findings of all houses, and the houses by id."""
    desktop_notices_changed = Signal(bool)
    """The operator wants them, or not."""

    def __init__(
        self,
        session: Session,
        house_list: Sequence[House],
        tasks: Tasks,
        appearance: Appearance,
        *,
        rail_collapsed: bool = False,
        desktop_notices: bool = True,
        column_widths: dict[str, int] | None = None,
        now_ms: Callable[[], int] = utc_now_ms,
        open_house: Callable[[int], HomeReader] | None = None,
        listen: Callable[[], Iterator[Change | Reconnected | None]] | None = None,
        pages: Sequence[PageDeclaration] = PAGES,
        parent: QWidget | None = None,
    ) -> None:
        """`open_house` makes the reader of a house, by default reports.live.HomeLoader on the session's database;
        `listen` is where changes are heard of, by default that database, too. `column_widths` is read and written: see
        Services."""
        super().__init__(parent)
        self.setProperty("surface", "window")
        self.session = session
        self._tasks = tasks
        self._appearance = appearance
        self._now_ms = now_ms
        self._houses = {house.house_id: house for house in house_list}
        self._heard_before = False
        self._listen = listen or self._listen_to_database
        self.live = HomeFeed(tasks, open_house or self._open_house, now_ms, self)
        self.connection = Connection(tasks, self._probe, self)
        self.shown_period = ShownPeriod(now_ms, self)
        self._declared = {page.id_: page for page in pages if session.may(page.permission)}
        self.services = Services(
            session=session,
            tasks=tasks,
            draw_clock=DrawClock(self),
            live=self.live,
            shown_period=self.shown_period,
            connection=self.connection,
            now_ms=now_ms,
            navigate=self.show_page,
            go_back=self.go_back,
            show_house=self._show_house_of_page,
            has_page=self._declared.__contains__,
            houses_changed=self._refresh_houses,
            column_widths={} if column_widths is None else column_widths,
        )
        self._made: dict[str, Page] = {}
        self._shown_page = ""
        self._way: list[str] = []
        """The pages from which the one that is shown was reached, where it is below another."""
        self._shows_findings = "home" in self._declared
        self._desktop_notices = desktop_notices
        self._build(rail_collapsed)
        self.live.lost.connect(self.connection.lost)
        self.live.snapshot_ready.connect(self._snapshot_came)
        self.connection.restored.connect(self._restored)
        self.connection.changed.connect(self._refresh_light)
        self.connection.changed.connect(self._grey_pages)
        self.connection.refused.connect(self.signed_out)
        self._beat = QTimer(self)
        self._beat.setInterval(1000)
        self._beat.timeout.connect(self._refresh_light)
        self._trim = QTimer(self)
        self._trim.setSingleShot(True)
        self._trim.setInterval(_TRIM_AFTER_MS)
        self._trim.timeout.connect(application.give_memory_back)
        self._houses_beat = QTimer(self)
        self._houses_beat.setInterval(_HOUSES_EVERY_MS)
        self._houses_beat.timeout.connect(self._look_at_houses)
        self._account_now = session.account
        self._account_beat = QTimer(self)
        self._account_beat.setInterval(_ACCOUNT_EVERY_MS)
        self._account_beat.timeout.connect(self.look_at_account)
        # What loading a house took is free long since.
        self._account_beat.timeout.connect(application.give_memory_back)
        self._account_soon = QTimer(self)
        self._account_soon.setSingleShot(True)
        self._account_soon.setInterval(_ACCOUNT_SOON_MS)
        self._account_soon.timeout.connect(self.look_at_account)
        self._shortcuts()

    def start(self, house_id: int = 0) -> None:
        """Show the first page and that house, or the first one; begin to listen."""
        if self._declared:
            self.show_page(next(iter(self._declared)))
        else:
            self._stack.addWidget(
                EmptyState(
                    "account",
                    "There is nothing here for your role",
                    f"The role {self.session.account.role} has no permission that a page needs. An administrator can "
                    "change that.",
                )
            )
        # Nowhere in particular: a ring of focus appears once somebody uses the keyboard.
        self._stack.setFocus()
        if self._houses:
            self.show_house(house_id if house_id in self._houses else next(iter(self._houses)))
        else:
            self._show_no_houses()
        self._look_at_houses()
        self.connection.start()
        self._listening: Task[Change | Reconnected] = self._tasks.listen(
            self, self._listen, self._heard, self._not_heard
        )

    def close_down(self) -> None:
        """Stop listening and fetching. The widgets may live on for a moment."""
        self._beat.stop()
        self._houses_beat.stop()
        self._account_beat.stop()
        self._account_soon.stop()
        self._trim.stop()
        self.live.stop()
        self.connection.stop()
        self.ingest.stop()
        self._tasks.forget_all(self)
        for page in self._made.values():
            self._tasks.forget_all(page)

    def show_page(self, id_: str) -> None:
        if id_ not in self._declared or id_ == self._shown_page:
            return
        declaration = self._declared[id_]
        if id_ not in self._made:
            self._made[id_] = declaration.factory(self.services)
            self._stack.addWidget(self._made[id_])
        if not declaration.below:
            self._way.clear()
        elif id_ in self._way:
            del self._way[self._way.index(id_) :]
        elif self._shown_page:
            self._way.append(self._shown_page)
        self._trim.start()
        self._shown_page = id_
        self._stack.setCurrentWidget(self._made[id_])
        self._made[id_].take_focus()
        self._rail.show_chosen(declaration.below or id_)
        self._drop_pages()
        self.time_range.setVisible(declaration.has_time_range)
        self.time_range.compare_button().setVisible(declaration.compares)

    def go_back(self) -> None:
        """From a page below another to where it was reached from, or to that other."""
        below = self._declared[self._shown_page].below
        if below:
            self.show_page(self._way[-1] if self._way else below)

    def _drop_pages(self) -> None:
        if self._tasks.shown():
            return  # a page may wait for what it started; it goes with the next change of page
        for id_ in [id_ for id_ in self._made if id_ != self._shown_page and not self._declared[id_].is_kept]:
            page = self._made.pop(id_)
            self._tasks.forget_all(page)
            self._stack.removeWidget(page)
            page.deleteLater()

    def show_house(self, house_id: int) -> None:
        house = self._houses[house_id]
        self.switcher.show_house(house)
        self.shown_period.set_zone(house.time_zone)
        self.live.select(house_id)
        self._refresh_light()
        self.house_shown.emit(house_id)

    def _show_house_of_page(self, house_id: int) -> None:
        if house_id in self._houses:  # one that was created a moment ago is there with the next look
            self.show_house(house_id)

    def shown_page(self) -> str:
        return self._shown_page

    def say(self, tone: Tone, text: str) -> None:
        """A sentence over all pages, until it is dismissed."""
        self._strip.say(tone, text, (("dismiss", "Dismiss"),))

    def look_at_account(self) -> None:
        """Whether the account still is what the pages were made for; a strip says where it is not."""
        self._tasks.run(self, self._read_account, self._account_read, self._account_not_read)

    def page(self, id_: str) -> Page:
        """A page that was shown before. Raises KeyError for one that was not."""
        return self._made[id_]

    def houses(self) -> list[House]:
        return list(self._houses.values())

    # --- Building ------------------------------------------------------------------------------------------------

    def _build(self, rail_collapsed: bool) -> None:
        entries = [
            (page.id_, page.title, page.icon, page.group)
            for page in self._declared.values()
            if not page.below
        ]
        self._rail = Sidebar(entries, collapsed=rail_collapsed)
        self._rail.chosen.connect(self.show_page)
        self._rail.collapsed_changed.connect(self.rail_collapsed_changed)

        self._top = top = QFrame()
        top.setProperty("surface", "top")
        top.setFixedHeight(56)
        bar = QHBoxLayout(top)
        bar.setContentsMargins(8, 0, 12, 0)
        bar.setSpacing(16)
        self.switcher = HouseSwitcher()
        self.switcher.set_houses(list(self._houses.values()))
        self.switcher.chosen.connect(self.show_house)
        self.switcher.opened.connect(self._refresh_houses)
        self.time_range = TimeRangeControl(self.shown_period)
        self.time_range.hide()
        self.findings = FindingsButton()
        self.findings.chosen.connect(self._show_finding)
        self.light = LiveLight()
        self._account = IconButton("account", f"Account {self.session.account.email}")
        self._account.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._account.clicked.connect(self._open_account_menu)
        self._account_menu = self._build_account_menu()
        bar.addWidget(self.switcher)
        bar.addWidget(self.time_range)
        bar.addStretch(1)
        bar.addWidget(self.findings)
        bar.addWidget(self.light)
        bar.addWidget(self._account)

        self.banner = OfflineBanner(self.connection)
        self._strip = MessageBar()
        self._strip.acted.connect(self._strip_pressed)
        self._stack = QStackedWidget()
        self._grey = Colourless(self._stack)
        self.ingest = IngestLight(self._tasks, self._read_ingest, self._now_ms)
        self.status = StatusBar(
            self.connection,
            self._tasks,
            self.ingest,
            self.session.profile.database_host,
            self.session.account.email,
        )
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(top)
        column.addWidget(self._stack, 1)
        column.addWidget(self.status)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._rail)
        row.addLayout(column, 1)
        self._notices = Notices(self._stack, self.banner, self._strip)

    def _build_account_menu(self) -> QMenu:
        menu = QMenu(self)
        account = self.session.account
        who = menu.addAction(
            plain_text.mnemonic_free(f"{account.name} ({account.role})" if account.name else account.role)
        )
        who.setEnabled(False)
        menu.addSeparator()
        themes = menu.addMenu("Theme")
        group = QActionGroup(themes)
        for choice, words in _THEMES:
            action = QAction(plain_text.mnemonic_free(words), themes, checkable=True)
            action.setData(choice)
            action.setChecked(choice == self._appearance.choice)
            group.addAction(action)
            themes.addAction(action)
        group.triggered.connect(self._choose_theme)
        if self._shows_findings:
            notices = menu.addAction("Notify on the desktop")
            notices.setCheckable(True)
            notices.setChecked(self._desktop_notices)
            plain_text.set_tip(notices, "Show new findings as notifications while another window is used")
            notices.toggled.connect(self.desktop_notices_changed)
        menu.addSeparator()
        menu.addAction("Your account", self._open_own_account)
        menu.addAction("Help\tF1", self.help_wanted.emit)  # the window has the key
        menu.addAction("Sign out", self.sign_out_wanted.emit)
        return menu

    def _shortcuts(self) -> None:
        keys: dict[str, Callable[[], None]] = {
            "Ctrl+K": self.switcher.open,
            "Ctrl+B": self._rail.toggle,
            "Alt+Up": self.go_back,
            "F5": self._reload,
            "F6": self._to_next_part,
            "Shift+F6": self._to_part_before,
        }
        for sequence, action in keys.items():
            QShortcut(QKeySequence(sequence), self, action)
        for number, id_ in enumerate(self._declared, start=1):
            if number <= 9:
                shortcut = QShortcut(QKeySequence(f"Ctrl+{number}"), self)
                shortcut.setObjectName(id_)
                shortcut.activated.connect(self._page_key)

    def _page_key(self) -> None:
        self.show_page(self.sender().objectName())

    def _to_next_part(self) -> None:
        self._to_part(1)

    def _to_part_before(self) -> None:
        self._to_part(-1)

    def _to_part(self, step: int) -> None:
        """From sidebar to top bar to page and round again."""
        parts, focus = (self._rail, self._top, self._stack), self.window().focusWidget()
        inside = (place for place, part in enumerate(parts) if focus is not None and part.isAncestorOf(focus))
        part = parts[(next(inside, 2) + step) % 3]
        if part is self._stack and self._shown_page in self._made:
            self._made[self._shown_page].take_focus()
        else:
            next(focus_order.tab_stops(part)).setFocus(Qt.FocusReason.TabFocusReason)

    def _open_account_menu(self) -> None:
        open_menu_below(self._account_menu, self._account)

    def _choose_theme(self, action: QAction) -> None:
        self._appearance.choose(action.data())

    def _open_own_account(self) -> None:
        house_id = self.session.account.house_id
        house = self._houses[house_id].name if house_id in self._houses else ""
        dialog = OwnAccountDialog(self.session, house, self._tasks, self.connection, self)
        dialog.password_changed.connect(self.password_changed)
        dialog.open()

    def _strip_pressed(self, id_: str) -> None:
        self._strip.hide_message()
        if id_ == "follow":
            self.account_changed.emit(self._account_now)

    def _reload(self) -> None:
        self.look_at_account()
        self._look_at_houses()
        if self._shown_page:
            self._made[self._shown_page].reload()

    def _show_no_houses(self) -> None:
        sentence = (
            "Houses are created under Houses; each gets the credentials for the edge on its Raspberry Pi."
            if self.session.may("manage_houses")
            else "Your account belongs to no house. An administrator can assign one."
        )
        notice = EmptyState("house", "There are no houses yet", sentence)
        self._stack.addWidget(notice)
        self._stack.setCurrentWidget(notice)

    # --- Data ----------------------------------------------------------------------------------------------------

    def _open_house(self, house_id: int) -> HomeReader:
        # Loaded on the worker thread, at the first house.
        from sgmp_console.reports.live import HomeLoader

        return HomeLoader(self.session.database, house_id)

    def _probe(self) -> None:
        with self.session.database.begin():
            pass  # the pool asks whether the connection is alive, or makes one

    def _read_ingest(self) -> list[IngestState]:
        with self.session.database.begin() as connection:
            return ingest_state.read(connection)

    def _listen_to_database(self) -> Iterator[Change | Reconnected | None]:
        return changes.listen(self.session.database)

    def _heard(self, change: Change | Reconnected) -> None:
        if isinstance(change, Change):
            self.live.house_changed(change.house_id, change.from_ms)
        elif self._heard_before:
            # Notices were missed; what was late in coming may lie anywhere.
            self.live.heard.emit(0)
            self.live.reload()
            self._account_soon.start()
        self._heard_before = True

    def _not_heard(self, error: Exception) -> None:
        if isinstance(error, SignInRefused):
            self.connection.end(error)
        elif isinstance(error, SgmpError):
            self.live.reload()  # says so where it is seen

    def _snapshot_came(self, _snapshot: HomeSnapshot) -> None:
        self.connection.answered()
        self._refresh_light()

    def _read_account(self) -> Account:
        with self.session.database.begin() as connection:
            return accounts.current(connection)

    def _account_read(self, now: Account) -> None:
        if now.must_change_password:  # reset; its sessions are ended, and one may have come back just before
            self.connection.end(SignInRefused())
            return
        was = self._account_now
        self._account_now = now
        if (now.role, now.permissions, now.house_id) != (was.role, was.permissions, was.house_id):
            self._strip.say(
                "info",
                "Your role or its permissions have changed. What you may do has changed already; the pages follow when "
                "you reload.",
                (("follow", "Reload pages"),),
            )

    def _account_not_read(self, error: Exception) -> None:
        if isinstance(error, SignInRefused):
            self.connection.end(error)
        elif isinstance(error, Unavailable):
            self.connection.lost(error)

    def _restored(self) -> None:
        self.look_at_account()
        self._refresh_houses()
        self.live.reload()

    def _refresh_light(self) -> None:
        self.light.show_freshness(self.live.snapshot, self._now_ms(), online=self.connection.online)

    def _grey_pages(self) -> None:
        """What is on screen is no longer current, whatever it says: without its colours, until it is read again."""
        self._grey.setEnabled(not self.connection.online)

    def _look_at_houses(self) -> None:
        if self.connection.online:
            self._refresh_houses()

    def _refresh_houses(self) -> None:
        database = self.session.database

        def read() -> _HousesFound:
            with database.begin() as connection:
                return _HousesFound(
                    tuple(houses.list_all(connection)),
                    tuple(findings.read(connection)),
                    findings.watch_age_ms(connection),
                )

        self._tasks.run(self, read, self._houses_read, self._houses_not_read)

    def _houses_read(self, found: _HousesFound) -> None:
        self._houses = {house.house_id: house for house in found.houses}
        now_ms = self._now_ms()
        troubles: dict[int, list[Finding]] = {}
        for finding in sorted(found.findings, key=lambda finding: finding.urgency):
            known = (finding.house_id or 0) in self._houses
            if known and finding.state is State.ACTIVE and finding.severity is not Severity.INFO:
                troubles.setdefault(finding.house_id or 0, []).append(finding)
        self.switcher.set_houses(found.houses, troubles)
        wrong = [house.name for house in found.houses if house.house_id in troubles]
        if wrong:
            worst = min((first for first, *_ in troubles.values()), key=lambda finding: finding.urgency)
            self._rail.set_mark(
                "houses", f"Something is wrong in {', '.join(wrong)}", finding_words.look(worst)
            )
        else:
            self._rail.set_mark("houses")
        watched_ms = None if found.watch_age_ms is None else now_ms - found.watch_age_ms
        problem = finding_words.watch_problem(watched_ms, now_ms) if self._shows_findings else ""
        self.findings.show_findings(found.findings, self._houses, now_ms, problem)
        self.findings_read.emit(found.findings, self._houses)
        shown = self._houses.get(self.live.house_id or 0)
        if shown is not None:
            self.switcher.show_house(shown)
            self.shown_period.set_zone(shown.time_zone)
        elif found.houses:
            # The first there is, or the one on screen was deleted.
            self.show_house(found.houses[0].house_id)

    def _show_finding(self, finding: Finding) -> None:
        """Its house, and what it says; who may not take note of findings reads it on Home."""
        house = self._houses.get(finding.house_id or 0)
        if house is not None:
            self.show_house(house.house_id)
            self.show_page("home")
        if self.session.may("manage_devices"):
            # Loaded when it is used: the first page does without.
            from sgmp_console.ui.dialogs.finding import FindingDialog

            zone = ZoneInfo(house.time_zone if house else "UTC")
            dialog = FindingDialog(self.services, finding, zone, self)
            dialog.acted.connect(self._noted)
            dialog.open()

    def _noted(self) -> None:
        self.live.reload()
        self._look_at_houses()

    def _houses_not_read(self, error: Exception) -> None:
        if isinstance(error, Unavailable):
            self.connection.lost(error)

    def focusNextPrevChild(self, next: bool) -> bool:  # noqa: A002, N802 - Qt's names
        return focus_order.focus_next(self, forward=next)

    # --- Events --------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._refresh_light()
        self._beat.start()
        self._account_beat.start()
        self._houses_beat.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._beat.stop()
        self._account_beat.stop()
        if not event.spontaneous():  # a minimized window still notifies of findings
            self._houses_beat.stop()
        self._account_soon.stop()
