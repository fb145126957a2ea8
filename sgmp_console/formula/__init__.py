"""The formula language: grammar -> tree -> SymPy analysis -> NumPy."""

from sgmp_console.formula import identifiers
from sgmp_console.formula.errors import FormulaError
from sgmp_console.formula.formula import Formula, parse
from sgmp_console.formula.identifiers import (
    AnalyticsIdentifier,
    DeviceIdentifier,
    EventIdentifier,
    Identifier,
)

__all__ = [
    "AnalyticsIdentifier",
    "DeviceIdentifier",
    "EventIdentifier",
    "Formula",
    "FormulaError",
    "Identifier",
    "identifiers",
    "parse",
]
