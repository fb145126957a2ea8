"""Synchronize Configuration of several houses: which, how they stand, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from sgmp_console.errors import SgmpError, UserError
from sgmp_console.fleet import sync
from sgmp_console.fleet.houses_overview import HouseOverview
from sgmp_console.fleet.sync import Outcome
from sgmp_console.store import DatabaseUnavailable
from sgmp_console.ui import formats, house_words
from sgmp_console.ui.dialogs.act_dialog import ActDialog
from sgmp_console.ui.dialogs.synchronize import NO_BROKER
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.rows import Column, Mark
from sgmp_console.ui.parts.table import RowsTable

if TYPE_CHECKING:
    # Loaded with the first act that needs it: it brings a library for certificates.
    from sgmp_console.cloud.services import Services as Cloud


@dataclass(frozen=True)
class _Line:
    """`result`: "" before it was sent; `failed`: what it says is why not."""

    house: HouseOverview
    result: str = ""
    failed: bool = False


def _result_mark(line: _Line) -> Mark | None:
    if not line.result:
        return None
    return Mark("fault", "state_fault") if line.failed else Mark("check", "state_ok")


_COLUMNS: tuple[Column[_Line], ...] = (
    Column("House", lambda line: line.house.house.name, 160, strong=True),
    Column(
        "Configuration",
        lambda line: house_words.configuration(line.house)[0],
        144,
        mark=lambda line: house_words.configuration(line.house)[1],
    ),
    Column(
        "Devices",
        lambda line: f"{line.house.devices:,}",
        72,
        sort=lambda line: line.house.devices,
        right=True,
    ),
    Column("Result", lambda line: line.result, mark=_result_mark),
)


class SynchronizeSeveral(ActDialog):
    """`open()` it. `sent`: some configurations may have been sent. A house that fails does not keep the others from it."""

    sent = Signal()

    def __init__(self, services: Services, houses: Sequence[HouseOverview], parent: QWidget) -> None:
        number = formats.count(len(houses), "house")
        super().__init__(services, f"Synchronize Configuration of {number}", f"Synchronize {number}", parent)
        self._waiting = tuple(houses)
        self._results: dict[int, _Line] = {}
        self.resize(760, 480)
        self.body.addWidget(label(_summary(houses), "body", "secondary", wraps=True))
        self.table: RowsTable[_Line] = RowsTable(
            "Houses to synchronize", _COLUMNS, lambda line: line.house.house.house_id
        )
        self.table.set_rows([_Line(house) for house in houses])
        self.body.addWidget(self.table, 1)
        self.refresh_act()

    def may_act(self) -> bool:
        return bool(self._waiting)

    def perform(self) -> None:
        session, waiting = self.services.session, self._waiting

        def publish(cloud: Cloud, checkpoint: Callable[[], None]) -> dict[int, _Line]:
            if cloud.broker is None:
                raise UserError(NO_BROKER)
            for house in waiting:
                checkpoint()
                try:
                    version = sync.synchronize(
                        session.database, cloud.broker, session.profile.deployment, house.house.house_id
                    )
                except DatabaseUnavailable:
                    raise
                except SgmpError as error:
                    line = _Line(house, str(error), failed=True)
                else:
                    line = _Line(house, f"Version {version} sent")
                self._results[house.house.house_id] = line
            return self._results

        self.run_with_cloud(
            "Synchronizing",
            f"Synchronizing the configuration of {formats.count(len(waiting), 'house')}",
            publish,
            self._were_sent,
        )

    def _were_sent(self, _results: dict[int, _Line]) -> None:
        self._show_results()
        failed = sum(line.failed for line in self._results.values())
        if failed:
            done = len(self._results) - failed
            self.message_bar.say(
                "fault", f"{formats.count(done, 'house')} synchronized, {failed:,} not: the list says why."
            )

    def failed(self, error: Exception) -> None:
        self._show_results()
        super().failed(error)

    def _show_results(self) -> None:
        """What was sent is not sent again."""
        lines = [self._results.get(line.house.house.house_id, line) for line in self.table.rows()]
        self.table.set_rows(lines)
        self._waiting = tuple(line.house for line in lines if line.failed or not line.result)
        if self._waiting:
            self.set_verb(f"Synchronize {formats.count(len(self._waiting), 'house')}")
        else:
            self.set_refuse("Close")
        self.refresh_act()
        self.sent.emit()


def _summary(houses: Sequence[HouseOverview]) -> str:
    in_sync = sum(house.sync.outcome is Outcome.IN_SYNC and not house.sync.changed for house in houses)
    away = sum(not house.edge.is_online for house in houses)
    parts = [
        f"{formats.count(len(houses) - in_sync, 'house')} have changes that their edges have not confirmed"
    ]
    if in_sync:
        parts.append(f"{in_sync:,} are in sync and get the same version again")
    if away:
        parts.append(f"{away:,} edges are away and take it when they are back")
    return "; ".join(parts) + "."
