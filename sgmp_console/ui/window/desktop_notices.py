"""Notifications of the desktop: what opened while the operator uses another window."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

from sgmp_console.store import House
from sgmp_console.store.findings import Finding, Severity, State
from sgmp_console.ui import finding_words, formats, plain_text

_MAX_SINGLE = 3
"""So many findings that open at once are shown one by one; more in one notification."""

_SHOWN_MS = 10_000
"""A hint: most desktops decide themselves for how long."""

Show = Callable[[str, str, Severity], None]
"""Shows a title and a text."""


class DesktopNotices(QObject):
    """Of one session. `window` is what a pressed notification brings to the front; `enabled` is the operator's choice;
    `show` is where notifications go, by default the desktop's."""

    def __init__(
        self, window: QWidget, *, enabled: bool, parent: QObject | None = None, show: Show | None = None
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._enabled = enabled
        self._known: frozenset[int] | None = None
        self._tray: _Tray | None = None
        self._show = show or self._show_on_desktop

    def set_enabled(self, enabled: bool) -> None:
        self._enabled = enabled
        if not enabled and self._tray is not None:
            self._tray.hide()

    def show_findings(self, findings: Sequence[Finding], houses: Mapping[int, House]) -> None:
        """The open findings of all houses, as they are now."""
        news, self._known = newly_open(self._known, findings)
        if not news or not self._enabled or self._window.isActiveWindow():
            return
        if len(news) <= _MAX_SINGLE:
            for finding in news:
                self._show(*_single(finding, houses), finding.severity)
        else:
            self._show("SGMP", _digest(news, houses), news[0].severity)

    def _show_on_desktop(self, title: str, text: str, severity: Severity) -> None:
        if self._tray is None:
            self._tray = _Tray(self)
            self._tray.pressed.connect(self._bring_window_to_front)
        self._tray.notify(title, text, severity)

    def _bring_window_to_front(self) -> None:
        if self._window.isMinimized():
            self._window.showNormal()
        self._window.raise_()
        self._window.activateWindow()


def newly_open(
    known: Collection[int] | None, findings: Sequence[Finding]
) -> tuple[list[Finding], frozenset[int]]:
    """Those that were not open at the last look and need somebody, the worst and oldest first; and the ids of all that
    are open. `known` None: this is the first look, at which nothing is news."""
    opened = frozenset(finding.finding_id for finding in findings)
    news = [
        finding
        for finding in findings
        if known is not None
        and finding.finding_id not in known
        and finding.state is State.ACTIVE
        and finding.severity is not Severity.INFO
    ]
    return sorted(news, key=lambda finding: finding.urgency), opened


def _single(finding: Finding, houses: Mapping[int, House]) -> tuple[str, str]:
    house = houses.get(finding.house_id or 0)
    sentence = finding_words.said(finding, house.time_zone if house else "UTC")
    title = plain_text.one_line(house.name) if house else "SGMP"
    return title, "\n".join(filter(None, (plain_text.one_line(sentence.text), sentence.to_do)))


def _digest(news: Sequence[Finding], houses: Mapping[int, House]) -> str:
    names = dict.fromkeys(
        plain_text.one_line(houses[finding.house_id or 0].name)
        for finding in news
        if finding.house_id in houses
    )
    listed = ", ".join(list(names)[:_MAX_SINGLE]) + (", …" if len(names) > _MAX_SINGLE else "")
    what = f"{formats.count(len(news), 'new finding')}"
    return f"{what}: {listed}" if listed else what


_ICONS = {
    Severity.CRITICAL: QSystemTrayIcon.MessageIcon.Critical,
    Severity.WARNING: QSystemTrayIcon.MessageIcon.Warning,
    Severity.INFO: QSystemTrayIcon.MessageIcon.Information,
}


class _Tray(QObject):
    """The icon that a desktop wants for a notification; there only once something was to be notified."""

    pressed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._icon = QSystemTrayIcon(QApplication.windowIcon(), self)
        self._icon.setToolTip("SGMP")
        self._icon.activated.connect(self.pressed)
        self._icon.messageClicked.connect(self.pressed)

    def notify(self, title: str, text: str, severity: Severity) -> None:
        self._icon.show()
        self._icon.showMessage(title, plain_text.notification(text), _ICONS[severity], _SHOWN_MS)

    def hide(self) -> None:
        self._icon.hide()
