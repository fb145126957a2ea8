"""Everything that is checked before a formula is stored, and what is worth saying about it besides.

`parse` has checked syntax and size. Here come the house (names, cycles, units) and the numbers (what can never have a
value). Nothing here takes longer than a few milliseconds for an ordinary formula.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from sgmp_console.formula.catalogue import Catalogue, Problem, cycle, inlined, unresolved
from sgmp_console.formula.errors import FormulaError, shown
from sgmp_console.formula.evaluation import evaluate
from sgmp_console.formula.formula import Formula, parse
from sgmp_console.formula.grammar import constant_value
from sgmp_console.formula.identifiers import AnalyticsIdentifier, EventIdentifier
from sgmp_console.formula.linear import linear_form
from sgmp_console.formula.sampling import may_be_equal, may_be_zero, sampled
from sgmp_console.formula.tree import Average, Negation, Node, Operation, Reference, made, nodes
from sgmp_console.formula.units import unit_of
from sgmp_console.timeseries.alignment import shared_fraction, typical_interval_ms
from sgmp_console.timeseries.series import Series
from sgmp_console.timeseries.slots import SLOT_MS


def problems(
    formula: Formula, catalogue: Catalogue | None = None, *, name: str | None = None
) -> list[Problem]:
    """All that is wrong or doubtful, in the order of the text, errors before warnings.

    Without a catalogue only what the formula says by itself is judged. `name`: of the item it is to be stored under,
    by which a cycle is found.
    """
    found = [*_constants(formula), *_divisions_by_zero(formula)]
    if catalogue is not None:
        found += unresolved(formula, catalogue)
        circle = cycle(name, formula, catalogue.items) if name else None
        if circle is not None:
            found.append(Problem.of(circle))
        try:
            unit(formula, catalogue)
        except FormulaError as error:
            found.append(Problem.of(error))
    return sorted(found, key=lambda problem: (not problem.is_error, problem.position))


def unit(formula: Formula, catalogue: Catalogue) -> str:
    """The unit of the values, "" where unknown. Raises FormulaError where different quantities are added."""
    return unit_of(formula.tree, lambda reference: catalogue.units.get(reference.identifier, ""))


def aggregation_refusal(formula: Formula) -> str | None:
    """Why an item with this formula can't have continuous aggregation; None if it can.

    Aggregates are kept of device fields only.
    """
    for reference in formula.references:
        if isinstance(reference.identifier, EventIdentifier):
            return (
                f"`{shown(reference.text)}` is an event identifier: events are few and kept in full, so there is "
                "nothing to aggregate; leave continuous aggregation off"
            )
        if isinstance(reference.identifier, AnalyticsIdentifier):
            return (
                f"`{shown(reference.text)}` refers to another item: enable continuous aggregation there, "
                "or write out its formula here"
            )
    return None


POWER_UNIT = "kW"
"""The unit whose slot means add up to kWh."""


def energy_refusal(formula: Formula, unit_name: str) -> str | None:
    """Why the values of an item have no energy in kWh, as the end of a sentence; None if they have.

    `formula` with the items it mentions written out (`inlined`); `unit_name` is the item's, "" where unknown. An
    `avg` of more than a slot has a value in one slot of each period only: its sum would be a part of the energy.
    """
    if unit_name != POWER_UNIT:
        what = f"its unit is {unit_name}, not {POWER_UNIT}" if unit_name else "its unit is not known"
        return f"{what}, and only a power has an energy; set the unit to {POWER_UNIT} if it is one"
    if all(isinstance(reference.identifier, EventIdentifier) for reference in formula.references):
        return "it has a value per event, not a power over time"
    for node in nodes(formula.tree):
        if isinstance(node, Average) and node.period_ms > SLOT_MS:
            return (
                f"it averages over {node.period_ms / 60_000:g} minutes, so it has a value in one slot of each period "
                f"only; use avg(…, {SLOT_MS})"
            )
    return None


def _constants(formula: Formula) -> list[Problem]:
    """Constant parts without a value, innermost only; and a formula that is nothing but a constant."""
    found: list[Problem] = []
    for node in nodes(formula.tree):
        if not node.children or isinstance(node, Negation):
            continue
        value = constant_value(node)
        if value is None or math.isfinite(value):
            continue
        if all(math.isfinite(constant_value(child) or 0.0) for child in node.children):
            found.append(Problem(_why_no_value(node, value), node.position, node.length))
    if not found and not formula.references:
        message = (
            "the formula names no field, event or item; a constant has no timestamps and so gives no values. "
            "Write for example egauge.A.Solar"
        )
        found.append(Problem(message, formula.tree.position, formula.tree.length))
    return found


def _why_no_value(node: Node, value: float) -> str:
    if isinstance(node, Operation) and node.operator == "/" and constant_value(node.right) == 0:
        return "this divides by zero"
    if math.isinf(value):
        return "this constant is too large; the largest number is about 1.8e308"
    if isinstance(node, Operation) and node.operator == "^" and constant_value(node.left) == 0:
        return "this divides by zero: zero has no negative power"
    return "this constant has no value: a negative number has only whole powers"


def _divisions_by_zero(formula: Formula) -> list[Problem]:
    """Divisors that are always zero, such as `x - x`."""
    found: list[Problem] = []
    for node in nodes(formula.tree):
        if not isinstance(node, Operation):
            continue
        divisor = None
        if node.operator == "/":
            divisor = node.right
        elif node.operator == "^" and (constant_value(node.right) or 0.0) < 0:
            divisor = node.left
        if divisor is None or constant_value(node) is not None or not _is_zero(divisor):
            continue
        found.append(
            Problem(
                "this is always zero, and dividing by it gives no value", divisor.position, divisor.length
            )
        )
    return found


def _is_zero(node: Node) -> bool:
    value = constant_value(node)
    if value is not None:
        return value == 0
    form = linear_form(node)
    if form is not None:
        return not form.constant and not any(term.positive or term.negative for term in form.terms.values())
    if not may_be_zero(sampled(node)):
        return False
    from sgmp_console.formula.symbolic import is_zero  # only where trying numbers has shown nothing else

    return is_zero(node)


def equal_items(formula: Formula, items: Mapping[str, str]) -> list[str]:
    """The names of the items that always have the same values as this formula, proven by algebra.

    Both must need the same identifiers: `x*y/y` isn't `x`, since it has no values where y has none.
    """
    try:
        own = inlined(formula, items)
    except FormulaError:
        return []
    needed = {reference.identifier for reference in own.references}
    values = sampled(own.tree)
    found: list[str] = []
    for name, text in items.items():
        try:
            other = inlined(parse(text), items)
        except FormulaError:
            continue  # reported where that item is shown
        if needed != {reference.identifier for reference in other.references}:
            continue
        if may_be_equal(values, sampled(other.tree)) and _is_difference_zero(own.tree, other.tree):
            found.append(name)
    return found


def _is_difference_zero(one: Node, other: Node) -> bool:
    return _is_zero(made(Operation, operator="-", operator_position=0, left=one, right=other))


# --- Series that don't meet -------------------------------------------------------------------------------------

FEW = 0.5
"""Two series that share less than this part of their timestamps are worth a word."""

_PERIODS_MS = (SLOT_MS, 900_000, 3_600_000, 86_400_000)


@dataclass(frozen=True)
class Misaligned:
    """Two parts of a formula that are combined although few of their timestamps agree.

    `shared`: the part of the shorter one's timestamps that the other has, 0 to 1. `suggestion`: the formula's text
    with `avg` where it helps.
    """

    one: str
    other: str
    shared: float
    position: int
    length: int
    suggestion: str

    @property
    def message(self) -> str:
        percent = f"{self.shared * 100:.0f} %" if self.shared == 0 or self.shared >= 0.01 else "less than 1 %"
        return (
            f"`{shown(self.one)}` and `{shown(self.other)}` share {percent} of their timestamps, and the formula has "
            f"values only there; write {self.suggestion}"
        )


def misaligned(formula: Formula, series: Mapping[str, Series]) -> Misaligned | None:
    """The two parts that fit least, if they share less than FEW of their timestamps; None if all is well."""
    return _misaligned(formula, formula.tree, series)


def _misaligned(formula: Formula, root: Node, series: Mapping[str, Series]) -> Misaligned | None:
    parts: dict[str, tuple[Node, Series]] = {}
    everywhere: list[Node] = []
    for node in nodes(root, into_averages=False):
        if isinstance(node, Average):
            inside = _misaligned(formula, node.data, series)
            if inside is not None:
                return inside
        elif not isinstance(node, Reference):
            continue
        values = evaluate(node, lambda reference: series[reference.text])
        everywhere.append(node)
        if len(values):
            parts.setdefault(formula.text[node.position : node.end], (node, values))
    worst: Misaligned | None = None
    for (one, (_, a)), (other, (node, b)) in combinations(parts.items(), 2):
        shared = shared_fraction(a, b)
        if shared is not None and shared < min(FEW, worst.shared if worst else 1.0):
            longest = max(typical_interval_ms(values) or 0 for _, values in parts.values())
            suggestion = _averaged(formula, everywhere, longest)
            worst = Misaligned(one, other, shared, node.position, node.length, suggestion)
    return worst


def _averaged(formula: Formula, parts: list[Node], interval_ms: int) -> str:
    """The formula with an avg around each of the parts, over a period that holds readings of all."""
    period = next((p for p in _PERIODS_MS if p >= interval_ms), _PERIODS_MS[-1])
    text = formula.text
    for node in sorted(parts, key=lambda node: node.position, reverse=True):
        if not (isinstance(node, Average) and node.period_ms == period):
            text = f"{text[: node.position]}avg({text[node.position : node.end]}, {period}){text[node.end :]}"
    return text
