"""What a formula means, computed the slow way: one timestamp at a time, with 400-bit numbers.

Written from docs/formulas.md and sharing no code with the console. Formulas are made here as nested tuples and written out
as text by the grammar's rules of precedence. Beside each value goes a bound of the rounding error that 64-bit floats
can't avoid, so that a comparison can be exact where floats are, and fair where they cancel.

A tree is ("number", text) | ("constant", name) | ("id", text) | ("minus", tree) | (operator, tree, tree) for
`+ - * / ^` | (function, tree) | ("avg", tree, period_ms).
"""

import math
import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import mpmath  # type: ignore[import-untyped]  # SymPy's arithmetic, without stubs

Tree = tuple[Any, ...]
Readings = Mapping[str, Mapping[int, float]]

_UNIT = mpmath.mpf(2) ** -52
_TINIEST = mpmath.mpf(2) ** -1074
_LARGEST = mpmath.mpf("1.7976931348623157e308")


class MissingValue(Exception):
    """No value at this timestamp."""


class UnsureValue(Exception):
    """Rounding decides whether there is a value here, so neither answer is wrong."""


# --- Making formulas --------------------------------------------------------------------------------------------

FUNCTIONS = ("sin", "cos", "tan", "abs", "exp", "pos", "neg")
EXPONENTS = (("number", "2"), ("number", "3"), ("minus", ("number", "1")), ("number", "0.5"), ("number", "0"))


def random_tree(rng: random.Random, identifiers: list[str], depth: int) -> Tree:
    kind = rng.random()
    if depth == 0 or kind < 0.12:
        leaf = rng.random()
        if leaf < 0.72:
            return ("id", rng.choice(identifiers))
        if leaf < 0.95:
            return ("number", rng.choice(["0", "1", "2", ".5", "1e-3", "3.25", "12", "1000", "0.1", "2.5E1"]))
        return ("constant", rng.choice(["pi", "e"]))
    if kind < 0.58:
        operator = rng.choice("++--**/")
        return (operator, random_tree(rng, identifiers, depth - 1), random_tree(rng, identifiers, depth - 1))
    if kind < 0.66:
        exponent = rng.choice(EXPONENTS) if rng.random() < 0.8 else random_tree(rng, identifiers, 0)
        return ("^", random_tree(rng, identifiers, depth - 1), exponent)
    if kind < 0.76:
        return ("minus", random_tree(rng, identifiers, depth - 1))
    if kind < 0.88:
        return (rng.choice(FUNCTIONS), random_tree(rng, identifiers, depth - 1))
    return ("avg", random_tree(rng, identifiers, depth - 1), rng.choice([1, 1000, 3000, 5000, 60_000]))


_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "minus": 3, "^": 4}


def written(tree: Tree, rng: random.Random) -> str:
    """The tree as text, with the parentheses that are needed, sometimes more, and blanks here and there."""
    text = _written(tree, rng)
    if rng.random() < 0.1:
        text = f"({text})"
    if rng.random() < 0.05:
        text = f"+{text}" if tree[0] not in "+-" else text
    return text


def _written(tree: Tree, rng: random.Random) -> str:
    blank = rng.choice(["", "", "", " ", "\t"])
    match tree:
        case ("number" | "constant" | "id", text):
            return str(text)
        case ("minus", operand):
            return f"-{blank}{_inside(operand, 3, rng)}"
        case ("avg", data, period):
            return f"avg({_written(data, rng)},{blank}{period})"
        case (("+" | "-" | "*" | "/") as operator, left, right):
            binding = _BINDING[operator]
            return f"{_inside(left, binding, rng)}{blank}{operator}{blank}{_inside(right, binding + 1, rng)}"
        case ("^", base, exponent):
            # Right-associative, and the exponent may carry a sign.
            return f"{_inside(base, 5, rng)}^{_inside(exponent, 3, rng)}"
        case (function, argument):
            return f"{function}{blank}({_written(argument, rng)})"
    raise AssertionError(tree)


def _inside(tree: Tree, at_least: int, rng: random.Random) -> str:
    text = _written(tree, rng)
    needed = _BINDING.get(tree[0], 5) < at_least
    return f"({text})" if needed or rng.random() < 0.05 else text


def identifiers_of(tree: Tree) -> set[str]:
    if tree[0] == "id":
        return {tree[1]}
    return {name for part in tree[1:] if isinstance(part, tuple) for name in identifiers_of(part)}


# --- What they are worth ----------------------------------------------------------------------------------------


class Result:
    """`values`: {timestamp: (value, error bound)}; `unsure`: timestamps at which either answer would do."""

    def __init__(self) -> None:
        self.values: dict[int, tuple[Any, Any]] = {}
        self.unsure: set[int] = set()


def evaluate(tree: Tree, readings: Readings) -> Result:
    """The values of a formula; none for one without identifiers."""
    with mpmath.workprec(400):
        if not identifiers_of(tree):
            return Result()
        return _over_time(tree, readings)


def _over_time(tree: Tree, readings: Readings) -> Result:
    parts: dict[Tree, dict[int, Any]] = {}
    unsure: set[int] = set()
    for leaf in _leaves(tree):
        if leaf[0] == "id":
            parts[leaf] = {
                t: (mpmath.mpf(v), mpmath.mpf(0)) for t, v in readings[leaf[1]].items() if math.isfinite(v)
            }
        else:
            mean = _means(_over_time(leaf[1], readings), leaf[2])
            parts[leaf] = mean.values
            unsure |= mean.unsure
    result = Result()
    result.unsure = unsure
    shared = set.intersection(*(set(values) for values in parts.values()))
    for timestamp in shared - unsure:
        try:
            result.values[timestamp] = _at(tree, {leaf: values[timestamp] for leaf, values in parts.items()})
        except MissingValue:
            continue
        except UnsureValue:
            result.unsure.add(timestamp)
    return result


def _leaves(tree: Tree) -> set[Tree]:
    """Identifiers, and averages of such, that are not inside another average."""
    if tree[0] == "id" or (tree[0] == "avg" and identifiers_of(tree)):
        return {tree}
    return {leaf for part in tree[1:] if isinstance(part, tuple) for leaf in _leaves(part)}


def _means(inner: Result, period: int) -> Result:
    buckets: dict[int, list[tuple[Any, Any]]] = {}
    for timestamp, value in inner.values.items():
        buckets.setdefault(math.floor(Fraction(timestamp, period)) * period, []).append(value)
    result = Result()
    result.unsure = {math.floor(Fraction(timestamp, period)) * period for timestamp in inner.unsure}
    for start, values in buckets.items():
        total = sum(value for value, _ in values)
        magnitude = sum(abs(value) for value, _ in values)
        error = sum(error for _, error in values)
        if magnitude > _LARGEST:
            result.unsure.add(start)
            continue
        error += magnitude * len(values) * _UNIT
        result.values[start] = _rounded(total / len(values), error / len(values))
    return result


def _at(tree: Tree, values: Mapping[Tree, tuple[Any, Any]]) -> tuple[Any, Any]:
    if tree in values:
        return values[tree]
    match tree:
        case ("number", text):
            return _rounded(mpmath.mpf(Fraction(text).numerator) / Fraction(text).denominator, mpmath.mpf(0))
        case ("constant", name):
            return _rounded(+mpmath.pi if name == "pi" else +mpmath.e, mpmath.mpf(0))
        case ("avg", data, _):
            return _at(data, values)  # of a constant
        case ("minus", operand):
            value, error = _at(operand, values)
            return -value, error
        case (("+" | "-" | "*" | "/" | "^") as operator, left, right):
            return _checked(*_operated(operator, _at(left, values), _at(right, values)))
        case (function, argument):
            return _checked(*_called(function, *_at(argument, values)))
    raise AssertionError(tree)


def _rounded(value: Any, error: Any) -> tuple[Any, Any]:
    """The value as a float can hold it: its error grows unless it is held exactly."""
    if abs(value) > _LARGEST:
        raise MissingValue
    if mpmath.mpf(float(value)) != value:
        error += abs(value) * _UNIT + _TINIEST
    return value, error


def _checked(value: Any, error: Any) -> tuple[Any, Any]:
    if abs(value) - error > _LARGEST:
        raise MissingValue
    if abs(value) + error > _LARGEST:
        raise UnsureValue
    return _rounded(value, error)


def _nonzero(value: Any, error: Any) -> None:
    if value == 0 and error == 0:
        raise MissingValue
    if abs(value) <= error * 2:
        raise UnsureValue


def _operated(operator: str, left: tuple[Any, Any], right: tuple[Any, Any]) -> tuple[Any, Any]:
    (x, dx), (y, dy) = left, right
    match operator:
        case "+":
            return x + y, dx + dy
        case "-":
            return x - y, dx + dy
        case "*":
            return x * y, abs(x) * dy + abs(y) * dx + dx * dy
        case "/":
            _nonzero(y, dy)
            return x / y, (dx + abs(x / y) * dy) / (abs(y) - dy)
        case _:
            return _power(x, dx, y, dy)


def _power(x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
    if y == 0 and dy == 0:
        return mpmath.mpf(1), mpmath.mpf(0)
    whole = dy == 0 and y == mpmath.floor(y)
    if x == 0 and dx == 0:
        if abs(y) <= dy:
            raise UnsureValue
        if y < 0:
            raise MissingValue
        return mpmath.mpf(0), mpmath.mpf(0)
    if abs(x) <= 2 * dx:
        raise UnsureValue
    if x < 0 and not whole:
        if dy > 0 and abs(y - mpmath.nint(y)) <= dy:
            raise UnsureValue
        raise MissingValue
    logarithm = mpmath.log(abs(x))
    size = y * logarithm
    if size > 720:
        raise MissingValue
    if size > 700:
        raise UnsureValue
    if size < -700:
        return mpmath.mpf(0), mpmath.mpf(10) ** -300
    value = (
        mpmath.power(x, int(y))
        if whole and abs(y) < 10_000
        else mpmath.exp(size) * (-1 if x < 0 and y % 2 else 1)
    )
    relative = abs(y) * dx / (abs(x) - dx) + abs(logarithm) * dy
    if relative > 0.01:
        raise UnsureValue
    return value, 4 * abs(value) * (relative + _UNIT)


def _called(function: str, x: Any, dx: Any) -> tuple[Any, Any]:
    if function == "abs":
        return abs(x), dx
    if function == "pos":
        return max(x, mpmath.mpf(0)), dx if x > -dx else mpmath.mpf(0)
    if function == "neg":
        return min(x, mpmath.mpf(0)), dx if x < dx else mpmath.mpf(0)
    if function == "exp":
        if x - dx > 710:
            raise MissingValue
        if x + dx > 709:
            raise UnsureValue
        if x < -740:
            return mpmath.mpf(0), mpmath.mpf(10) ** -300
        if dx > 0.01:
            raise UnsureValue
        value = mpmath.exp(x)
        return value, value * (2 * dx + 2 * _UNIT)
    if dx > 0.01:
        raise UnsureValue  # the argument is not known to a hundredth of a radian
    if function == "tan":
        value = mpmath.tan(x)
        slope = (1 + value**2) * dx
        if slope > 0.01 * (1 + abs(value)):
            raise UnsureValue
        return value, 2 * slope + 2 * abs(value) * _UNIT
    value = mpmath.sin(x) if function == "sin" else mpmath.cos(x)
    return value, dx + 2 * _UNIT
