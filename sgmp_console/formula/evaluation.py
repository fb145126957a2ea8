"""Trees evaluated with NumPy.

A formula has a value at the timestamps at which every identifier in it has a finite one (exact match), also where
the identifier cancels out. A step that gives no finite number (division by zero, overflow, outside a function's
domain) takes that timestamp away for good: `1/(1/x)` has no value where x is 0. The inside of an `avg` is evaluated
the same way on its own timestamps and then stands in the formula around it like an identifier.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

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
from sgmp_console.timeseries.alignment import align
from sgmp_console.timeseries.averages import period_means
from sgmp_console.timeseries.series import Series

_Value = NDArray[np.float64] | np.float64

_ZERO = np.float64(0.0)

# Each writes its result into `out`, or into a new array where that is None.
_FUNCTIONS: dict[str, Callable[..., _Value]] = {
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "abs": np.abs,
    "exp": np.exp,
    "pos": lambda x, out: np.maximum(x, _ZERO, out=out),
    "neg": lambda x, out: np.minimum(x, _ZERO, out=out),
}
_OPERATORS: dict[str, Callable[..., _Value]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
}
_ALWAYS_FINITE = frozenset({"sin", "cos", "abs", "pos", "neg"})


def evaluate(
    root: Node,
    series_of: Callable[[Reference], Series],
    average_of: Callable[[Average], Series | None] | None = None,
) -> Series:
    """The values of a tree. `series_of` gives the series of an identifier; NaN and infinities in it are ignored.

    `average_of` may give the series of an `avg` in place of computing it from its data, or None if its data is a
    constant. Empty for a tree without identifiers: a constant has no timestamps of its own.
    """
    with np.errstate(all="ignore"):
        result = _evaluate(root, series_of, average_of)
    return result if isinstance(result, Series) else Series.empty()


def _evaluate(
    root: Node,
    series_of: Callable[[Reference], Series],
    average_of: Callable[[Average], Series | None] | None,
) -> Series | np.float64:
    leaves: dict[Node, int] = {}
    series: list[Series] = []
    constants: dict[Node, np.float64] = {}
    mentioned: dict[str, int] = {}
    for node in nodes(root, into_averages=False):
        if isinstance(node, Reference):
            if node.text not in mentioned:
                mentioned[node.text] = len(series)
                series.append(series_of(node).finite())
            leaves[node] = mentioned[node.text]
        elif isinstance(node, Average):
            ready = average_of(node) if average_of else None
            inner = _evaluate(node.data, series_of, average_of) if ready is None else ready
            if isinstance(inner, Series):
                leaves[node] = len(series)
                series.append((period_means(inner, node.period_ms) if ready is None else ready).finite())
            else:
                constants[node] = inner
    timestamps, columns = align(series)
    given = {id(column) for column in columns}
    finite: list[NDArray[np.bool_]] = []
    impossible = False

    def reusable(arguments: tuple[_Value, ...]) -> NDArray[np.float64] | None:
        """An operand that is nobody else's: new memory costs more than the arithmetic."""
        return next((x for x in arguments if isinstance(x, np.ndarray) and id(x) not in given), None)

    def visit(node: Node, arguments: tuple[_Value, ...]) -> _Value:
        nonlocal impossible
        match node:
            case Reference() | Average():
                return constants[node] if node in constants else columns[leaves[node]]
            case Number(value=value) | Constant(value=value):
                return np.float64(value)
            case Negation():
                return np.negative(arguments[0], out=reusable(arguments))
            case Call(function=function):
                result = _FUNCTIONS[function](arguments[0], out=reusable(arguments))
                if function in _ALWAYS_FINITE:
                    return result
            case Operation(operator=operator):
                result = _OPERATORS[operator](*arguments, out=reusable(arguments))
            case _:
                raise AssertionError(f"no rule for {type(node).__name__}")
        here = np.isfinite(result)
        if not isinstance(here, np.ndarray):
            impossible = impossible or not here
        elif not here.all():
            finite.append(here)
        return result

    values = fold(root, visit, into_averages=False)
    if impossible:
        return Series.empty()
    if not isinstance(values, np.ndarray):
        return np.float64(values)
    # -0.0 becomes 0.0, and the caller never gets an array that is its own input.
    values = np.add(values, _ZERO, out=reusable((values,)))
    if not finite:
        return Series(timestamps, values)
    keep = np.logical_and.reduce(finite)
    return Series(timestamps[keep], values[keep])


def reaches(root: Node, start_ms: int, end_ms: int) -> list[tuple[Reference, int, int]]:
    """For every mention of an identifier the range of its values on which the tree's in [start_ms, end_ms) depend."""
    found: list[tuple[Reference, int, int]] = []
    for node in nodes(root, into_averages=False):
        if isinstance(node, Reference):
            found.append((node, start_ms, end_ms))
        elif isinstance(node, Average):
            # The periods that begin in the range.
            first = -(-start_ms // node.period_ms) * node.period_ms
            last = -(-end_ms // node.period_ms) * node.period_ms
            found += reaches(node.data, first, last) if first < last else []
    return found
