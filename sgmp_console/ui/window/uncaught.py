"""The one hook for errors that nobody expected: logged, and shown once per distinct traceback."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QObject, Qt, QtMsgType, QUrl, Signal, qInstallMessageHandler
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from sgmp_console.ui import fonts
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.labels import IconLabel, label

log = logging.getLogger(__name__)

_AT_MOST_SHOWN = 5
"""Dialogs in one run; after that the log has to do."""


class UncaughtErrors(QObject):
    """Between `install` and `remove`, hears of every exception that reaches the top of a thread or a slot."""

    caught = Signal(str)
    """A traceback not seen before. Emitted on the GUI thread, wherever it was raised."""

    _raised = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._seen: set[tuple[object, ...]] = set()
        self._raised.connect(self.caught, Qt.ConnectionType.QueuedConnection)

    def install(self) -> None:
        sys.excepthook = self._excepthook
        threading.excepthook = self._thread_excepthook
        qInstallMessageHandler(_log_qt)

    def remove(self) -> None:
        sys.excepthook = sys.__excepthook__
        threading.excepthook = threading.__excepthook__
        qInstallMessageHandler(None)

    def report(self, error: BaseException) -> None:
        """Any thread may call this."""
        log.error("uncaught", exc_info=error)
        key = _identity(error)
        if key in self._seen:
            return
        self._seen.add(key)
        if len(self._seen) <= _AT_MOST_SHOWN:
            self._raised.emit("".join(traceback.format_exception(error)))

    def _excepthook(
        self, _kind: type[BaseException], error: BaseException, _where: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            QGuiApplication.quit()
            return
        self.report(error)

    def _thread_excepthook(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None and not issubclass(arguments.exc_type, SystemExit):
            self.report(arguments.exc_value)


class ReportDialog(Dialog):
    """What went wrong inside SGMP, with the text that its makers need. `open()` it; `folder` is where the logs are."""

    def __init__(
        self,
        heading: str,
        sentence: str,
        details: str,
        folder: Path | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("SGMP")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(680, 420)
        self._details = details
        self._folder = folder
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(IconLabel("fault", "state_fault", 28))
        head.addWidget(label(heading, "heading"), 1)
        column.addLayout(head)
        column.addWidget(label(sentence, "body", "secondary", wraps=True))
        text = QPlainTextEdit(details)
        text.setReadOnly(True)
        text.setFont(fonts.font("fixed"))
        text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        text.setAccessibleName("Details")
        column.addWidget(text, 1)
        row = QHBoxLayout()
        row.addStretch(1)
        if folder is not None:
            row.addWidget(button("Open log folder", self._open_folder))
        row.addWidget(button("Copy details", self._copy))
        close = button("Close", self.accept, "primary")
        close.setDefault(True)
        row.addWidget(close)
        column.addLayout(row)
        close.setFocus()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._details)

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder)))


def uncaught_dialog(details: str, parent: QWidget | None = None) -> ReportDialog:
    return ReportDialog(
        "SGMP made a mistake",
        "The last action may not have been carried out: look before you repeat it. Edges and ingest are not affected. "
        "Send the text below to those who maintain SGMP.",
        details,
        parent=parent,
    )


def crash_dialog(report: str, folder: Path, parent: QWidget | None = None) -> ReportDialog:
    return ReportDialog(
        "SGMP ended unexpectedly the last time",
        "Edges and ingest are not affected. The text below says where the program was. Send it to those who maintain "
        "SGMP.",
        report,
        folder,
        parent,
    )


def _identity(error: BaseException) -> tuple[object, ...]:
    """The same for the same mistake at the same place, whatever the values were."""
    frames = traceback.extract_tb(error.__traceback__)
    return type(error), *((frame.filename, frame.lineno) for frame in frames)


_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


def _log_qt(kind: QtMsgType, _context: object, message: str) -> None:
    logging.getLogger("qt").log(_LEVELS.get(kind, logging.WARNING), message)
