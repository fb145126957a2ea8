"""A report's figures as tiles: value, unit, period, coverage, difference; "Why?" on hover, click and F2."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from sgmp_console.reports.report import Figure, Report, Section
from sgmp_console.reports.time_marks import MarkKind
from sgmp_console.timeseries import HOUR_MS, SLOT_MS
from sgmp_console.ui import fonts, formats, plain_text
from sgmp_console.ui.pages.reports import look
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.labels import ElidedLabel, ValueLabel, label
from sgmp_console.ui.parts.popup import Popup
from sgmp_console.ui.parts.pressable import Pressable

_TILE_WIDTH = 152
"""Pixels that a tile is wide at least."""
_TILE_MARGIN = 12
"""Pixels at both sides: less than in a card, so that the Energy report's twelve figures leave its chart room."""
_SPACING = 8
_MAX_MARKS = 5
"""Findings of a figure that are named, and notes."""


class FigureTile(Pressable):
    """One figure. It takes the focus: F2, Enter, Space or a click asks why."""

    def __init__(self, report: Report, figure: Figure, zone: tzinfo, now_ms: int) -> None:
        super().__init__()
        self.figure = figure
        self.setProperty("surface", "card")
        self.set_pressable(Qt.Key.Key_F2, cursor=Qt.CursorShape.WhatsThisCursor)
        # As wide as its column, whatever stands in it.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        column = QVBoxLayout(self)
        column.setContentsMargins(_TILE_MARGIN, 10, _TILE_MARGIN, 10)
        column.setSpacing(2)
        column.addWidget(ElidedLabel(figure.title, "body", "secondary"))
        widest = fonts.metrics("body").horizontalAdvance(figure.title)
        if figure.section is Section.CHECK:
            column.addWidget(ElidedLabel(formats.with_unit(figure.value, figure.unit), "strong"))
        else:
            value = ValueLabel()
            value.set_value(figure.value, figure.unit)
            column.addWidget(value)
            widest = max(widest, value.sizeHint().width())
        column.addWidget(
            label(look.figure_line(report, figure, zone, now_ms), "caption", "muted", wraps=True)
        )
        if difference := look.difference_line(report, figure):
            column.addWidget(ElidedLabel(difference, "caption", "secondary"))
            widest = max(widest, fonts.metrics("caption").horizontalAdvance(difference))
        self.least_width = round(widest) + 2 * _TILE_MARGIN + 4
        """Pixels with which neither title nor value nor difference is cut."""
        plain_text.set_tip(self, why_text(report, figure, zone))
        spoken = formats.with_unit(figure.value, figure.unit)
        self.setAccessibleName(f"{figure.title}: {spoken}")
        self.setAccessibleDescription(f"{report.period.title}. Press F2 to see where the number comes from.")


class FigureGrid(QWidget):
    """The tiles of a report, section by section, in as many columns as there is room for.

    What does not add up is shown where it is not zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(_SPACING)
        self.tiles: list[FigureTile] = []
        self._captions: list[QLabel] = []
        self._why: WhyCard | None = None
        self._asked: str | None = None
        """The figure of which the card says why: its tile has the focus again when the card is closed."""
        self._columns = 0

    def set_report(self, report: Report, zone: tzinfo, now_ms: int) -> None:
        # Of the window, whether it is active or not: a report is computed again also while another window is used.
        holder = self.window().focusWidget()
        focused = next((tile.figure.key for tile in self.tiles if tile is holder), self._asked)
        for widget in (*self.tiles, *self._captions):
            self._grid.removeWidget(widget)
            widget.deleteLater()
        self.tiles = [FigureTile(report, figure, zone, now_ms) for figure in look.shown_figures(report)]
        sections = dict.fromkeys(tile.figure.section for tile in self.tiles)
        self._captions = [label(section.value, "caption", "secondary") for section in sections]
        for tile in self.tiles:
            tile.pressed.connect(self._show_why)
        self._columns = 0
        self._arrange()
        for tile in self.tiles:
            if tile.figure.key == focused:
                tile.show()  # in a window that is not active, a widget that is not shown yet can't take the focus
                tile.setFocus()
        self._report, self._zone = report, zone

    def resizeEvent(self, _event: object) -> None:  # noqa: N802
        self._arrange()

    def _arrange(self) -> None:
        least = max((tile.least_width for tile in self.tiles), default=0)
        room = max(1, (self.width() + _SPACING) // (max(least, _TILE_WIDTH) + _SPACING))
        sections: dict[Section, list[FigureTile]] = {}
        for tile in self.tiles:
            sections.setdefault(tile.figure.section, []).append(tile)

        def rows_with(columns: int) -> int:
            return sum(-(-len(tiles) // columns) for tiles in sections.values())

        # As few rows as can be, then as even as can be.
        columns = min(range(1, room + 1), key=lambda columns: (rows_with(columns), columns))
        if columns == self._columns:
            return
        self._columns = columns
        row = 0
        for (section, tiles), caption in zip(sections.items(), self._captions, strict=True):
            caption.setContentsMargins(0, _SPACING if row else 0, 0, 0)  # nearer to its own tiles
            if section.value:
                self._grid.addWidget(caption, row, 0, 1, columns)
                row += 1
            for place, tile in enumerate(tiles):
                self._grid.addWidget(tile, row + place // columns, place % columns)
            row += -(-len(tiles) // columns)
        for column in range(self._grid.columnCount()):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)

    def _show_why(self) -> None:
        tile = self.sender()
        if not isinstance(tile, FigureTile):
            return
        self._why = WhyCard(why_text(self._report, tile.figure, self._zone), self)  # it outlives the tile
        self._asked = tile.figure.key
        self._why.destroyed.connect(self._forget_why)
        self._why.open_below(tile, self._why.copy_button)

    def _forget_why(self) -> None:
        self._why = self._asked = None


class WhyCard(Popup):
    """Where a number comes from. Esc closes it; the text can be copied."""

    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__("Why this number", parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.text = text
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(8)
        shown = label(text, "body", wraps=True)
        shown.setFixedWidth(480)
        shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column.addWidget(shown)
        row = QHBoxLayout()
        row.addStretch(1)
        self.copy_button = button("Copy", self._copy)
        row.addWidget(self.copy_button)
        column.addLayout(row)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text)
        self.close()


def why_text(report: Report, figure: Figure, zone: tzinfo) -> str:
    """All that is known about where a figure comes from, line by line."""
    return "\n".join(_why_lines(report, figure, zone))


def _why_lines(report: Report, figure: Figure, zone: tzinfo) -> Iterator[str]:
    why = figure.why
    value = "no value" if figure.value is None else f"{figure.value!r} {figure.unit}".strip()
    yield f"{figure.title}: {value}"
    if why.note:
        yield why.note
    yield f"Item: {why.item}"
    if why.formula:
        yield f"Formula: {why.formula}"
    if why.expanded and why.expanded != why.formula:
        yield f"Written out: {why.expanded}"
    yield f"House: {report.house.name}, times of {report.period.zone}"
    yield f"Period: {report.period.title} ({_range(report.period.start_ms, report.passed_ms, zone)})"
    if report.passed_ms < report.period.end_ms:
        yield "The period is still running; the five minutes that are not over are left out."
    if report.period.snapped:
        yield "The period was widened to whole five-minute slots."
    if figure.at_ms is not None:
        yield f"Reached: {formats.local(figure.at_ms, zone).isoformat(' ', 'seconds')}"
    elif figure.hour_ms is not None:
        yield f"Reached in the hour from {_time(figure.hour_ms, zone)}."
    if why.slots:
        yield f"Slots of five minutes: {why.covered:,} of {why.slots:,} have a value ({why.covered / why.slots:.1%})."
    if why.excluded:
        hours = why.excluded * SLOT_MS / HOUR_MS
        yield f"Excluded by notes: {formats.count(why.excluded, 'slot')} ({hours:.1f} h), which count as not covered."
    if why.polls is not None and why.polls.share is not None:
        yield f"Polls: {why.polls.values:,} of {why.polls.expected:,} expected have a value ({why.polls.share:.1%})."
    for gap in why.gaps:
        yield f"No value: {_range(gap.start_ms, gap.end_ms, zone)} ({(gap.end_ms - gap.start_ms) / HOUR_MS:.1f} h)"
    for kind in MarkKind:
        of_kind = [one for one in why.marks if one.kind is kind]
        for one in of_kind[:_MAX_MARKS]:
            until = "still holds" if one.to_ms is None else f"to {_time(one.to_ms, zone)}"
            what = " (excluded from means and sums)" if one.excluded else ""
            said = f"{kind.value.capitalize()}: {one.text}{what}, from {_time(one.from_ms, zone)}, {until}"
            yield plain_text.one_line(said)
        if len(of_kind) > _MAX_MARKS:
            yield f"and {formats.count(len(of_kind) - _MAX_MARKS, f'more {kind.value}')} in this period."
    if why.source is not None:
        yield f"Source: {why.source.value}. {why.source.explanation}"


def _range(start_ms: int, end_ms: int, zone: tzinfo) -> str:
    return f"{_time(start_ms, zone)} to {_time(end_ms, zone)}"


def _time(at_ms: int, zone: tzinfo) -> str:
    return formats.local(at_ms, zone).strftime("%Y-%m-%d %H:%M")
