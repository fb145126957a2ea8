"""The formula language: grammar -> tree -> SymPy analysis -> NumPy.

`parse` reads a text, `Formula` evaluates it, `written` and `simplified` show it; `problems` is what is checked before an
item is stored; `evaluate_items` computes several items of a house at once, `ItemGraph` and `TailValues` keep them up to
date. docs/formulas.md says what a formula means. Others import from here; `formula.tree` and `formula.check` are for who
draws formulas and for the command.
"""

from sgmp_console.formula import identifiers
from sgmp_console.formula.catalogue import (
    Catalogue,
    Problem,
    inlined,
    items_in,
    users_of_device,
    users_of_item,
)
from sgmp_console.formula.errors import FormulaError
from sgmp_console.formula.events import event_series
from sgmp_console.formula.formula import Formula, parse
from sgmp_console.formula.grammar import CONSTANTS, FUNCTIONS
from sgmp_console.formula.identifiers import (
    AnalyticsIdentifier,
    DeviceIdentifier,
    EventIdentifier,
    Identifier,
)
from sgmp_console.formula.items import (
    ItemGraph,
    ItemValues,
    SourceIdentifier,
    TailValues,
    evaluate_items,
    unreadable,
)
from sgmp_console.formula.linear import LinearForm
from sgmp_console.formula.render import text as written
from sgmp_console.formula.simplify import simplified
from sgmp_console.formula.validation import (
    Misaligned,
    aggregation_refusal,
    energy_refusal,
    equal_items,
    misaligned,
    problems,
    unit,
)

__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "AnalyticsIdentifier",
    "Catalogue",
    "DeviceIdentifier",
    "EventIdentifier",
    "Formula",
    "FormulaError",
    "Identifier",
    "ItemGraph",
    "ItemValues",
    "LinearForm",
    "Misaligned",
    "Problem",
    "SourceIdentifier",
    "TailValues",
    "aggregation_refusal",
    "energy_refusal",
    "equal_items",
    "evaluate_items",
    "event_series",
    "identifiers",
    "inlined",
    "items_in",
    "misaligned",
    "parse",
    "problems",
    "simplified",
    "unit",
    "unreadable",
    "users_of_device",
    "users_of_item",
    "written",
]
