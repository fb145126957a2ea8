"""What a house has, for the names in its formulas, and how its items hang together."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from sgmp_console.formula.errors import FormulaError, shown
from sgmp_console.formula.formula import Formula, parse
from sgmp_console.formula.grammar import constant_value
from sgmp_console.formula.identifiers import (
    AnalyticsIdentifier,
    DeviceIdentifier,
    EventIdentifier,
    Identifier,
)
from sgmp_console.formula.render import text
from sgmp_console.formula.tree import Node, Reference, fold, nodes, rebuilt

_MAX_INLINED_NODES = 4_000


@dataclass(frozen=True)
class Catalogue:
    """A house as its formulas see it.

    `devices`: names with the fields seen so far (none for a device that has not delivered yet). `items`: analytic
    items with their formulas' texts. `event_types`: seen so far. `units`: of identifiers, where known.
    `device_types`: by name of the device.
    """

    devices: Mapping[str, Collection[str]] = field(default_factory=dict)
    items: Mapping[str, str] = field(default_factory=dict)
    event_types: Collection[str] = ()
    units: Mapping[Identifier, str] = field(default_factory=dict)
    device_types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """Something to say about a place in a formula. `is_error`: it can't be stored as it stands."""

    message: str
    position: int
    length: int
    is_error: bool = True

    @classmethod
    def of(cls, error: FormulaError) -> Problem:
        return cls(error.message, error.position, error.length)


def unresolved(formula: Formula, catalogue: Catalogue) -> list[Problem]:
    """The identifiers that name nothing in the house, with the nearest name that there is.

    An unknown device or item is an error. An unknown field or event type is a warning only, since it may come with
    the next reading.
    """
    found: list[Problem] = []
    for reference in formula.references:
        match reference.identifier:
            case DeviceIdentifier(device=device, field=name):
                found += _device(reference, device, catalogue) or _field(reference, device, name, catalogue)
            case AnalyticsIdentifier(name=name):
                if name not in catalogue.items:
                    message = f"`{shown(reference.text)}`: {absent(name)}"
                    found.append(_problem(reference, message + _nearest(name, catalogue.items)))
            case EventIdentifier(devices=devices, types=types):
                for device in devices:
                    # `_edge` reports about itself in every house.
                    found += [] if device == "_edge" else _device(reference, device, catalogue)
                for kind in types:
                    if catalogue.event_types and kind not in catalogue.event_types:
                        message = f"`{shown(reference.text)}`: no event `{shown(kind)}` has come from this house yet"
                        nearest = _nearest(kind, catalogue.event_types)
                        found.append(_problem(reference, message + nearest, is_error=False))
    return found


def absent(item: str) -> str:
    return f"no analytic item `{shown(item)}` in this house"


def _device(reference: Reference, device: str, catalogue: Catalogue) -> list[Problem]:
    if device in catalogue.devices:
        return []
    message = f"`{shown(reference.text)}`: no device `{shown(device)}` in this house"
    return [_problem(reference, message + _nearest(device, catalogue.devices))]


def _field(reference: Reference, device: str, name: str, catalogue: Catalogue) -> list[Problem]:
    fields = catalogue.devices[device]
    if not fields or name in fields:
        return []
    message = f"`{shown(reference.text)}`: `{shown(device)}` has not delivered a field `{shown(name)}` yet"
    return [_problem(reference, message + _nearest(name, fields), is_error=False)]


def _problem(reference: Reference, message: str, *, is_error: bool = True) -> Problem:
    return Problem(message, reference.position, reference.length, is_error)


def _nearest(name: str, known: Iterable[str]) -> str:
    lower = {one.lower(): one for one in sorted(known)}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    return f"; did you mean `{lower[near[0]]}`?" if near else ""


# --- Items that refer to items ----------------------------------------------------------------------------------


def items_in(formula: Formula) -> tuple[str, ...]:
    """The names of the items a formula mentions, each once, in reading order."""
    names = (r.identifier.name for r in formula.references if isinstance(r.identifier, AnalyticsIdentifier))
    return tuple(dict.fromkeys(names))


def cycle(name: str, formula: Formula, items: Mapping[str, str]) -> FormulaError | None:
    """What to say if an item with this formula would refer to itself, with the path; None if it wouldn't."""
    with_it = {**items, name: formula.text}
    for mentioned in items_in(formula):
        way = _way(mentioned, name, with_it)
        if way is not None:
            return _cycle_error((name, *way), formula, mentioned)
    return None


def _way(start: str, target: str, items: Mapping[str, str]) -> tuple[str, ...] | None:
    """The shortest chain of mentions from an item to another, both ends included."""
    came_from = {start: ""}
    queue = deque([start])
    while queue:
        name = queue.popleft()
        if name == target:
            way = [name]
            while came_from[way[-1]]:
                way.append(came_from[way[-1]])
            return tuple(reversed(way))
        for following in _items_of(items.get(name, "")):
            if following not in came_from:
                came_from[following] = name
                queue.append(following)
    return None


def _items_of(formula_text: str) -> tuple[str, ...]:
    """As `items_in`; none for a stored text that can't be read, which is reported where it is evaluated."""
    try:
        return items_in(parse(formula_text))
    except FormulaError:
        return ()


def users_of_item(name: str, items: Mapping[str, str]) -> tuple[str, ...]:
    """The items whose formulas mention an item: while there are any it can't be deleted."""
    return tuple(sorted(user for user, formula_text in items.items() if name in _items_of(formula_text)))


def users_of_device(device: str, items: Mapping[str, str]) -> tuple[str, ...]:
    """The items whose formulas mention a device's fields, or its events by its name."""
    return tuple(sorted(user for user, formula_text in items.items() if device in _devices_of(formula_text)))


def _devices_of(formula_text: str) -> set[str]:
    try:
        references = parse(formula_text).references
    except FormulaError:
        return set()
    devices: set[str] = set()
    for reference in references:
        match reference.identifier:
            case DeviceIdentifier(device=device):
                devices.add(device)
            case EventIdentifier(devices=several):
                devices.update(several)
    return devices


@dataclass(frozen=True)
class Ordered:
    """Items with all that they refer to, each after what it refers to; and why others can't be evaluated."""

    formulas: Mapping[str, Formula]
    errors: Mapping[str, FormulaError]


def ordered(names: Iterable[str], items: Mapping[str, str]) -> Ordered:
    """The items of these names and those they refer to, in order of evaluation. `names` must be in `items`.

    An error stands at the place of the mention at fault in that item's own formula.
    """
    formulas: dict[str, Formula] = {}
    errors: dict[str, FormulaError] = {}
    for root in names:
        path: dict[str, None] = {}  # in order, and quick to ask
        ahead: list[list[str]] = [[root]]
        while ahead:
            if not ahead[-1]:
                ahead.pop()
                if path:
                    _finish(path.popitem()[0], items, formulas, errors)
                continue
            name = ahead[-1].pop()
            if name in path:
                circle = list(path)
                _refuse_cycle((*circle[circle.index(name) :], name), items, errors)
            elif name in items and name not in formulas and name not in errors:
                path[name] = None
                ahead.append(list(reversed(_items_of(items[name]))))
    return Ordered(formulas, errors)


def _finish(
    name: str, items: Mapping[str, str], formulas: dict[str, Formula], errors: dict[str, FormulaError]
) -> None:
    """All that `name` refers to is known: put it on one side or the other."""
    if name in errors:
        return
    try:
        formula = parse(items[name])
        _require(formula, items, errors)
    except FormulaError as error:
        errors[name] = error
    else:
        formulas[name] = formula


def _require(formula: Formula, items: Mapping[str, str], errors: Mapping[str, FormulaError]) -> None:
    """Raise FormulaError at the first mention of an item that is not there or is at fault itself."""
    for reference in formula.references:
        if isinstance(reference.identifier, AnalyticsIdentifier):
            name = reference.identifier.name
            if name not in items:
                raise FormulaError(absent(name), reference.position, reference.length)
            if name in errors:
                raise FormulaError(
                    f"`{shown(reference.text)}` can't be evaluated: {errors[name].message}",
                    reference.position,
                    reference.length,
                )


def _refuse_cycle(path: tuple[str, ...], items: Mapping[str, str], errors: dict[str, FormulaError]) -> None:
    for name, following in pairwise(path):
        if name not in errors:
            errors[name] = _cycle_error(path, parse(items[name]), following)


def _cycle_error(path: tuple[str, ...], formula: Formula, following: str) -> FormulaError:
    """`formula`'s mention of the item `following` closes the path."""
    mention = next(r for r in formula.references if r.identifier == AnalyticsIdentifier(following))
    if len(path) == 2:
        return FormulaError(f"`{shown(path[0])}` can't refer to itself", mention.position, mention.length)
    way = " → ".join(shown(name) for name in path)
    return FormulaError(
        f"these items refer to one another in a circle: {way}", mention.position, mention.length
    )


def inlined(formula: Formula, items: Mapping[str, str]) -> Formula:
    """The formula with the items it mentions written out, down to devices and events.

    Raises FormulaError, at the place of the mention, for an item that is unknown, unreadable, a constant (it has no
    values) or part of a cycle, and where the result is too large.
    """
    names = [name for name in items_in(formula) if name in items]
    found = ordered(names, items)
    _require(formula, items, found.errors)
    done: dict[str, Node] = {}
    for name, item in found.formulas.items():
        done[name] = _substituted(item.tree, done)
    tree = _substituted(formula.tree, done)
    return formula if tree is formula.tree else Formula(text(tree), tree)


def _substituted(tree: Node, done: Mapping[str, Node]) -> Node:
    def visit(node: Node, arguments: tuple[tuple[Node, int], ...]) -> tuple[Node, int]:
        if isinstance(node, Reference) and isinstance(node.identifier, AnalyticsIdentifier):
            inner = done[node.identifier.name]
            if constant_value(inner) is not None:
                raise FormulaError(
                    f"`{shown(node.text)}` is a constant and has no values", node.position, node.length
                )
            return inner, sum(1 for _ in nodes(inner))
        size = 1 + sum(count for _, count in arguments)
        if size > _MAX_INLINED_NODES:
            raise FormulaError(
                "written out with its items the formula is too large", node.position, node.length
            )
        return rebuilt(node, tuple(child for child, _ in arguments)), size

    return fold(tree, visit)[0]
