"""What `sgmp-console check formula` answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sgmp_console.formula import render
from sgmp_console.formula.catalogue import Catalogue, items_in
from sgmp_console.formula.errors import FormulaError, shown
from sgmp_console.formula.evaluation import evaluate
from sgmp_console.formula.formula import Formula, parse
from sgmp_console.formula.identifiers import AnalyticsIdentifier, Identifier
from sgmp_console.formula.items import ItemGraph, Load, evaluate_items
from sgmp_console.formula.simplify import simplified
from sgmp_console.formula.validation import equal_items, misaligned, problems, unit
from sgmp_console.timeseries.series import Series


def check(
    text: str,
    *,
    catalogue: Catalogue | None = None,
    name: str | None = None,
    readings: Mapping[Identifier, Series] | None = None,
) -> dict[str, Any]:
    """All there is to say about a formula, as JSON-able values.

    The result always has `ok`, `error` ({`message`, `position`, `length`} or None), `warnings` (a list of the same),
    `identifiers`, `exact_on_aggregates`, `simplified`, `latex`, `equals` (items with the same values) and `unit`; and
    with readings `values` ([[timestamp_ms, value], ...]).
    """
    result: dict[str, Any] = {
        "ok": False,
        "error": None,
        "warnings": [],
        "identifiers": [],
        "exact_on_aggregates": False,
        "simplified": None,
        "latex": None,
        "equals": [],
        "unit": "",
    }
    try:
        formula = parse(text)
    except FormulaError as error:
        result["error"] = _place(error.message, error.position, error.length)
        return result
    found = problems(formula, catalogue, name=name)
    errors = [problem for problem in found if problem.is_error]
    result["error"] = _place(errors[0].message, errors[0].position, errors[0].length) if errors else None
    result["warnings"] = [_place(p.message, p.position, p.length) for p in found if not p.is_error]
    result["ok"] = not errors
    result["identifiers"] = sorted(formula.identifiers)
    result["exact_on_aggregates"] = formula.exact_on_aggregates
    result["simplified"] = render.text(simplified(formula.tree))
    result["latex"] = render.latex(formula.tree)
    if catalogue is not None:
        others = {item: item_text for item, item_text in catalogue.items.items() if item != name}
        result["equals"] = equal_items(formula, others)
        result["unit"] = unit(formula, catalogue) if not errors else ""
    if readings is not None:
        _evaluate(formula, readings, catalogue, result)
    return result


def check_on_house(
    text: str, catalogue: Catalogue, start_ms: int, end_ms: int, load: Load, *, name: str | None = None
) -> dict[str, Any]:
    """As `check`, with `values` over the house's own data in the half-open range [start_ms, end_ms), UTC ms."""
    result = check(text, catalogue=catalogue, name=name)
    try:
        formula = parse(text)
    except FormulaError:
        return result  # which says so
    own = name or ""
    mentioned = [item for item in items_in(formula) if item in catalogue.items and item != own]
    computed = evaluate_items([own, *mentioned], {**catalogue.items, own: text}, start_ms, end_ms, load)
    values: dict[Identifier, Series] = dict(computed.read.items())
    values |= {AnalyticsIdentifier(item): series for item, series in computed.series.items()}
    _note_series(formula, values, result)
    result["values"] = _pairs(computed.series.get(own, Series.empty()))
    return result


def warning(message: str) -> dict[str, Any]:
    """One of `warnings`, about the data and not a place in the formula."""
    return _place(message, 0, 0)


def as_text(result: Mapping[str, Any], *, all_values: bool = True) -> str:
    """The result of `check` for a person. `all_values`: a line for each value, and not only what range they have."""
    lines = []
    if result["error"] is not None:
        lines.append(f"Error at character {result['error']['position'] + 1}: {result['error']['message']}")
    lines += [f"Note: {warning['message']}" for warning in result["warnings"]]
    if result["ok"]:
        lines.append("The formula is valid.")
    if result["identifiers"]:
        lines.append(f"Identifiers: {', '.join(result['identifiers'])}")
    if result["simplified"] is not None:
        lines.append(f"Simplified: {result['simplified']}")
        lines.append(f"Exact on aggregates: {'yes' if result['exact_on_aggregates'] else 'no'}")
    if result["unit"]:
        lines.append(f"Unit: {result['unit']}")
    if result["equals"]:
        lines.append(f"The same as: {', '.join('analytics.' + name for name in result['equals'])}")
    lines += [f"Line {entry['line']} was left out: {entry['reason']}" for entry in result.get("rejected", [])]
    if "values" in result:
        lines += _values_lines(result["values"], all_values=all_values)
    return "\n".join(lines)


def _values_lines(pairs: Sequence[Sequence[float]], *, all_values: bool) -> list[str]:
    count = f"Values: {len(pairs)}"
    if all_values:
        return [count, *(f"{timestamp}\t{value!r}" for timestamp, value in pairs)]
    if not pairs:
        return [count]
    first, last = (
        datetime.fromtimestamp(pair[0] / 1000, UTC).isoformat(timespec="seconds")
        for pair in (pairs[0], pairs[-1])
    )
    values = [value for _, value in pairs]
    return [f"{count}, {min(values):g} to {max(values):g}, from {first} to {last}; --values prints them"]


def _place(message: str, position: int, length: int) -> dict[str, Any]:
    return {"message": message, "position": position, "length": length}


def _evaluate(
    formula: Formula,
    readings: Mapping[Identifier, Series],
    catalogue: Catalogue | None,
    result: dict[str, Any],
) -> None:
    """Add the formula's values over the readings. Items come from the readings or else from the catalogue."""
    graph = ItemGraph(catalogue.items if catalogue is not None else {}, items_in(formula))
    values: dict[Identifier, Series] = {
        AnalyticsIdentifier(item): series for item, series in graph.evaluate(readings).items()
    }
    values |= readings
    empty = Series.empty()
    _note_series(formula, values, result)
    result["values"] = _pairs(evaluate(formula.tree, lambda mention: values.get(mention.identifier, empty)))


def _note_series(formula: Formula, values: Mapping[Identifier, Series], result: dict[str, Any]) -> None:
    """Warn of identifiers without values, and of series that hardly meet."""
    series = {r.text: values.get(r.identifier, Series.empty()) for r in formula.references}
    for identifier in sorted(series):
        if not len(series[identifier]):
            result["warnings"].append(_place(f"`{shown(identifier)}` has no values in the data", 0, 0))
    apart = misaligned(formula, series)
    if apart is not None:
        result["warnings"].append(_place(apart.message, apart.position, apart.length))


def _pairs(series: Series) -> list[list[float]]:
    return [[t, v] for t, v in zip(series.timestamps.tolist(), series.values.tolist(), strict=True)]
