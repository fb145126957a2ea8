"""A formula as one writes it by hand: fractions, powers, roots. Laid out from its tree, painted by QPainter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from sgmp_console.formula import Formula
from sgmp_console.formula.tree import (
    Average,
    Call,
    Constant,
    Negation,
    Node,
    Number,
    Operation,
    Reference,
    fold,
    nodes,
)
from sgmp_console.ui import fonts, formats, theme
from sgmp_console.ui.parts.formula import syntax

_SIZE = 17.0
"""Pixels of the letters."""
_SMALLER = 0.72
"""Exponents and what stands below, to what they stand at."""
_LEAST_SIZE = 11.0
_MAX_NODES = 250
"""More than these no one reads as a drawing."""
_LEAST_SCALE = 0.8
"""Smaller than this letters can't be read: what does not fit then is cut, and stands in the editor."""
_TOO_LARGE = "This formula is too large to be drawn."

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Box:
    """Something laid out on a baseline. `paint(painter, x, baseline)`; `strength` as in formulas: what binds how
    tightly, so that parentheses stand where they must."""

    width: float
    ascent: float
    descent: float
    paint: Callable[[QPainter, float, float], None]
    strength: int = _ATOM
    signed: bool = False
    """It begins with a minus, which must not stand right after an operator."""

    @property
    def height(self) -> float:
        return self.ascent + self.descent


_Layout = Callable[[float], Box]
"""A box at a size of letters, in pixels: an exponent is laid out again, smaller."""


def layout(root: Node) -> Box | None:
    """None for a formula too large to be drawn."""
    if sum(1 for _ in nodes(root)) > _MAX_NODES:
        return None
    return fold(root, _node)(_SIZE)


class RenderedFormula(QWidget):
    """Shows a formula as large as there is room for, up to its natural size; nothing without one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box: Box | None = None
        self._outdated = False
        self._words = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(72)

    def show_formula(self, formula: Formula | None) -> None:
        """None: there is nothing to be drawn."""
        self._outdated = False
        self._box = layout(formula.tree) if formula is not None else None
        self._words = "The formula appears here as one writes it by hand." if formula is None else _TOO_LARGE
        self.setAccessibleName(formula.text if formula is not None else "")
        if self._box is not None:
            self.setFixedHeight(max(72, min(140, round(self._box.height * self._scale(self._box)) + 24)))
        self.update()

    def set_outdated(self) -> None:
        """What is drawn belongs to an earlier text."""
        self._outdated = True
        self.update()

    def box(self) -> Box | None:
        return self._box

    def resizeEvent(self, event: QEvent) -> None:  # noqa: N802
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(320, 72)

    def _scale(self, box: Box) -> float:
        room = max(1.0, self.width() - 8.0)
        return max(_LEAST_SCALE, min(1.0, room / max(1.0, box.width), 116 / max(1.0, box.height)))

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tokens = theme.tokens()
        if self._box is None:
            painter.setPen(tokens.ink_muted)
            painter.setFont(fonts.font("caption"))
            painter.drawText(self.rect().toRectF(), Qt.AlignmentFlag.AlignCenter, self._words)
            return
        painter.setOpacity(0.4 if self._outdated else 1.0)
        scale = self._scale(self._box)
        height = self._box.height * scale
        painter.translate(4, max(2.0, (self.height() - height) / 2))
        painter.scale(scale, scale)
        self._box.paint(painter, 0, self._box.ascent)
        cut_off = self._box.width * scale - self.width() + 8
        if cut_off > 0:
            # The rest is readable in the editor; here its end fades.
            painter.resetTransform()
            painter.setPen(tokens.ink_muted)
            painter.fillRect(QRectF(self.width() - 24, 0, 24, self.height()), tokens.surface_card)
            painter.drawText(
                QRectF(self.width() - 24, 0, 24, self.height()), Qt.AlignmentFlag.AlignCenter, "…"
            )


# --- Pieces -----------------------------------------------------------------------------------------------------


def _font(size: float) -> QFont:
    made = QFont(fonts.font("body"))
    made.setPixelSize(max(1, round(size)))
    return made


def _word(text: str, kind: str = "", *, ink: str = "") -> _Layout:
    """Upright letters in the colour of a kind of words."""

    def laid(size: float) -> Box:
        font = _font(size)
        metrics = QFontMetricsF(font)

        def paint(painter: QPainter, x: float, baseline: float) -> None:
            tokens = theme.tokens()
            painter.setFont(font)
            painter.setPen(getattr(tokens, f"ink_{ink}") if ink else syntax.colour(kind, tokens))
            painter.drawText(QPointF(x, baseline), text)

        return Box(metrics.horizontalAdvance(text), metrics.capHeight() + 3, metrics.descent(), paint, _ATOM)

    return laid


def _row(parts: list[Box], strength: int, *, signed: bool = False) -> Box:
    def paint(painter: QPainter, x: float, baseline: float) -> None:
        for part in parts:
            part.paint(painter, x, baseline)
            x += part.width

    return Box(
        sum(part.width for part in parts),
        max(part.ascent for part in parts),
        max(part.descent for part in parts),
        paint,
        strength,
        signed,
    )


def _space(width: float) -> Box:
    return Box(width, 0, 0, _nothing)


def _nothing(_painter: QPainter, _x: float, _baseline: float) -> None:
    return


def _pen_colour() -> QColor:
    return theme.tokens().ink_primary


def _enclosed(inner: Box, size: float, *, bars: bool = False) -> Box:
    """Parentheses, or the bars of an absolute value, as high as what they hold."""
    side = size * (0.30 if bars else 0.44)

    def paint(painter: QPainter, x: float, baseline: float) -> None:
        top, bottom = baseline - inner.ascent, baseline + inner.descent
        painter.setPen(QPen(_pen_colour(), max(1.0, size / 14)))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        left, right = x + side * 0.65, x + side + inner.width + side * 0.35
        if bars:
            painter.drawLine(QLineF(left, top, left, bottom))
            painter.drawLine(QLineF(right, top, right, bottom))
        else:
            bow = side * 0.55
            for at, turn in ((left, -1), (right, 1)):
                path = QPainterPath(QPointF(at, top))
                path.quadTo(QPointF(at + turn * bow, (top + bottom) / 2), QPointF(at, bottom))
                painter.drawPath(path)
        inner.paint(painter, x + side, baseline)

    return Box(inner.width + 2 * side, inner.ascent + 1, inner.descent + 1, paint)


def _bound(inner: Box, at_least: int, size: float) -> Box:
    return inner if inner.strength >= at_least else _enclosed(inner, size)


def _fraction(top: Box, bottom: Box, size: float) -> Box:
    axis, gap = size * 0.30, size * 0.20
    width = max(top.width, bottom.width) + size * 0.4

    def paint(painter: QPainter, x: float, baseline: float) -> None:
        line = baseline - axis
        painter.setPen(QPen(_pen_colour(), max(1.0, size / 15)))
        painter.drawLine(QLineF(x + 1, line, x + width - 1, line))
        top.paint(painter, x + (width - top.width) / 2, line - gap - top.descent)
        bottom.paint(painter, x + (width - bottom.width) / 2, line + gap + bottom.ascent)

    return Box(width, axis + gap + top.height, bottom.height + gap - axis, paint, _POWER)


def _raised(base: Box, exponent: Box, size: float) -> Box:
    lift = max(base.ascent - exponent.height * 0.35, size * 0.35)

    def paint(painter: QPainter, x: float, baseline: float) -> None:
        base.paint(painter, x, baseline)
        exponent.paint(painter, x + base.width + 1, baseline - lift)

    return Box(
        base.width + exponent.width + 2, max(base.ascent, lift + exponent.ascent), base.descent, paint, _POWER
    )


def _lowered(base: Box, index: Box, size: float) -> Box:
    drop = size * 0.28

    def paint(painter: QPainter, x: float, baseline: float) -> None:
        base.paint(painter, x, baseline)
        index.paint(painter, x + base.width + 1, baseline + drop)

    return Box(base.width + index.width + 2, base.ascent, max(base.descent, drop + index.descent), paint)


def _root(inner: Box, size: float) -> Box:
    side = size * 0.75

    def paint(painter: QPainter, x: float, baseline: float) -> None:
        top, bottom = baseline - inner.ascent - 3, baseline + inner.descent
        painter.setPen(QPen(_pen_colour(), max(1.0, size / 14)))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        path = QPainterPath(QPointF(x, bottom - inner.height * 0.38))
        path.lineTo(x + side * 0.22, bottom - inner.height * 0.45)
        path.lineTo(x + side * 0.5, bottom)
        path.lineTo(x + side * 0.85, top)
        path.lineTo(x + side + inner.width + 2, top)
        painter.drawPath(path)
        inner.paint(painter, x + side, baseline)

    return Box(side + inner.width + 4, inner.ascent + 5, inner.descent, paint)


# --- Nodes ------------------------------------------------------------------------------------------------------


def _node(node: Node, parts: tuple[_Layout, ...]) -> _Layout:
    match node:
        case Number(text=text):
            return _number(text)
        case Constant(name=name):
            return _word("π" if name == "pi" else name, "number")
        case Reference(text=text):
            return _word(text, syntax.kind_of_identifier(text))
        case Negation():
            return _negation(parts[0])
        case Call(function="abs"):
            return lambda size: _enclosed(parts[0](size), size, bars=True)
        case Call(function=function):
            return _call(_word(function, "function"), parts[0])
        case Average(period_ms=period):
            return _call(_average(period), parts[0])
        case Operation(operator="^", right=exponent):
            return _power(parts[0], parts[1], exponent)
        case Operation(operator="/"):
            return lambda size: _fraction(parts[0](_inner(size)), parts[1](_inner(size)), size)
        case Operation(operator=operator):
            return _chain(operator, parts[0], parts[1])
    raise AssertionError(f"no rule for {type(node).__name__}")


def _inner(size: float) -> float:
    """Above and below a bar letters are a little smaller."""
    return max(_LEAST_SIZE, size * 0.94)


def _small(size: float) -> float:
    return max(_LEAST_SIZE, size * _SMALLER)


def _number(text: str) -> _Layout:
    mantissa, _, exponent = text.lower().partition("e")
    if not exponent:
        return _word(text, "number")
    ten = _power(_word("10", "number"), _word(str(int(exponent)).replace("-", "−"), "number"), None)
    return ten if mantissa == "1" else _chain("*", _word(mantissa, "number"), ten)


def _negation(operand: _Layout) -> _Layout:
    def laid(size: float) -> Box:
        inner = operand(size)
        inner = _enclosed(inner, size) if inner.signed else _bound(inner, _PRODUCT, size)
        return _row([_word("−")(size), _space(size * 0.05), inner], _SIGN, signed=True)

    return laid


def _call(name: _Layout, argument: _Layout) -> _Layout:
    return lambda size: _row([name(size), _enclosed(argument(size), size)], _ATOM)


def _average(period_ms: int) -> _Layout:
    period = formats.duration(period_ms) if period_ms >= 1000 else f"{period_ms}\u00a0ms"
    exact = (period_ms % 1000 == 0 and period_ms < 60_000) or period_ms % 60_000 == 0
    index = _word(period if exact else f"{period_ms}\u00a0ms", ink="secondary")
    return lambda size: _lowered(_word("avg", "function")(size), index(_small(size)), size)


def _power(base: _Layout, exponent: _Layout, written: Node | None) -> _Layout:
    if _is_half(written):
        return lambda size: _root(base(size), size)
    return lambda size: _raised(_bound(base(size), _ATOM, size), exponent(_small(size)), size)


def _is_half(exponent: Node | None) -> bool:
    """`0.5`, or one divided by two."""
    match exponent:
        case Number(value=value):
            return value == 0.5
        case Operation(operator="/", left=Number(value=above), right=Number(value=below)):
            return above == 1 and below == 2
    return False


def _chain(operator: str, left: _Layout, right: _Layout) -> _Layout:
    sign = {"*": "·", "-": "−"}.get(operator, operator)
    strength = _PRODUCT if operator == "*" else _SUM

    def laid(size: float) -> Box:
        gap = _space(size * (0.18 if operator == "*" else 0.26))
        after = right(size)
        # a − (b + c), and never two signs side by side.
        after = after if after.strength > strength and not after.signed else _closed(after, size)
        before = _bound(left(size), strength, size)
        return _row([before, gap, _word(sign)(size), gap, after], strength, signed=before.signed)

    return laid


def _closed(inner: Box, size: float) -> Box:
    return _enclosed(inner, size) if inner.strength < _ATOM else inner
