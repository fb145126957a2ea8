"""A formula, read and ready to evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache

from sgmp_console.formula.evaluation import evaluate
from sgmp_console.formula.grammar import read
from sgmp_console.formula.tree import Node, Reference, references
from sgmp_console.timeseries.series import Series


class Formula:
    """What `parse` gives: immutable, free of any house. Two formulas are equal when their texts are."""

    def __init__(self, text: str, tree: Node) -> None:
        self.text = text
        self.tree = tree

    def __repr__(self) -> str:
        return f"Formula({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Formula) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """Every mention of an identifier, with its place."""
        return references(self.tree)

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """The identifiers as written."""
        return frozenset(reference.text for reference in self.references)

    def evaluate(self, series: Mapping[str, Series]) -> Series:
        """The formula's values, given the series of each identifier as written.

        An identifier without data must be given as an empty series; raises KeyError for one that is not given.
        Empty if the formula is a constant.
        """
        return evaluate(self.tree, lambda reference: series[reference.text])


@lru_cache(maxsize=1024)
def parse(text: str) -> Formula:
    """Read a formula. Raises FormulaError with message, position and length.

    Checks what the text alone can tell: syntax, functions and their arguments, size. Takes well under a millisecond
    and imports no SymPy.
    """
    return Formula(text, read(text))
