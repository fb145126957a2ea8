"""Text that others wrote (an edge, a device, a file, another account), as Qt may show it: as it is, and of bounded length.

Tool tips are the one place where Qt takes any text for HTML that looks like it, and then loads what the HTML names.
Menus and buttons take `&` for a mnemonic, window titles take `[*]` for the mark of a changed document.
"""

from __future__ import annotations

import html
import sys
from typing import Protocol

from PySide6.QtGui import Qt

MAX_CHARACTERS = 4_000
"""Of a text on screen. More than a page of it nobody reads, and Qt takes seconds to lay out a million characters."""

MAX_CELL = 500
"""Characters of a cell, menu entry, button or title: one line."""

_MAX_TIP = 2_000
_MAX_TIP_LINES = 40

_REPLACEMENT = "\ufffd"
_CONTROLS = {
    code: _REPLACEMENT
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),  # embeddings and overrides of the writing direction
        *range(0x2066, 0x206A),  # isolates
        *range(0xD800, 0xE000),  # lone surrogates: not text
    )
    if chr(code) not in "\t\n"
}
"""What is not seen, or makes other characters seem to stand elsewhere."""


class _HasTip(Protocol):
    def setToolTip(self, tip: str) -> None: ...  # noqa: N802 - Qt's name


def bounded(text: str, at_most: int = MAX_CHARACTERS) -> str:
    """The text without control characters, cut after `at_most` characters."""
    shown = text if len(text) <= at_most else f"{text[: at_most - 1]}…"
    return shown if shown.isprintable() else shown.translate(_CONTROLS)


def one_line(text: str, at_most: int = MAX_CELL) -> str:
    """The text for a cell, a title or the like."""
    return (
        " ".join(bounded(text[: at_most + 1], at_most).splitlines())
        if "\n" in text
        else bounded(text, at_most)
    )


def tip(text: str) -> str:
    """The text as a tool tip (ToolTipRole, QToolTip) that shows it as it is."""
    lines = bounded(text, _MAX_TIP).split("\n")
    if len(lines) > _MAX_TIP_LINES:
        lines = [*lines[:_MAX_TIP_LINES], "…"]
    shown = "\n".join(lines)
    if "<" not in shown and not Qt.mightBeRichText(shown):
        return shown
    return f'<p style="white-space:pre-wrap">{html.escape(shown)}</p>'


def set_tip(on: _HasTip, text: str) -> None:
    """Give a widget, action or item this tool tip."""
    on.setToolTip(tip(text))


def notification(text: str) -> str:
    """The text (not the title) of a notification of the desktop. On Linux it is markup:
    https://specifications.freedesktop.org/notification-spec."""
    shown = bounded(text, MAX_CELL)
    return html.escape(shown, quote=False) if sys.platform == "linux" else shown


def mnemonic_free(text: str) -> str:
    """The text of a menu entry or button, in which `&` is shown."""
    return one_line(text).replace("&", "&&")


def title(text: str) -> str:
    """The text as a window's title."""
    return one_line(text).replace("[*]", "[*][*]")


def file_name(text: str) -> str:
    """As the name of a file: what some systems refuse in one becomes a dash."""
    return "".join(character if character.isalnum() or character in " .-_" else "-" for character in text)
