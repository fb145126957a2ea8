"""The test of a device from its dialog: what the house's edge reads with this config, or what is in the way."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from sgmp_console.errors import Cancelled, Unavailable
from sgmp_console.fleet.device_test import EdgeAway, ProbeResult
from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.ui import fonts, formats, plain_text
from sgmp_console.ui.explain import explain
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.labels import IconLabel, label
from sgmp_edge.contract import Outcome

_ROW = 26
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class ProbeCard(Card):
    """`wanted`: a test shall begin; `cancelled`: it shall end."""

    wanted = Signal()
    cancelled = Signal()

    def __init__(self, house: str, now_ms: Callable[[], int], parent: QWidget | None = None) -> None:
        super().__init__("Test", parent)
        self._house = house
        self._now_ms = now_ms
        self.start = button("Test", self._want)
        self.stop = button("Cancel test", self._cancel)
        self._hint = label("", "caption", "muted")
        self.header.addWidget(self._hint)
        self.header.addWidget(self.stop)
        self.header.addWidget(self.start)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Testing the device")
        policy = self._bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._bar.setSizePolicy(policy)
        self.body.addWidget(self._bar)
        row = QHBoxLayout()
        row.setSpacing(8)
        self._icon = IconLabel("info", "ink_muted", 18)
        row.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignTop)
        self._headline = label("", "strong", wraps=True)
        row.addWidget(self._headline, 1)
        self.body.addLayout(row)
        self._text = label("", "body", "secondary", wraps=True)
        self._text.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.body.addWidget(self._text)
        self.values = _values_table()
        self.body.addWidget(self.values, 1)
        self.body.addStretch(0)
        self.say_nothing()

    def say_nothing(self, why: str = "") -> None:
        """Nothing was tested, or the config has changed since. `why`: there is no testing here, and why."""
        self.start.setEnabled(not why)
        self._show(
            "info",
            "ink_muted",
            "",
            why
            or f"The edge of {self._house} reads the device once with this config. Nothing is stored, and the device "
            "need not be saved or synchronized for it.",
        )

    def show_busy(self) -> None:
        self._show("clock", "ink_muted", f"Asking the edge of {self._house}", "It may take half a minute.")
        self._bar.setRange(0, 0)
        self._bar.show()
        had_focus = self.start.hasFocus()
        self.stop.show()
        if had_focus:
            self.stop.setFocus()
        self.start.hide()

    def show_result(self, result: ProbeResult) -> None:
        icon, tint = ("check", "state_ok") if result.is_ok else ("fault", "state_fault")
        if result.outcome is Outcome.NOT_READY:
            icon, tint = "warning", "state_warning"
        values = formats.count(len(result.values), "value")
        headline = f"{result.headline} with {values}" if result.is_ok and result.values else result.headline
        text = " ".join(part for part in (_sentence(result.text), result.advice) if part)
        self._show(icon, tint, headline, text)
        if result.values:
            self._fill(result)

    def show_error(self, error: Exception) -> None:
        """What kept the test from taking place."""
        if isinstance(error, Cancelled):
            self.say_nothing()
            return
        if isinstance(error, EdgeAway):
            self._show(
                "offline", "state_fault", "The edge does not answer", f"{error} {self._heard(error.standing)}"
            )
        elif isinstance(error, Unavailable):
            self._show("offline", "state_fault", "The request did not get through", str(error))
        else:
            self._show("fault", "state_fault", "There was no test", explain(error))

    def mark_outdated(self) -> None:
        """The config has changed since what is shown was read."""
        if self._headline.isVisibleTo(self) and not self._bar.isVisibleTo(self):
            self._hint.setText("before the last change")

    def words(self) -> str:
        return "\n".join(part for part in (self._headline.text(), self._text.text()) if part)

    def _want(self) -> None:
        self.wanted.emit()

    def _cancel(self) -> None:
        self.cancelled.emit()

    def _heard(self, standing: EdgeStanding) -> str:
        if standing.heard_ms is None:
            return "It never reported: the software may not be installed on its Raspberry Pi yet."
        age = formats.age(standing.heard_ms, self._now_ms())
        if standing.presence is Presence.STOPPED:
            return f"Its program was stopped {age}."
        return f"It was last heard of {age}."

    def _show(self, icon: str, tint: str, headline: str, text: str) -> None:
        self._hint.setText("")
        self._bar.setRange(0, 1)
        self._bar.hide()
        had_focus = self.stop.hasFocus()
        self.start.show()
        if had_focus:
            self.start.setFocus()
        self.stop.hide()
        self._icon.set_icon(icon, tint)
        self._icon.setVisible(bool(headline))
        self._headline.setText(headline)
        self._headline.setVisible(bool(headline))
        self._text.setText(text)
        self._text.setVisible(bool(text))
        self.values.hide()
        self.setAccessibleDescription(f"{headline} {text}".strip())

    def _fill(self, result: ProbeResult) -> None:
        self.values.setRowCount(len(result.values))
        for row, one in enumerate(result.values):
            shown = (
                formats.with_unit(one.value, one.unit) if isinstance(one.value, float) else f"“{one.value}”"
            )
            for column, words in enumerate((one.field, shown)):
                cell = QTableWidgetItem(plain_text.one_line(words))
                cell.setFont(fonts.font("strong" if column else "body"))
                plain_text.set_tip(cell, words)
                if column:
                    cell.setTextAlignment(_RIGHT)
                self.values.setItem(row, column, cell)
        self.values.scrollToTop()
        self.values.show()


def _values_table() -> QTableWidget:
    table = QTableWidget(0, 2)
    table.setAccessibleName("Values read")
    table.setHorizontalHeaderItem(0, QTableWidgetItem("Field"))
    table.setShowGrid(False)
    # Names of fields begin alike, and differ at their ends.
    table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    table.setFont(fonts.font("body"))
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setTabKeyNavigation(False)
    table.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(_ROW)
    header = table.horizontalHeader()
    header.setFont(fonts.font("caption"))
    header.setHighlightSections(False)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    value = QTableWidgetItem("Value")
    value.setTextAlignment(_RIGHT)
    table.setHorizontalHeaderItem(1, value)
    return table


def _sentence(text: str) -> str:
    """An edge's reason as a sentence."""
    if not text:
        return ""
    return f"{text[0].upper()}{text[1:]}" + ("" if text.endswith((".", "?", "…")) else ".")
