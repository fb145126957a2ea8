"""The window driven without a person: until what it shows is what it should show."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.settings import ThemeChoice
from sgmp_console.ui.window.console import Console
from sgmp_console.ui.window.frame.main_view import MainView

Verdict = Callable[[Mapping[str, HomeSnapshot]], list[str]]
Screenshot = tuple[Path, int, int, ThemeChoice]

_HOUSE_TURN_S = 2.5
"""How long a house stays on screen before the next one has its turn."""

_SETTLE_MS = 250
"""From a new size or theme to the picture: a frame of the draw clock and its painting."""


@dataclass
class CheckResult:
    """`missing` is what the verdict was missing at last, empty if all is well; `seconds` since the start, by stage."""

    missing: list[str] = field(default_factory=lambda: ["nothing was shown"])
    seconds: dict[str, float] = field(default_factory=dict)
    snapshots: dict[str, HomeSnapshot] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": not self.missing,
            "missing": self.missing,
            "seconds": self.seconds,
            "houses": {name: _summary(snapshot) for name, snapshot in self.snapshots.items()},
        }


class Check(QObject):
    """Shows each house in turn and asks the verdict about all that was shown; then takes the screenshots.

    `finished` comes once, at the latest after `timeout_s`.
    """

    finished = Signal()

    def __init__(
        self,
        console: Console,
        verdict: Verdict,
        timeout_s: float,
        screenshots: list[Screenshot],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.result = CheckResult()
        self._console = console
        self._verdict = verdict
        self._screenshots = screenshots
        self._began = time.monotonic()
        self._view: MainView | None = None
        self._deadline = _single_shot(self, self._out_of_time)
        self._deadline.start(round(timeout_s * 1000))
        self._turn = QTimer(self)
        self._turn.setInterval(round(_HOUSE_TURN_S * 1000))
        self._turn.timeout.connect(self._next_house)
        self._settle = _single_shot(self, self._take)
        console.stage_changed.connect(self._mark)
        console.preparation_staged.connect(self._mark_preparation)
        console.signed_in.connect(self._signed_in)
        console.preparation_failed.connect(self._preparation_failed)

    def _mark(self, stage: str) -> None:
        self.result.seconds.setdefault(stage, round(time.monotonic() - self._began, 2))

    def _mark_preparation(self, stage: str, _text: str, _fraction: float | None) -> None:
        self._mark(stage)

    def _signed_in(self, view: MainView) -> None:
        self._view = view
        view.live.snapshot_ready.connect(self._shown)
        view.live.failed.connect(self._failed)
        self._turn.start()

    def _shown(self, snapshot: HomeSnapshot) -> None:
        if self._deadline.isActive():
            self._mark("first_chart")
            self.result.snapshots[snapshot.house_name] = snapshot
            self.result.missing = self._verdict(self.result.snapshots)
            if not self.result.missing:
                self._mark("complete")
                self._end()

    def _failed(self, error: Exception) -> None:
        if self._deadline.isActive():
            self.result.missing = [f"a house could not be shown: {error}"]

    def _preparation_failed(self, sentence: str) -> None:
        self.result.missing = [sentence]
        self._screenshots = []
        self._end()

    def _out_of_time(self) -> None:
        self._mark("timeout")
        self._end()

    def _next_house(self) -> None:
        if self._view is None:
            return
        shown = [house.house_id for house in self._view.houses()]
        current = self._view.live.house_id
        if len(shown) > 1 and current in shown and self._view.live.snapshot is not None:
            self._view.show_house(shown[(shown.index(current) + 1) % len(shown)])

    def _end(self) -> None:
        self._deadline.stop()
        self._turn.stop()
        self._next_screenshot()

    def _next_screenshot(self) -> None:
        if not self._screenshots:
            self.finished.emit()
            return
        _, width, height, theme = self._screenshots[0]
        self._console.appearance.choose(theme)
        self._console.resize(width, height)
        self._settle.start(_SETTLE_MS)

    def _take(self) -> None:
        path, _, _, _ = self._screenshots.pop(0)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self._console.grab().save(str(path)):
            self.result.missing.append(f"the screenshot {path} can't be written")
        self._next_screenshot()


def _single_shot(parent: QObject, then: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.timeout.connect(then)
    return timer


def _summary(snapshot: HomeSnapshot) -> dict[str, Any]:
    now_ms = snapshot.now_ms
    return {
        "devices": {
            device.name: {
                "type": device.type,
                "age_ms": None if device.newest_ms is None else now_ms - device.newest_ms,
            }
            for device in snapshot.devices
        },
        "values": {
            item: {
                "value": curve.latest.value,
                "unit": curve.unit,
                "age_ms": now_ms - curve.latest.timestamp_ms,
            }
            for item, curve in snapshot.curves.items()
            if curve.latest is not None
        },
        "missing_items": list(snapshot.missing_items),
        "findings": [finding.rule for finding in snapshot.findings if finding.is_open],
    }
