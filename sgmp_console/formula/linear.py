"""Formulas that can be computed from continuous aggregates without error.

A slot's aggregates hold the sums of x, of its positive part and of its negative part. So the slot mean of

    f = constant + sum over series of ( positive * max(x, 0) + negative * min(x, 0) )

follows from them, and so does every formula that can be brought to this shape: affine in each series and in pos, neg
and abs of a scaled series. `linear_form` brings a tree to it in rational arithmetic, or says that it can't.

With several series the mean of the sum is the sum of the means only in a slot where all of them have the same
timestamps, since a formula has values only where all have. That is a fact about the data, not about the formula:
`LinearForm.slot_means` compares the fingerprints of the slots and returns those it can't vouch for, to be read raw.

Coefficients outside 1e-100 to 1e100 are not taken, nor are slots with a value beyond `READING_LIMIT`: so whatever is
computed here is finite, on raw values as on aggregates. Slots with larger values are read raw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from sgmp_console.formula.evaluation import evaluate
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
from sgmp_console.timeseries.aggregates import HourAggregates, SlotAggregates
from sgmp_console.timeseries.averages import period_means, starts_of_runs
from sgmp_console.timeseries.series import Series
from sgmp_console.timeseries.slots import SLOT_MS, HourMeans, SlotMeans

_MAX_VALUE = Fraction(10) ** 100
_MAX_BITS = 4_096
"""Longer fractions are rounded to the nearest float: they come from long literals, not from meters."""


@dataclass(frozen=True)
class Term:
    """`positive * max(x, 0) + negative * min(x, 0)` of one series; equal coefficients make it a multiple of x."""

    positive: Fraction
    negative: Fraction


@dataclass(frozen=True)
class LinearForm:
    """A constant and one term per identifier as written, also for those whose coefficients came out as zero.

    `rational`: every number in it is the decimal that was written, none was rounded (as pi is).
    """

    constant: Fraction
    terms: Mapping[str, Term]
    rational: bool

    @property
    def direction(self) -> int | None:
        """+1 or -1 if the form never falls or never grows as its only series grows, else None."""
        if len(self.terms) != 1:
            return None
        (term,) = self.terms.values()
        if term.positive >= 0 and term.negative >= 0:
            return 1
        return -1 if term.positive <= 0 and term.negative <= 0 else None

    def extremes(
        self, minima: NDArray[np.float64], maxima: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """The least and greatest values of the form, from those of its only series.

        None if the form has no direction: the least of several series need not coincide, and abs turns round at zero.
        """
        if self.direction is None:
            return None
        (term,) = self.terms.values()
        low, high = (minima, maxima) if self.direction > 0 else (maxima, minima)
        return self._at(term, low), self._at(term, high)

    def _at(self, term: Term, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(x > 0, float(term.positive), float(term.negative)) * x + float(self.constant)

    def slot_means(
        self, aggregates: Mapping[str, SlotAggregates], start_ms: int, end_ms: int
    ) -> tuple[SlotMeans, NDArray[np.int64]]:
        """The means of the form's slots in [start_ms, end_ms), a range of whole slots.

        `aggregates` by identifier as written. Also returns the starts of the slots that may be covered but can't be
        computed, since their series' timestamps differ or are not known to agree, or a value is beyond
        READING_LIMIT: read these raw.
        """
        found = [aggregates[name] for name in self.terms]
        starts, rows = _common([one.starts for one in found], start_ms, end_ms)
        n = [one.n[at] for one, at in zip(found, rows, strict=True)]
        sure = _sure(n, found, rows, len(starts))
        means = np.full(len(starts), float(self.constant))
        with np.errstate(over="ignore", invalid="ignore"):
            for term, one, at, count in zip(self.terms.values(), found, rows, n, strict=True):
                means += _part(term, one, at) / count
        return SlotMeans(start_ms, end_ms, starts[sure], means[sure]), starts[~sure]

    def hour_means(
        self, aggregates: Mapping[str, HourAggregates], start_ms: int, end_ms: int
    ) -> tuple[HourMeans, NDArray[np.int64]]:
        """The same for UTC hours; [start_ms, end_ms) is a range of whole hours."""
        found = [aggregates[name] for name in self.terms]
        starts, rows = _common([one.starts for one in found], start_ms, end_ms)
        n = [_taken(one.n, at) for one, at in zip(found, rows, strict=True)]
        sure = _sure(n, found, rows, len(starts))
        covered = found[0].covered[rows[0]] if found else np.empty(0, np.int64)
        sums = np.multiply(covered, float(self.constant), dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            for term, one, at in zip(self.terms.values(), found, rows, strict=True):
                sums += _part(term, one, at)
        return HourMeans(starts[sure], covered[sure], sums[sure]), starts[~sure]


def _part(term: Term, sums: SlotAggregates | HourAggregates, at: NDArray[np.intp]) -> NDArray[np.float64]:
    if term.positive == term.negative:
        return float(term.positive) * sums.sums[at]
    return float(term.positive) * sums.positive_sums[at] + float(term.negative) * sums.negative_sums[at]


def _taken(column: NDArray[np.int64] | None, at: NDArray[np.intp]) -> NDArray[np.int64] | None:
    return None if column is None else column[at]


def _common(
    each: Sequence[NDArray[np.int64]], start_ms: int, end_ms: int
) -> tuple[NDArray[np.int64], list[NDArray[np.intp]]]:
    """The starts within the range that all have, and where they stand in each: elsewhere the form has no value."""
    if not each:
        return np.empty(0, np.int64), []
    starts = each[0]
    for other in each[1:]:
        starts = np.intersect1d(starts, other, assume_unique=True)
    starts = starts[(starts >= start_ms) & (starts < end_ms)]
    return starts, [np.searchsorted(one, starts) for one in each]


def _sure(
    n: Sequence[NDArray[np.int64] | None],
    each: Sequence[SlotAggregates | HourAggregates],
    rows: Sequence[NDArray[np.intp]],
    count: int,
) -> NDArray[np.bool_]:
    """Where all values are in bounds and all series have the same timestamps.

    With several series that is nowhere if the fingerprints were not kept.
    """
    sure = np.ones(count, np.bool_)
    for one, at in zip(each, rows, strict=True):
        sure &= one.in_bounds[at]
    for column in (n, [_taken(one.timestamp_hash, at) for one, at in zip(each, rows, strict=True)]):
        for other in column[1:]:
            if column[0] is None or other is None:
                return np.zeros(count, np.bool_)
            sure &= column[0] == other
    return sure


def linear_form(root: Node) -> LinearForm | None:
    """The form of a tree, or None if it hasn't one: other functions and products of series, coefficients out of bounds.

    An `avg` hasn't, unless its data is a constant; see `slotwise`.
    """
    order = {node.text: _NOTHING for node in nodes(root, into_averages=False) if isinstance(node, Reference)}
    form = fold(root, _form)
    return None if form is None else LinearForm(form.constant, {**order, **form.terms}, form.rational)


_NOTHING = Term(Fraction(0), Fraction(0))


@dataclass(frozen=True)
class _Form:
    """A LinearForm under way; `terms` leaves out those that came out as zero."""

    constant: Fraction
    terms: Mapping[str, Term]
    rational: bool = True


def _form(node: Node, arguments: tuple[_Form | None, ...]) -> _Form | None:
    match node:
        case Number():
            return _bounded(_Form(node.exact, {}))
        case Constant(value=value):
            return _Form(Fraction(value), {}, rational=False)
        case Reference(text=text):
            return _Form(Fraction(0), {text: Term(Fraction(1), Fraction(1))})
    known = [argument for argument in arguments if argument is not None]
    if len(known) < len(arguments):
        return None
    match node:
        case Negation():
            return _scaled(known[0], Fraction(-1))
        case Average():
            return None if known[0].terms or _has_references(node) else known[0]
        case Call(function=function):
            return _bounded(_called(function, known[0]))
        case Operation(operator=operator):
            return _bounded(_operated(operator, known[0], known[1]))
    raise AssertionError(f"no rule for {type(node).__name__}")


def _has_references(root: Node) -> bool:
    return any(isinstance(node, Reference) for node in nodes(root))


def _operated(operator: str, x: _Form, y: _Form) -> _Form | None:
    match operator:
        case "+":
            return _sum(x, y)
        case "-":
            return _sum(x, _scaled(y, Fraction(-1)))
        case "*" if not y.terms:
            return _scaled(x, y.constant, y.rational)
        case "*" if not x.terms:
            return _scaled(y, x.constant, x.rational)
        case "/" if not y.terms and y.constant:
            return _scaled(x, 1 / y.constant, y.rational)
        case "^" if not y.terms:
            return _power(x, y)
    return None


def _power(x: _Form, y: _Form) -> _Form | None:
    if y.constant == 1:
        return x
    if y.constant == 0:
        return _Form(Fraction(1), {}, x.rational)
    if x.terms:
        return None
    exact = y.constant.denominator == 1 and abs(y.constant) * _bits(x.constant) <= _MAX_BITS
    if exact and (x.constant or y.constant > 0):
        return _Form(x.constant ** int(y.constant), {}, x.rational and y.rational)
    return _rounded(lambda: float(x.constant) ** float(y.constant))


def _called(function: str, x: _Form) -> _Form | None:
    if function in ("pos", "neg", "abs"):
        return _clipped(function, x)
    if x.terms:
        return None
    calls: dict[str, Callable[[float], float]] = {
        "sin": math.sin,
        "cos": math.cos,
        "tan": math.tan,
        "exp": math.exp,
    }
    return _rounded(lambda: calls[function](float(x.constant)))


def _clipped(function: str, x: _Form) -> _Form | None:
    """pos, neg, abs of a form: where its sign is known everywhere, or where it is a scaled series without constant."""
    never_negative = x.constant >= 0 and all(t.positive >= 0 >= t.negative for t in x.terms.values())
    never_positive = x.constant <= 0 and all(t.positive <= 0 <= t.negative for t in x.terms.values())
    if never_negative or never_positive:
        keeps = function == "abs" or (function == "pos") == never_negative
        return _scaled(x, Fraction(-1 if function == "abs" and never_positive else 1 if keeps else 0))
    if x.constant or len(x.terms) != 1:
        return None
    ((name, term),) = x.terms.items()
    # Above zero the series gives positive * x, below zero negative * x: each side keeps its sign or is clipped.
    zero = Fraction(0)
    up = Term(max(term.positive, zero), min(term.negative, zero))
    down = Term(min(term.positive, zero), max(term.negative, zero))
    if function == "abs":
        result = Term(up.positive - down.positive, up.negative - down.negative)
    else:
        result = up if function == "pos" else down
    return _Form(zero, {name: result}, x.rational)


def _sum(x: _Form, y: _Form) -> _Form:
    terms = dict(x.terms)
    for name, term in y.terms.items():
        before = terms.pop(name, _NOTHING)
        both = Term(before.positive + term.positive, before.negative + term.negative)
        if both != _NOTHING:
            terms[name] = both
    return _Form(x.constant + y.constant, terms, x.rational and y.rational)


def _scaled(x: _Form, factor: Fraction, rational: bool = True) -> _Form:
    terms = (
        {name: Term(t.positive * factor, t.negative * factor) for name, t in x.terms.items()}
        if factor
        else {}
    )
    return _Form(x.constant * factor, terms, x.rational and rational)


def _rounded(compute: Callable[[], float]) -> _Form | None:
    """A constant known as a float only; None if it has no value."""
    try:
        value = compute()
    except (OverflowError, ZeroDivisionError, ValueError):
        return None
    if not isinstance(value, float) or not math.isfinite(value):  # a root of a negative number is complex
        return None
    return _Form(Fraction(value), {}, rational=False)


def _bounded(x: _Form | None) -> _Form | None:
    """The form with no number longer than _MAX_BITS, or None if one is out of bounds."""
    if x is None:
        return None
    numbers = [
        x.constant,
        *(number for term in x.terms.values() for number in (term.positive, term.negative)),
    ]
    if any(number and not 1 / _MAX_VALUE <= abs(number) <= _MAX_VALUE for number in numbers):
        return None
    if all(_bits(number) <= _MAX_BITS for number in numbers):
        return x
    terms = {
        name: Term(Fraction(float(t.positive)), Fraction(float(t.negative))) for name, t in x.terms.items()
    }
    return _Form(Fraction(float(x.constant)), terms, rational=False)


def _bits(number: Fraction) -> int:
    return max(number.numerator.bit_length(), number.denominator.bit_length())


# --- Formulas of slot means -------------------------------------------------------------------------------------


def slotwise(root: Node) -> bool:
    """Whether the formula sees its series only as means over whole slots: `avg(x, 300000) * avg(y, 300000)`.

    Inside each avg stands a linear form of one series, or again such a formula. Then every operation on them is exact
    on aggregates: there is one value per period, whatever the function.
    """
    # The recursion follows averages inside one another, which the grammar bounds.
    found = False
    for node in nodes(root, into_averages=False):
        if isinstance(node, Reference):
            return False
        if isinstance(node, Average) and _has_references(node):
            found = True
            if node.period_ms % SLOT_MS or not (_of_one_series(node.data) or slotwise(node.data)):
                return False
    return found


def _of_one_series(root: Node) -> bool:
    form = linear_form(root)
    return form is not None and len(form.terms) == 1


def slotwise_unsure(
    root: Node, aggregates: Mapping[str, SlotAggregates], start_ms: int, end_ms: int
) -> NDArray[np.int64]:
    """The slots of the range whose values may depend on a reading beyond READING_LIMIT: to be read raw."""
    # A value stands at the start of its period, so a reading changes none that is more than all periods before it.
    reach = sum(node.period_ms for node in nodes(root) if isinstance(node, Average))
    every = np.arange(start_ms, end_ms, SLOT_MS, dtype=np.int64)
    unsure = np.zeros(len(every), np.bool_)
    for one in aggregates.values():
        for beyond in one.starts[~one.in_bounds].tolist():
            unsure |= (every > beyond - reach - SLOT_MS) & (every <= beyond)
    return every[unsure]


def slotwise_values(root: Node, aggregates: Mapping[str, SlotAggregates]) -> Series:
    """The values of a slotwise formula, at the starts of its periods. `aggregates` by identifier as written."""
    return evaluate(root, _no_series, lambda node: _average(node, aggregates))


def _average(node: Average, aggregates: Mapping[str, SlotAggregates]) -> Series | None:
    form = linear_form(node.data)
    if form is None:
        return period_means(slotwise_values(node.data, aggregates), node.period_ms)
    if not form.terms:
        return None
    ((name, term),) = form.terms.items()
    slots = aggregates[name]
    periods = np.floor_divide(slots.starts, node.period_ms)
    first = starts_of_runs(periods)
    if not len(first):
        return Series.empty()
    every = np.arange(len(slots.starts))
    with np.errstate(over="ignore", invalid="ignore"):
        totals = np.add.reduceat(_part(term, slots, every), first)
    counts = np.add.reduceat(slots.n, first)
    return Series(periods[first] * node.period_ms, totals / counts + float(form.constant))


def _no_series(reference: Reference) -> Series:
    raise AssertionError(f"{reference.text} stands outside any avg")
