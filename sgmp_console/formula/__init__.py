"""The formula language: grammar -> tree -> SymPy analysis -> NumPy.

`parse` reads a text, `Formula` evaluates it; `problems` is what is checked before an item is stored; `evaluate_items`
computes several items of a house at once. docs/formulas.md says what a formula means.
"""

from sgmp_console.formula import identifiers
from sgmp_console.formula.catalogue import Catalogue, Problem, inlined, users_of_device, users_of_item
from sgmp_console.formula.errors import FormulaError
from sgmp_console.formula.events import event_series
from sgmp_console.formula.formula import Formula, parse
from sgmp_console.formula.identifiers import (
    AnalyticsIdentifier,
    DeviceIdentifier,
    EventIdentifier,
    Identifier,
)
from sgmp_console.formula.items import ItemValues, evaluate_items
from sgmp_console.formula.linear import LinearForm
from sgmp_console.formula.validation import (
    aggregation_refusal,
    energy_refusal,
    equal_items,
    misaligned,
    problems,
    unit,
)

__all__ = [
    "AnalyticsIdentifier",
    "Catalogue",
    "DeviceIdentifier",
    "EventIdentifier",
    "Formula",
    "FormulaError",
    "Identifier",
    "ItemValues",
    "LinearForm",
    "Problem",
    "aggregation_refusal",
    "energy_refusal",
    "equal_items",
    "evaluate_items",
    "event_series",
    "identifiers",
    "inlined",
    "misaligned",
    "parse",
    "problems",
    "unit",
    "users_of_device",
    "users_of_item",
]
