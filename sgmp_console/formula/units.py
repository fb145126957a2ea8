"""Units of formulas: kW and V can't be added.

A plain number has no unit and takes that of what it is added to. Multiplying by one may convert: W divided by 1000 is
read as kW where that fits, so `sonnen.status.Pac_total_W/1000 + egauge.A.Solar` is in order, and without the division
it isn't. Units that aren't known are never refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from sgmp_console.formula.errors import FormulaError, shown
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
)

_Dimension = tuple[Fraction, ...]
"""Exponents of power, time, current, temperature."""


def _dimension(power: int = 0, time: int = 0, current: int = 0, temperature: int = 0) -> _Dimension:
    return tuple(Fraction(exponent) for exponent in (power, time, current, temperature))


_RATIO = _dimension()
_POWER = _dimension(power=1)
_ENERGY = _dimension(power=1, time=1)
_TIME = _dimension(time=1)
_FREQUENCY = _dimension(time=-1)
_CURRENT = _dimension(current=1)
_VOLTAGE = _dimension(power=1, current=-1)
_RESISTANCE = _dimension(power=1, current=-2)
_TEMPERATURE = _dimension(temperature=1)

_MILLI, _KILO, _MEGA, _HOUR = Fraction(1, 1000), Fraction(1000), Fraction(10**6), Fraction(3600)

# The first name of a dimension and scale is the one shown. Apparent and reactive power are powers here: formulas
# combine them under a root.
_UNITS: dict[str, tuple[_Dimension, Fraction]] = {
    "%": (_RATIO, Fraction(1, 100)),
    "mW": (_POWER, _MILLI),
    "W": (_POWER, Fraction(1)),
    "kW": (_POWER, _KILO),
    "MW": (_POWER, _MEGA),
    "VA": (_POWER, Fraction(1)),
    "kVA": (_POWER, _KILO),
    "var": (_POWER, Fraction(1)),
    "kvar": (_POWER, _KILO),
    "mWh": (_ENERGY, _MILLI * _HOUR),
    "Wh": (_ENERGY, _HOUR),
    "kWh": (_ENERGY, _KILO * _HOUR),
    "MWh": (_ENERGY, _MEGA * _HOUR),
    "ms": (_TIME, _MILLI),
    "s": (_TIME, Fraction(1)),
    "min": (_TIME, Fraction(60)),
    "h": (_TIME, _HOUR),
    "mHz": (_FREQUENCY, _MILLI),
    "Hz": (_FREQUENCY, Fraction(1)),
    "mA": (_CURRENT, _MILLI),
    "A": (_CURRENT, Fraction(1)),
    "mV": (_VOLTAGE, _MILLI),
    "V": (_VOLTAGE, Fraction(1)),
    "kV": (_VOLTAGE, _KILO),
    "Ω": (_RESISTANCE, Fraction(1)),
    "°C": (_TEMPERATURE, Fraction(1)),
}


@dataclass(frozen=True)
class _Quantity:
    """`scale`: of one unit in the base units. `factor`: the number it was multiplied by, as yet unexplained."""

    dimension: _Dimension
    scale: Fraction
    factor: Fraction = Fraction(1)

    @property
    def converted(self) -> Fraction:
        """The scale if the factor was a conversion."""
        return self.scale / self.factor


@dataclass(frozen=True)
class _Pure:
    """A number without unit; `value` is None where it isn't a plain decimal."""

    value: Fraction | None


_Inferred = _Quantity | _Pure | None  # None: not known


def unit_of(root: Node, unit_of_reference: Callable[[Reference], str]) -> str:
    """The unit of a formula's values, "" where it isn't known.

    `unit_of_reference` gives the unit of an identifier, "" where unknown. Raises FormulaError at a sum or difference
    of quantities that can't be added.
    """

    def visit(node: Node, arguments: tuple[_Inferred, ...]) -> _Inferred:
        if isinstance(node, Reference):
            known = _UNITS.get(unit_of_reference(node))
            return None if known is None else _Quantity(*known)
        return _inferred(node, arguments)

    result = fold(root, visit)
    if not isinstance(result, _Quantity):
        return ""
    return _name(result.dimension, result.converted) or _name(result.dimension, result.scale)


def _name(dimension: _Dimension, scale: Fraction) -> str:
    return next((name for name, known in _UNITS.items() if known == (dimension, scale)), "")


def _inferred(node: Node, arguments: tuple[_Inferred, ...]) -> _Inferred:
    match node:
        case Number(value=value):
            return _Pure(node.exact if value == 0 or 1e-30 < value < 1e30 else None)
        case Constant():
            return _Pure(None)
        case Negation() | Average():
            return arguments[0]
        case Call(function="pos" | "neg" | "abs"):
            return arguments[0]
        case Call():
            return _Pure(None)
        case Operation(operator="+" | "-"):
            return _sum(node, arguments[0], arguments[1])
        case Operation(operator="*"):
            return _product(arguments[0], arguments[1])
        case Operation(operator="/"):
            return _product(arguments[0], _power(arguments[1], Fraction(-1)))
        case Operation(operator="^"):
            return _power(arguments[0], arguments[1].value if isinstance(arguments[1], _Pure) else None)
    raise AssertionError(f"no rule for {type(node).__name__}")


def _sum(node: Operation, left: _Inferred, right: _Inferred) -> _Inferred:
    if not isinstance(left, _Quantity):
        return right if isinstance(right, _Quantity) or left is None else left
    if not isinstance(right, _Quantity):
        return left
    if left.dimension == right.dimension:
        for scale in (left.scale, left.converted):
            if scale in (right.scale, right.converted):
                return _Quantity(left.dimension, scale)
    action = "added" if node.operator == "+" else "subtracted"
    hint = "; convert one of them first, W to kW with /1000" if left.dimension == right.dimension else ""
    raise FormulaError(
        f"{_described(left)} and {_described(right)} can't be {action}{hint}", node.position, node.length
    )


def _described(quantity: _Quantity) -> str:
    name = _name(quantity.dimension, quantity.converted) or _name(quantity.dimension, quantity.scale)
    return shown(name) if name else "a product of other units"


def _product(left: _Inferred, right: _Inferred) -> _Inferred:
    match left, right:
        case _Quantity(), _Quantity():
            dimension = tuple(a + b for a, b in zip(left.dimension, right.dimension, strict=True))
            return _Quantity(dimension, left.scale * right.scale, left.factor * right.factor)
        case _Quantity(), _Pure(value=value):
            return _multiplied(left, value)
        case _Pure(value=value), _Quantity():
            return _multiplied(right, value)
        case _Pure(value=one), _Pure(value=other):
            return _Pure(None if one is None or other is None else _short(one * other))
    return None


def _multiplied(quantity: _Quantity, number: Fraction | None) -> _Inferred:
    if number is None:
        return quantity
    factor = _short(quantity.factor * abs(number))
    return replace(quantity, factor=factor) if factor else None  # zero times anything has any unit


def _power(base: _Inferred, exponent: Fraction | None) -> _Inferred:
    if base is None or exponent is None or abs(exponent) > 12:
        return None
    if isinstance(base, _Pure):
        if base.value and exponent.denominator == 1:
            return _Pure(_short(base.value ** int(exponent)))
        return _Pure(None)
    if exponent.denominator != 1:
        # Half-powers of scales need not be fractions; only the plain unit survives a root.
        return _root(base, exponent)
    whole = int(exponent)
    dimension = tuple(d * exponent for d in base.dimension)
    factor = _short(base.factor**whole)
    return None if factor is None else _Quantity(dimension, base.scale**whole, factor)


def _root(base: _Quantity, exponent: Fraction) -> _Inferred:
    scale = float(base.scale) ** float(exponent)
    near = Fraction(scale).limit_denominator(10**9)
    if base.factor != 1 or abs(float(near) - scale) > 1e-12 * scale:
        return None
    return _Quantity(tuple(d * exponent for d in base.dimension), near)


def _short(value: Fraction) -> Fraction | None:
    """The number unless it has grown beyond any unit conversion."""
    return value if max(value.numerator.bit_length(), value.denominator.bit_length()) <= 512 else None
