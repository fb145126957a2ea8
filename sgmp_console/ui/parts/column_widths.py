"""How wide the columns of a table are: what their content needs, within the room that there is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sgmp_console.ui import fonts, plain_text
from sgmp_console.ui.parts.rows import Column

Row = TypeVar("Row")

INSET = 12
"""Pixels beside the text of a cell, as beside the titles in the stylesheet: numbers end where their title does."""
ICON = 16
_PADDING = 2 * INSET + 2
_ARROW_ROOM = 18
_MEASURED_ROWS = 200
_MEASURED_LENGTH = 120
"""Of which the content decides how wide columns are; characters of it."""
_WIDEST = 800
"""Pixels that a column takes at most, unless it takes what is left."""
_MODERATE = 320
"""Pixels to which all texts are cut first where there is no room."""
_ELASTIC = 220
"""Pixels that a column wants which takes what is left."""
_NARROWEST_NAME = 160
"""Pixels of a column that says which row it is: about twenty characters."""
_READABLE_NAME = 220
"""Pixels to which names are cut before optional columns are left out."""
_READABLE_TEXT = 112
"""Pixels to which texts are cut once no column can be left out."""
_LEGIBLE_TEXT = 160
"""Pixels to which texts are cut before names are, and before optional columns are left out."""
_USUAL = 0.9
"""The share of texts that are not cut before others are, where there is no room for the longest."""


@dataclass(frozen=True)
class Content:
    """Pixels that a column needs: for its longest text, and for most of its texts."""

    widest: int
    usual: int

    def with_room_of(self, other: Content) -> Content:
        return Content(max(self.widest, other.widest), max(self.usual, other.usual))


def measured(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> list[Content]:
    """Of each column, by what the first rows hold."""
    metrics = fonts.metrics("strong")
    contents = []
    for column in columns:
        around = _PADDING + (ICON + 8 if column.mark is not None else 0)
        most = _WIDEST if column.paint is None else column.width or _ELASTIC
        texts = [plain_text.one_line(column.text(row), _MEASURED_LENGTH) for row in rows[:_MEASURED_ROWS]]
        advances = {text: metrics.horizontalAdvance(text) for text in set(texts)}
        widths = sorted(min(round(advances[text] + around), most) for text in texts)
        usual = widths[int(_USUAL * (len(widths) - 1))] if widths else 0
        contents.append(Content(widths[-1] if widths else 0, usual))
    return contents


def fitted(
    columns: Sequence[Column[Any]], contents: Sequence[Content], chosen: Mapping[int, int], room: int
) -> dict[int, int]:
    """The widths of the columns that are shown, by their place, in pixels; `chosen`: those of the operator, who is obeyed.

    Each column gets what it wants. Where there is no room for that, columns give up what they do not need, then the room
    for an arrow of sorting, then what only few texts need; then the widest are cut as long as one can read them, then
    optional columns are left out; only then texts are cut further, and what names the row last. Icons, badges and numbers
    stay whole.
    """

    def width(place: int, rule: Rule) -> int:
        return chosen[place] if place in chosen else rule(columns[place], contents[place])

    shown = list(range(len(columns)))
    optional = sorted(
        (place for place, column in enumerate(columns) if column.optional and place not in chosen),
        key=lambda place: columns[place].optional,
    )
    while optional and sum(width(place, _named) for place in shown) > room:
        shown.remove(optional.pop(0))
    widths = {place: width(place, _wanted) for place in shown}
    free = [place for place in shown if place not in chosen]
    for place in free:
        if columns[place].width == 0:
            least = 0 if columns[place].strong else _ELASTIC
            widths[place] = max(widths[place], least, room - sum(widths.values()) + widths[place])
    for rule in _RULES:
        _shrink(widths, free, {place: width(place, rule) for place in free}, room)
    return widths


def _title_width(column: Column[Any]) -> int:
    return round(fonts.metrics("caption").horizontalAdvance(column.title) + _PADDING)


def _wanted(column: Column[Any], content: Content) -> int:
    return max(column.width, _needed(column, content))


def _needed(column: Column[Any], content: Content) -> int:
    return max(_title_width(column) + _ARROW_ROOM, content.widest)


def _without_arrow(column: Column[Any], content: Content) -> int:
    return max(_title_width(column), content.widest)


def _moderate(column: Column[Any], content: Content) -> int:
    return _cut(column, content, name=_MODERATE, text=_MODERATE)


def _usual(column: Column[Any], content: Content) -> int:
    name, text = max(content.usual, _READABLE_NAME), max(content.usual, _READABLE_TEXT)
    return _cut(column, content, name=min(name, _MODERATE), text=min(text, _MODERATE))


def _legible(column: Column[Any], content: Content) -> int:
    text = min(max(content.usual, _READABLE_TEXT), _LEGIBLE_TEXT)
    return _cut(column, content, name=min(max(content.usual, _READABLE_NAME), _MODERATE), text=text)


def _named(column: Column[Any], content: Content) -> int:
    text = min(max(content.usual, _READABLE_TEXT), _LEGIBLE_TEXT)
    return _cut(column, content, name=_READABLE_NAME, text=text)


def _readable(column: Column[Any], content: Content) -> int:
    return _cut(column, content, name=_READABLE_NAME, text=_READABLE_TEXT)


def _titled(column: Column[Any], content: Content) -> int:
    return _cut(column, content, name=_READABLE_NAME, text=0)


def _least(column: Column[Any], content: Content) -> int:
    return _NARROWEST_NAME if column.strong else _titled(column, content)


def _cut(column: Column[Any], content: Content, *, name: int, text: int) -> int:
    """At most as much as a name or a text has; what must not be cut stays whole."""
    most = content.widest if _stays_whole(column) else name if column.strong else text
    return max(_title_width(column), min(content.widest, most))


def _stays_whole(column: Column[Any]) -> bool:
    """Icons, badges, numbers and times are of no use when they are cut."""
    is_text = column.width == 0  # it takes what is left, also with an icon before it
    return (
        column.badges is not None or column.right or column.whole or (column.mark is not None and not is_text)
    )


Rule = Callable[[Column[Any], Content], int]
_RULES: tuple[Rule, ...] = (
    _needed,
    _without_arrow,
    _moderate,
    _usual,
    _legible,
    _named,
    _readable,
    _titled,
    _least,
)
"""What columns are cut to, one rule after the other."""


def _shrink(widths: dict[int, int], places: Collection[int], leasts: Mapping[int, int], room: int) -> None:
    """Take from the widest of these columns until all fit into the room, or none is wider than it must be."""
    while (over := sum(widths.values()) - room) > 0:
        wide = [place for place in places if widths[place] > leasts[place]]
        if not wide:
            return
        widest = max(wide, key=lambda place: widths[place])
        next_width = max((widths[place] for place in wide if widths[place] < widths[widest]), default=0)
        widths[widest] -= max(1, min(over, widths[widest] - max(next_width, leasts[widest])))
