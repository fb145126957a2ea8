"""Trees as text: formula language, and LaTeX for display."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

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
    made,
)

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = 1, 2, 3, 4, 5
_STRENGTH = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "^": _POWER}

_Written = tuple[str, int]
"""A piece of text, and how tightly its outermost operator binds."""


def text(root: Node) -> str:
    """The formula of a tree, with no more parentheses than needed. Reading it gives the same values."""
    return fold(root, _text)[0]


def latex(root: Node) -> str:
    """The tree as LaTeX mathematics, laid out as it was written."""
    return fold(root, _latex)[0]


def rational(value: Fraction) -> Node:
    """A tree for a fraction: a decimal where it ends within 12 digits, else a quotient, else the nearest float."""
    if value < 0:
        return made(Negation, operand=rational(-value))
    written = _decimal(value)
    if written is not None:
        return made(Number, text=written, value=float(value))
    if max(value.numerator, value.denominator) < 10**12:
        numerator, denominator = rational(Fraction(value.numerator)), rational(Fraction(value.denominator))
        return made(Operation, operator="/", operator_position=0, left=numerator, right=denominator)
    return made(Number, text=repr(float(value)), value=float(value))


def times(coefficient: Fraction, node: Node) -> Node:
    """`coefficient * node`, as one would write it: `-x`, `x/1000`, `0.5*x`."""
    if coefficient < 0:
        return made(Negation, operand=times(-coefficient, node))
    if coefficient == 1:
        return node
    if coefficient.numerator == 1:
        divisor = rational(Fraction(coefficient.denominator))
        return made(Operation, operator="/", operator_position=0, left=node, right=divisor)
    return made(Operation, operator="*", operator_position=0, left=rational(coefficient), right=node)


def added(parts: list[Node]) -> Node:
    """The sum of the parts, with a `-` where a part is negated; 0 if there is none."""
    if not parts:
        return rational(Fraction(0))
    total = parts[0]
    for part in parts[1:]:
        operator = "-" if isinstance(part, Negation) else "+"
        right = part.operand if isinstance(part, Negation) else part
        total = made(Operation, operator=operator, operator_position=0, left=total, right=right)
    return total


def _decimal(value: Fraction) -> str | None:
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1 or value.numerator.bit_length() > 64 or value.denominator.bit_length() > 64:
        return None
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    if Fraction(exact) != value or len(exact.normalize().as_tuple().digits) > 12:
        return None
    plain = f"{exact.normalize():f}"
    scientific = f"{exact.normalize():E}".replace("E+", "e").replace("E", "e")
    return plain if len(plain) <= max(8, len(scientific)) else scientific


def _in(written: _Written, at_least: int) -> str:
    return written[0] if written[1] >= at_least else f"({written[0]})"


def _text(node: Node, arguments: tuple[_Written, ...]) -> _Written:
    match node:
        case Number(text=text) | Reference(text=text):
            return text, _ATOM
        case Constant(name=name):
            return name, _ATOM
        case Negation():
            # -(a*b) and -a*b are the same number, and the second is easier to read.
            strength = _PRODUCT if arguments[0][1] == _PRODUCT else _SIGN
            return f"-{_in(arguments[0], _PRODUCT)}", strength
        case Call(function=function):
            return f"{function}({arguments[0][0]})", _ATOM
        case Average(period_ms=period):
            return f"avg({arguments[0][0]}, {period})", _ATOM
        case Operation(operator="^"):
            return f"{_in(arguments[0], _ATOM)}^{_in(arguments[1], _SIGN)}", _POWER
        case Operation(operator=operator):
            strength = _STRENGTH[operator]
            sign = f" {operator} " if strength == _SUM else operator
            return f"{_in(arguments[0], strength)}{sign}{_in(arguments[1], strength + 1)}", strength
    raise AssertionError(f"no rule for {type(node).__name__}")


_LATEX_ESCAPES = {
    "\\": r"\backslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\hat{}",
    "~": r"\sim{}",
    " ": r"\ ",
}
_LATEX_FUNCTIONS = {
    "sin": r"\sin",
    "cos": r"\cos",
    "tan": r"\tan",
    "exp": r"\exp",
    "pos": r"\operatorname{pos}",
    "neg": r"\operatorname{neg}",
}


def _latex(node: Node, arguments: tuple[_Written, ...]) -> _Written:
    match node:
        case Number(text=written):
            return _latex_number(written)
        case Constant(name=name):
            return (r"\pi" if name == "pi" else name), _ATOM
        case Reference(text=written):
            escaped = "".join(_LATEX_ESCAPES.get(character, character) for character in written)
            return rf"\mathrm{{{escaped}}}", _ATOM
        case Negation():
            strength = _PRODUCT if arguments[0][1] == _PRODUCT else _SIGN
            return f"-{_latex_in(arguments[0], _PRODUCT)}", strength
        case Call(function="abs"):
            return rf"\left|{arguments[0][0]}\right|", _ATOM
        case Call(function=function):
            return rf"{_LATEX_FUNCTIONS[function]}\left({arguments[0][0]}\right)", _ATOM
        case Average(period_ms=period):
            return rf"\operatorname{{avg}}\left({arguments[0][0]},\ {period}\,\mathrm{{ms}}\right)", _ATOM
        case Operation(operator="^"):
            return f"{{{_latex_in(arguments[0], _ATOM)}}}^{{{arguments[1][0]}}}", _POWER
        case Operation(operator="/"):
            return rf"\frac{{{arguments[0][0]}}}{{{arguments[1][0]}}}", _PRODUCT
        case Operation(operator=operator):
            strength = _STRENGTH[operator]
            sign = r" \cdot " if operator == "*" else f" {operator} "
            right = _latex_in(arguments[1], strength + 1 if not arguments[1][0].startswith("-") else _ATOM)
            return f"{_latex_in(arguments[0], strength)}{sign}{right}", strength
    raise AssertionError(f"no rule for {type(node).__name__}")


def _latex_in(written: _Written, at_least: int) -> str:
    return written[0] if written[1] >= at_least else rf"\left({written[0]}\right)"


def _latex_number(written: str) -> _Written:
    mantissa, _, exponent = re.sub("E", "e", written).partition("e")
    if not exponent:
        return mantissa, _ATOM
    power = f"10^{{{int(exponent)}}}"
    return (power, _POWER) if mantissa == "1" else (rf"{mantissa} \cdot {power}", _PRODUCT)
