"""Home: what the house does now, today and over the last 24 hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from PySide6.QtCore import QRectF, QTimer
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QSizePolicy, QWidget

from sgmp_console.errors import Cancelled, Unavailable
from sgmp_console.reports.export import Piece
from sgmp_console.reports.home import LINE_ITEMS, POWER_ITEMS, POWER_SOURCES, POWER_USES, HomeSnapshot
from sgmp_console.reports.time_marks import TimeMark
from sgmp_console.store.findings import Finding
from sgmp_console.ui import finding_words, formats, item_actions
from sgmp_console.ui.charts.legend import Legend, Readout
from sgmp_console.ui.charts.panes import Pane
from sgmp_console.ui.charts.time_chart import TimeChart
from sgmp_console.ui.explain import explain
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.home.energy import EnergyCard
from sgmp_console.ui.pages.home.findings import FindingsCard
from sgmp_console.ui.pages.home.flow import FlowDiagram, flows
from sgmp_console.ui.pages.home.missing_items import MissingItemsBar
from sgmp_console.ui.pages.home.tiles import BatteryTile, ChargingTile, Tile, current
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.exporter import Exporter, Offer
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.loaded_page import LoadedPage
from sgmp_console.ui.parts.message_bar import MessageBar, Tone
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_console.ui.quantities import QUANTITIES

if TYPE_CHECKING:
    from sgmp_console.fleet.analytics import RequiredCreated

_MARGIN = 16
_THREE_COLUMNS_FROM = 920
"""Width in pixels."""
_TILE_HEIGHT = 112
_LEAST_CARD_HEIGHT = 204
_LEAST_POWER_HEIGHT = 264
"""With all of the legend."""

_REPORT_OF = {"solar": "solar", "battery_discharging": "battery", "ev": "ev", "load": "load"}
"""By item of a tile: the page of its report."""


class HomePage(LoadedPage):
    """Built when there is something to show for the first time, and brought up to date only while it is on screen: the
    window opens sooner, and other pages need not wait for it."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(
            services,
            "The dashboard of this house",
            loading="Loading the last 24 hours of this house",
            parent=parent,
        )
        self._snapshot: HomeSnapshot | None = None
        self._is_shown = False
        """Whether that is what stands there; not while another page is on screen and a newer one came."""
        self._grid: QGridLayout | None = None
        """Of the content; None until that is built."""
        self._zone: tzinfo | None = None
        self._remarks: tuple[int, tuple[str, ...]] = (0, ())
        self._heartbeat = QTimer(self)
        self._heartbeat.setInterval(1000)
        self._heartbeat.timeout.connect(self._beat)
        live = services.live
        live.loading.connect(self._show_loading)
        live.snapshot_ready.connect(self.show_snapshot)
        live.failed.connect(self.not_loaded)
        live.lost.connect(self.not_loaded)
        if live.snapshot is not None:
            self.show_snapshot(live.snapshot)
        else:
            self._show_loading()

    def show_snapshot(self, snapshot: HomeSnapshot) -> None:
        """Show a house, or why it can't be shown, as soon as this page is on screen."""
        self._snapshot = snapshot
        self._is_shown = self.isVisible()
        if not self._is_shown:
            return
        if not snapshot.devices:
            self._show_no_devices()
        elif snapshot.missing_items and not snapshot.curves:
            self._show_missing_items(snapshot)
        else:
            if self._grid is None:
                self.set_content(self._build_content())
            self._fill(snapshot)
            self.show_content()

    # --- The content ---------------------------------------------------------------------------------------------

    def _build_content(self) -> QWidget:
        clock, tasks = self.services.draw_clock, self.services.tasks
        self.tiles = (Tile("solar"), BatteryTile(), ChargingTile(), Tile("load"))
        self.power_chart = TimeChart(
            [Pane("kW", tuple(QUANTITIES[item] for item in POWER_ITEMS), 1.0, True, frozenset(POWER_USES))],
            clock,
            tasks,
            "Power, last 24 hours",
        )
        self.legend = Legend(
            [
                ("From", [QUANTITIES[item] for item in POWER_SOURCES]),
                ("To", [QUANTITIES[item] for item in POWER_USES]),
            ],
            "kW",
            areas=True,
        )
        self.legend.toggled.connect(self.power_chart.set_shown)
        self.line_chart = TimeChart(
            [
                Pane("Hz", (QUANTITIES["l1_frequency"],), 0.1, False),
                Pane("V", (QUANTITIES["l1_voltage"], QUANTITIES["l2_voltage"]), 4.0, False),
            ],
            clock,
            tasks,
            "Grid frequency and voltage, last 24 hours",
            axis_width=64,
        )
        self.bar = MessageBar()
        self.bar.acted.connect(self.bar.hide_message)
        exporter = Exporter(self.services, self._say, self)
        for chart in (self.power_chart, self.line_chart):
            chart.mark_opened.connect(self._open_mark)
        for chart, title in ((self.power_chart, "Power"), (self.line_chart, "Frequency and voltage")):
            exporter.offer(chart, partial(self._offer, chart, title))
        self.flow = FlowDiagram()
        self.energy = EnergyCard()
        for source, report, period in (
            *((tile, _REPORT_OF[tile.item], "24h") for tile in self.tiles),
            (self.energy, "energy", "today"),
        ):
            if self.services.has_page(report):
                source.set_pressable()
                source.setAccessibleDescription("Enter opens the report.")
                source.pressed.connect(partial(self._open_report, report, period))
        self.findings = FindingsCard()
        self.findings.set_may_act(self.services.session.may("manage_devices"))
        self.findings.set_has_pages(self.services.has_page("device"))
        self.findings.chosen.connect(self._take_note)
        self.findings.page_wanted.connect(self._show_page_of)

        power = Card("Power, last 24 hours")
        self._power_hint = label("", "caption", "muted")
        power.header.addWidget(self._power_hint)
        side_by_side = QHBoxLayout()
        side_by_side.setSpacing(16)
        side_by_side.addWidget(self.power_chart, 1)
        side_by_side.addWidget(self.legend)
        power.body.addLayout(side_by_side)
        now = Card("Energy flow now")
        now.body.addWidget(self.flow, 1)
        line = Card("Frequency and voltage")
        self._readout = Readout(
            [(QUANTITIES[item], unit) for item, unit in zip(LINE_ITEMS, ("Hz", "V", "V"), strict=True)]
        )
        line.body.addWidget(self._readout)
        line.body.addWidget(self.line_chart)

        for resizable, least in (
            (power, _LEAST_POWER_HEIGHT),
            (line, _LEAST_CARD_HEIGHT),
            (self.findings, _LEAST_CARD_HEIGHT),
        ):
            # They take what is left, and want no more than they need: by what a chart wants, a page that has room would scroll.
            resizable.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)
            resizable.setMinimumHeight(least)

        page = QWidget()
        page.setProperty("surface", "none")
        self.missing_items = MissingItemsBar()
        self.missing_items.create_wanted.connect(self._create_items)
        self._tiles_box = QWidget()
        self._tiles_grid = QGridLayout(self._tiles_box)
        self._tiles_grid.setContentsMargins(0, 0, 0, 0)
        self._tiles_grid.setSpacing(_MARGIN)
        self._grid = grid = QGridLayout(page)
        grid.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        grid.setSpacing(_MARGIN)
        self._cards = (power, now, self.energy, line, self.findings)
        for card in (*self.tiles, *self._cards):
            # The columns share the width equally, whatever stands in them.
            card.setSizePolicy(QSizePolicy.Policy.Ignored, card.sizePolicy().verticalPolicy())
        self._columns = 0
        self._arrange(grid)
        return ScrollArea(page)

    def _say(self, tone: Tone, text: str) -> None:
        self.bar.say(tone, text, (("dismiss", "Dismiss"),))

    def _offer(self, chart: TimeChart, title: str) -> Offer | None:
        """A chart as it is shown now."""
        shown = self._snapshot
        if shown is None:
            return None
        values = chart.readings(title)
        units = dict.fromkeys(column.unit for column in values.columns if column.unit)
        piece = Piece(
            title,
            (values,),
            shown.time_zone,
            shown.house_name,
            "Last 24 hours",
            (shown.start_ms, shown.end_ms),
            ", ".join(units),
        )
        return Offer(piece, chart.drawing())

    def _take_note(self, finding: Finding) -> None:
        # Loaded when it is used: the first page does without.
        from sgmp_console.ui.dialogs.finding import FindingDialog

        if self._snapshot is not None:
            zone = ZoneInfo(self._snapshot.time_zone)
            dialog = FindingDialog(self.services, finding, zone, self)
            dialog.acted.connect(self.services.live.reload)
            dialog.open()

    def _show_page_of(self, finding: Finding) -> None:
        if finding.device:
            self.services.show_device(finding.device)
        else:
            self.services.navigate(finding_words.page_of(finding))

    def _open_mark(self, mark: TimeMark) -> None:
        self.services.shown_period.choose_text("24h")
        self.services.open_mark(mark)

    def _open_report(self, report: str, period: str) -> None:
        self.services.shown_period.choose_text(period)
        self.services.navigate(report)

    def _arrange(self, grid: QGridLayout) -> None:
        """The cards in three columns, or in two where there is no room for three: then the page scrolls down."""
        columns = self._columns_wanted()
        if columns == self._columns:
            return
        self._columns = columns
        wide = columns == 3
        for number, tile in enumerate(self.tiles):
            row, column = (0, number) if wide else divmod(number, 2)
            self._tiles_grid.addWidget(tile, row, column)
        for column in range(4):
            self._tiles_grid.setColumnStretch(column, 1 if wide or column < 2 else 0)
        power, now, energy, line, findings = self._cards
        grid.addWidget(self.missing_items, 0, 0, 1, columns)
        grid.addWidget(self._tiles_box, 1, 0, 1, columns)
        grid.addWidget(self.bar, 5, 0, 1, columns)
        grid.addWidget(power, 2, 0, 1, 2)
        if wide:
            grid.addWidget(now, 2, 2)
            grid.addWidget(energy, 3, 0)
            grid.addWidget(line, 3, 1)
            grid.addWidget(findings, 3, 2)
        else:
            grid.addWidget(now, 3, 0)
            grid.addWidget(energy, 3, 1)
            grid.addWidget(line, 4, 0)
            grid.addWidget(findings, 4, 1)
        for column in range(3):
            grid.setColumnStretch(column, 1 if column < columns else 0)
        for row, stretch in ((2, 2), (3, 1), (4, 0 if wide else 1)):
            grid.setRowStretch(row, stretch)

    def _fill(self, snapshot: HomeSnapshot) -> None:
        zone = ZoneInfo(snapshot.time_zone)
        if zone != self._zone:
            self._zone = zone
            self.power_chart.set_zone(zone)
            self.line_chart.set_zone(zone)
        car = "; the load is shown without the car" if snapshot.load_without_ev is not None else ""
        self._power_hint.setText(f"Times in {snapshot.time_zone.replace('_', ' ')}{car}")
        now_ms = self.services.now_ms()
        for tile in self.tiles:
            tile.set_snapshot(snapshot, now_ms)
        self.power_chart.set_curves(snapshot.power_curves, snapshot.start_ms, snapshot.end_ms)
        self.line_chart.set_curves(snapshot.curves, snapshot.start_ms, snapshot.end_ms)
        for chart in (self.power_chart, self.line_chart):
            chart.set_marks(snapshot.marks)
        self.energy.set_energy(snapshot.energy_today, zone)
        self.missing_items.set_snapshot(
            snapshot,
            may_create=self.services.session.may("manage_analytics"),
            remarks=self._remarks_of(snapshot.house_id),
        )
        self._bring_up_to_date(snapshot, now_ms)

    def _beat(self) -> None:
        if self._snapshot is not None and self.is_content_shown():
            now_ms = self.services.now_ms()
            for tile in self.tiles:
                tile.set_now(self._snapshot, now_ms)
            self._bring_up_to_date(self._snapshot, now_ms)

    def _bring_up_to_date(self, snapshot: HomeSnapshot, now_ms: int) -> None:
        """What changes by the mere passing of time: values that become stale."""
        self.legend.set_values({item: current(snapshot.latest_power(item), now_ms) for item in POWER_ITEMS})
        self.flow.set_flows(flows(snapshot, now_ms))
        self._readout.set_values({item: current(snapshot.latest(item), now_ms) for item in LINE_ITEMS})
        self.findings.show_findings(snapshot, now_ms, ZoneInfo(snapshot.time_zone))

    # --- What stands there instead -------------------------------------------------------------------------------

    def _show_loading(self) -> None:
        self._snapshot = None
        self.show_loading()

    def is_loaded(self) -> bool:
        return self._snapshot is not None

    def not_loaded(self, error: Exception) -> None:
        if not isinstance(error, Unavailable):
            self._snapshot = None  # what stands there is not true any more
        super().not_loaded(error)

    def _show_no_devices(self) -> None:
        actions = (("devices", "Show devices"),) if self.services.has_page("devices") else ()
        self.show_notice(
            EmptyState(
                "house",
                "This house has no devices yet",
                "Its values appear here once devices are created, the configuration is synchronized and the edge on "
                "its Raspberry Pi sends its first reading.",
                actions,
            )
        )

    def _show_missing_items(self, snapshot: HomeSnapshot) -> None:
        names = ", ".join(snapshot.missing_items)
        may = self.services.session.may("manage_analytics")
        self.show_notice(
            EmptyState(
                "wave",
                f"This house is missing {formats.count(len(snapshot.missing_items), 'required analytic item')}",
                " ".join(
                    (
                        f"The dashboard is made of analytic items. Missing: {names}.",
                        "" if may else "Somebody with the permission to manage analytics can create them.",
                        *self._remarks_of(snapshot.house_id),
                    )
                ),
                (("create", "Create required items"),) if may else (),
            )
        )

    def acted(self, id_: str) -> None:
        if id_ == "create":
            self._create_items()
        else:
            self.services.navigate(id_)

    def _create_items(self) -> None:
        snapshot = self._snapshot
        if snapshot is None:
            return
        self._set_creating(True)
        house_id = snapshot.house_id

        def created(outcome: RequiredCreated) -> None:
            self._note_remarks(house_id, (*outcome.not_created, *outcome.remarks))

        def not_created(error: Exception) -> None:
            self._set_creating(False)
            if isinstance(error, Unavailable):
                self.services.connection.lost(error)
            elif not isinstance(error, Cancelled):
                self._remarks = (house_id, (f"The required items could not be created: {explain(error)}",))
                if self._snapshot is not None:
                    self.show_snapshot(self._snapshot)

        def populated(left: str) -> None:
            if left:
                self._note_remarks(house_id, (*self._remarks_of(house_id), left))

        item_actions.create_required(
            self.services.tasks,
            self.services.session,
            self,
            house_id,
            snapshot.house_name,
            created,
            not_created,
            populated,
        )

    def _set_creating(self, creating: bool) -> None:
        """Whether the required items are being created: no second time meanwhile."""
        if self._grid is not None:
            self.missing_items.set_busy(creating)
        notice = self.notice()
        if notice is not None and "create" in notice.buttons():
            notice.buttons()["create"].setEnabled(not creating)

    def _remarks_of(self, house_id: int) -> tuple[str, ...]:
        return self._remarks[1] if self._remarks[0] == house_id else ()

    def _note_remarks(self, house_id: int, remarks: tuple[str, ...]) -> None:
        """What an act had to say about a house, which may no longer be on screen."""
        self._remarks = (house_id, remarks)
        if self.services.live.house_id == house_id:
            self.services.live.select(house_id)

    # --- Events --------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        if self._snapshot is not None and not self._is_shown:
            self.show_snapshot(self._snapshot)
        else:
            self._beat()
        self._heartbeat.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._heartbeat.stop()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        if self._grid is not None:
            self._arrange(self._grid)
        super().resizeEvent(event)

    def _columns_wanted(self) -> int:
        return 3 if self.width() >= _THREE_COLUMNS_FROM else 2

    def shapes(self) -> Sequence[QRectF]:
        gap = _MARGIN
        width, height = self.width() - 2 * gap, max(self.height(), _TILE_HEIGHT + 480) - 2 * gap
        half, third = (width - gap) / 2, (width - 2 * gap) / 3
        wide = self._columns_wanted() == 3
        across = 4 if wide else 2
        tile = (width - (across - 1) * gap) / across
        blocks = [
            QRectF(
                gap + number % across * (tile + gap),
                gap + number // across * (_TILE_HEIGHT + gap),
                tile,
                _TILE_HEIGHT,
            )
            for number in range(4)
        ]
        middle = gap + 4 // across * (_TILE_HEIGHT + gap)
        rest = height + gap - middle
        bottom = middle + gap + rest * 0.62
        if wide:
            blocks.append(QRectF(gap, middle, 2 * third + gap, rest * 0.62))
            blocks.append(QRectF(gap + 2 * (third + gap), middle, third, rest * 0.62))
        else:
            blocks.append(QRectF(gap, middle, width, rest * 0.62))
        part, count = (third, 3) if wide else (half, 2)
        blocks += [QRectF(gap + column * (part + gap), bottom, part, rest * 0.38) for column in range(count)]
        return blocks
