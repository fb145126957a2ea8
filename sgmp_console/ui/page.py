"""What a page is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from sgmp_console.reports.time_marks import TimeMark
from sgmp_console.ui.charts.draw_clock import DrawClock
from sgmp_console.ui.connection import Connection
from sgmp_console.ui.live import HomeFeed
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_console.ui.session import Session
from sgmp_console.ui.shown_period import ShownPeriod
from sgmp_console.ui.tasks import Tasks


@dataclass
class HeatMapChoice:
    """What the heat map shows, kept while other pages are on screen. `item` None: what it is of by default."""

    item: str | None = None
    by_weekday: bool = False


@dataclass
class DeviceChoice:
    """Whose page is shown: of `name` in a house; of another house its first device. `field`: whose curve it shows."""

    name: str = ""
    house_id: int | None = None
    field: str = ""


@dataclass
class EventsChoice:
    """What the page Events is to choose when it is shown next, as a mark of a chart asked for it."""

    mark: TimeMark | None = None


@dataclass(frozen=True)
class Services:
    """All that a page may use of the window around it."""

    session: Session
    tasks: Tasks
    draw_clock: DrawClock
    live: HomeFeed
    shown_period: ShownPeriod
    connection: Connection
    now_ms: Callable[[], int]
    navigate: Callable[[str], None]
    """Show the page with this id."""
    go_back: Callable[[], None]
    """From a page that is reached from another (`PageDeclaration.below`) to that."""
    show_house: Callable[[int], None]
    """Have the pages show this house, if the window knows it."""
    has_page: Callable[[str], bool]
    """Whether there is such a page for this account."""
    houses_changed: Callable[[], None]
    """A house was created, changed or deleted: read their list again."""
    column_widths: dict[str, int]
    """Logical pixels that the operator chose, by "table/column"; kept over a restart."""
    heat_map: HeatMapChoice = field(default_factory=HeatMapChoice)
    device: DeviceChoice = field(default_factory=DeviceChoice)

    def show_device(self, name: str) -> None:
        """The page of a device of the house on screen."""
        self.device.name, self.device.house_id, self.device.field = name, self.live.house_id, ""
        self.navigate("device")

    events: EventsChoice = field(default_factory=EventsChoice)

    def open_mark(self, mark: TimeMark) -> None:
        """Show a finding or note on the page Events."""
        if self.has_page("events"):
            self.events.mark = mark
            self.navigate("events")


class Page(QWidget):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.services = services

    def take_focus(self) -> None:
        """It was shown: the keyboard is for it, so that its shortcuts work. Where it scrolls, so do the keys; where a notice
        stands in its place, its first button has the focus."""
        for shown in self.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly):
            if not isinstance(shown, QWidget) or shown.isHidden():
                continue
            if isinstance(shown, EmptyState) and shown.buttons():
                next(iter(shown.buttons().values())).setFocus()
                return
            area = shown if isinstance(shown, ScrollArea) else shown.findChild(ScrollArea)
            if isinstance(area, ScrollArea):
                area.setFocus()
                return
        self.setFocus()

    def reload(self) -> None:
        """Read again what is shown (F5)."""
        self.services.live.reload()
