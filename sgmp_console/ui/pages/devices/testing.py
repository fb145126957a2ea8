"""Running the test of a device, for the card that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QObject, Signal

from sgmp_console.errors import UserError
from sgmp_console.fleet import device_test
from sgmp_console.fleet.device_test import ProbeResult
from sgmp_console.store import House
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.devices.probe_card import ProbeCard
from sgmp_console.ui.tasks import Report, Task


class DeviceTest(QObject):
    """One test at a time; it is listed in the status bar, and can be cancelled there and on the card."""

    failed = Signal(object)
    """An Exception; the card shows it already."""

    def __init__(self, services: Services, house: House, card: ProbeCard, parent: QObject) -> None:
        super().__init__(parent)
        self._services = services
        self._house = house
        self._card = card
        self._task: Task[ProbeResult] | None = None
        card.cancelled.connect(self._cancel)

    def begin(self, name: str, kind: str, config: Mapping[str, Any], device_id: int | None) -> None:
        """Have the edge read it. Secrets masked in `config` are those stored for `device_id`."""
        session, house_id = self._services.session, self._house.house_id

        def test(report: Report) -> ProbeResult:
            broker = session.cloud().broker
            if broker is None:
                raise UserError(
                    "This connection names no broker, so edges can't be asked. Add one under Connections, at the sign-in."
                )
            return device_test.probe(
                session.database,
                broker,
                session.profile.deployment,
                house_id,
                kind,
                config,
                device_id=device_id,
                waiting=lambda: report(None, ""),
            )

        self._card.show_busy()
        title = f"Testing {name} of {self._house.name}"
        self._task = self._services.tasks.run_shown(self, title, test, self._tested, self._not_tested)

    def stop(self) -> None:
        """The dialog closes."""
        self._services.tasks.forget_all(self)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _tested(self, result: ProbeResult) -> None:
        self._task = None
        self._card.show_result(result)

    def _not_tested(self, error: Exception) -> None:
        self._task = None
        self._card.show_error(error)
        self.failed.emit(error)
