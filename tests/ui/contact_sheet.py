"""All pictures of `screenshots/` side by side: `python -m tests.ui.contact_sheet`. `./run pictures` takes them all first."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter

PICTURES = Path(__file__).resolve().parents[2] / "screenshots"
SHEET = "contact_sheet"
CELL = (480, 330)
"""Pixels of a picture with its name."""
COLUMNS = 4
PER_SHEET = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Sheets of the pictures whose names begin with the argument, in order of their names. Returns the exit code."""
    beginning = (sys.argv[1:] if arguments is None else list(arguments) or [""])[:1] or [""]
    application = QGuiApplication.instance() or QGuiApplication([])
    files = sorted(file for file in PICTURES.glob(f"{beginning[0]}*.png") if not file.name.startswith(SHEET))
    if not files:
        print(f"There are no pictures in {PICTURES}; the tests of tests/ui take them.", file=sys.stderr)
        return 1
    for number, first in enumerate(range(0, len(files), PER_SHEET), 1):
        sheet = PICTURES / f"{SHEET}_{number}.png"
        drawn(files[first : first + PER_SHEET]).save(str(sheet))
        print(sheet)
    del application
    return 0


def drawn(files: Sequence[Path]) -> QImage:
    width, height = CELL
    rows = -(-len(files) // COLUMNS)
    sheet = QImage(COLUMNS * width, rows * height, QImage.Format.Format_RGB32)
    sheet.fill(QColor(128, 128, 128))
    painter = QPainter(sheet)
    painter.setPen(Qt.GlobalColor.white)
    for place, file in enumerate(files):
        cell = QRect(place % COLUMNS * width, place // COLUMNS * height, width, height).adjusted(6, 4, -6, -6)
        painter.drawText(cell, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, file.stem)
        picture = QImage(str(file)).scaled(
            cell.width(), cell.height() - 20, Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )  # fmt: skip
        painter.drawImage(cell.left(), cell.top() + 20, picture)
    painter.end()
    return sheet


if __name__ == "__main__":
    sys.exit(main())
