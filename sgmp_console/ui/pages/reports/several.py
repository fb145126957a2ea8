"""Several reports of several houses as one PDF, of the period in the top bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from sgmp_console import store
from sgmp_console.reports.kinds import build
from sgmp_console.reports.report import Kind, Report
from sgmp_console.store import House
from sgmp_console.ui import fonts, formats, plain_text, report_paper
from sgmp_console.ui.dialogs.task_dialog import TaskDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import CheckBox, button
from sgmp_console.ui.parts.files import ask_where_to_save
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.shown_period import Compare
from sgmp_console.ui.tasks import Report as Progress

_LIST_HEIGHT = 200
_KINDS = tuple(kind for kind in Kind if kind is not Kind.HEAT_MAP)
"""A heat map is of an item, which other houses may not have."""


class SeveralDialog(TaskDialog):
    """Asks which reports and houses, then for a file. `written` carries the file; it closes by itself then."""

    written = Signal(object)

    def __init__(self, services: Services, kind: Kind, parent: QWidget) -> None:
        super().__init__(
            services.tasks,
            "Several reports as one PDF",
            "Export",
            parent,
            context=services.shown_period.period.title,
            connection=services.connection,
        )
        self.services = services
        self._content = QWidget()
        body = QVBoxLayout(self._content)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(8)
        body.addWidget(label("Reports", "caption", "secondary"))
        row = QHBoxLayout()
        row.setSpacing(16)
        self.kinds: dict[Kind, CheckBox] = {}
        for one in _KINDS:
            box = CheckBox(one.title)
            box.setChecked(one is kind)
            box.toggled.connect(self._chosen)
            self.kinds[one] = box
            row.addWidget(box)
        row.addStretch(1)
        body.addLayout(row)
        heading = QHBoxLayout()
        heading.addWidget(label("Houses", "caption", "secondary"), 1)
        self.all_houses = button("All houses", self._choose_all)
        heading.addWidget(self.all_houses)
        body.addLayout(heading)
        self.houses = QListWidget()
        self.houses.setFont(fonts.font("body"))
        self.houses.setAccessibleName("Houses")
        self.houses.setMinimumHeight(_LIST_HEIGHT)
        self.houses.itemChanged.connect(self._chosen)
        body.addWidget(self.houses, 1)
        self.lay_out(self._content)
        self._known: list[House] = []
        self._chosen()
        services.tasks.run(self, self._read, self._fill, self.failed)

    def _read(self) -> list[House]:
        with self.services.session.database.begin() as connection:
            return store.houses.list_all(connection)

    def _fill(self, houses: list[House]) -> None:
        self._known = houses
        for house in houses:
            item = QListWidgetItem(plain_text.one_line(house.name))
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            is_shown = house.house_id == self.services.live.house_id
            item.setCheckState(Qt.CheckState.Checked if is_shown else Qt.CheckState.Unchecked)
            self.houses.addItem(item)
        self._chosen()

    def _choose_all(self) -> None:
        for place in range(self.houses.count()):
            self.houses.item(place).setCheckState(Qt.CheckState.Checked)

    def chosen_houses(self) -> list[House]:
        return [
            house
            for place, house in enumerate(self._known)
            if self.houses.item(place).checkState() is Qt.CheckState.Checked
        ]

    def chosen_kinds(self) -> list[Kind]:
        return [kind for kind, box in self.kinds.items() if box.isChecked()]

    def _chosen(self) -> None:
        count = len(self.chosen_houses()) * len(self.chosen_kinds())
        self.note.setText(formats.count(count, "report"))
        self.refresh_act()

    def may_act(self) -> bool:
        return bool(self.chosen_houses() and self.chosen_kinds())

    def set_free(self, free: bool) -> None:
        self._content.setEnabled(free)

    def perform(self) -> None:
        if self.busy or not self.may_act():
            return
        name = plain_text.file_name(f"Reports {self.services.shown_period.period.title}.pdf")
        ask_where_to_save(self, self.title, name, "PDF documents (*.pdf)", self.write)

    def write(self, file: Path) -> None:
        """Write the chosen reports, in order of house; can be cancelled after each."""
        shown = self.services.shown_period
        work = _writing(
            self.services,
            file,
            self.chosen_houses(),
            self.chosen_kinds(),
            shown.compare is not Compare.NOTHING,
        )
        self.run(work, self._written, "Exporting", title=f"Exporting {file.name}")

    def _written(self, file: Path) -> None:
        self.written.emit(file)
        self.accept()


def _writing(
    services: Services, file: Path, houses: Sequence[House], kinds: Sequence[Kind], is_compared: bool
) -> Callable[[Progress], Path]:
    shown, database, now_ms = services.shown_period, services.session.database, services.now_ms()
    period, second = shown.period, shown.compared_with if is_compared else None
    count = len(houses) * len(kinds)

    def write(progress: Progress) -> Path:
        with database.begin() as connection:
            store.permissions.require(connection, "export")

        def reports() -> Iterator[Report]:
            for number, (house, kind) in enumerate((house, kind) for house in houses for kind in kinds):
                progress(number / count, f"{house.name}, {kind.title}")
                zone = house.time_zone
                compared = second.of_zone(zone) if second is not None else None
                with database.begin() as connection:
                    report = build(connection, house, kind, period.of_zone(zone), now_ms, compared)
                yield report

        report_paper.write_pdf(file, reports())
        return file

    return write
