"""A dialog that asks for little, and does something with a house or the services around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtWidgets import QVBoxLayout, QWidget

from sgmp_console.ui.dialogs.task_dialog import TaskDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.tasks import Report

if TYPE_CHECKING:
    # Loaded with the first act that needs it: it brings a library for certificates.
    from sgmp_console.cloud.services import Services as Cloud

T = TypeVar("T")


class ActDialog(TaskDialog):
    """Put what it asks for into `body`; `perform` calls `run_with_cloud`."""

    def __init__(
        self,
        services: Services,
        title: str,
        verb: str,
        parent: QWidget,
        *,
        is_destructive: bool = False,
        only_reads: bool = False,
    ) -> None:
        super().__init__(
            services.tasks,
            title,
            verb,
            parent,
            is_destructive=is_destructive,
            only_reads=only_reads,
            connection=services.connection,
        )
        self.services = services
        self._part = QWidget()
        self.body = QVBoxLayout(self._part)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(12)
        self.lay_out(self._part)

    def set_free(self, free: bool) -> None:
        self._part.setEnabled(free)

    def run_with_cloud(
        self,
        doing: str,
        title: str,
        work: Callable[[Cloud, Callable[[], None]], T],
        on_done: Callable[[T], None],
    ) -> None:
        """Do `work(cloud, checkpoint)`; `title` stands in the status bar. `checkpoint` raises Cancelled."""
        session = self.services.session

        def do(report: Report) -> T:
            def checkpoint() -> None:
                report(None, "")

            checkpoint()
            return work(session.cloud(), checkpoint)

        self.run(do, on_done, doing, title=title)
