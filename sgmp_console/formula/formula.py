"""A formula, read and ready to evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from sgmp_console.formula.evaluation import evaluate, reaches
from sgmp_console.formula.grammar import read
from sgmp_console.formula.identifiers import DeviceIdentifier
from sgmp_console.formula.linear import LinearForm, linear_form, slotwise, slotwise_unsure, slotwise_values
from sgmp_console.formula.tree import Node, Reference, references
from sgmp_console.timeseries.aggregates import SlotAggregates
from sgmp_console.timeseries.series import Series
from sgmp_console.timeseries.slots import SlotMeans, slot_means


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

    def reaches(self, start_ms: int, end_ms: int) -> list[tuple[Reference, int, int]]:
        """For every mention the range of its readings on which values in [start_ms, end_ms) depend.

        Wider than the range itself inside an `avg`, which needs the whole of each of its periods.
        """
        return reaches(self.tree, start_ms, end_ms)

    def reach(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """The range of all readings on which values in [start_ms, end_ms) depend."""
        each = self.reaches(start_ms, end_ms)
        return min([start_ms, *(start for _, start, _ in each)]), max([end_ms, *(end for _, _, end in each)])

    @cached_property
    def linear(self) -> LinearForm | None:
        """The formula as a constant plus multiples of each series and of its positive and negative part, if it is."""
        return linear_form(self.tree)

    @cached_property
    def exact_on_aggregates(self) -> bool:
        """Whether slot means computed from continuous aggregates are those of the raw values.

        True for a linear form and for formulas of slot means, such as avg(x, 300000)*avg(y, 300000). It is a property
        of the formula in its series: with several of them `slot_means` says in which slots it holds. False where
        other items are mentioned (ask the formula with these written out, `inlined`) or events, which have none.
        """
        if not all(isinstance(reference.identifier, DeviceIdentifier) for reference in self.references):
            return False
        return self.linear is not None or slotwise(self.tree)

    def slot_means(
        self, aggregates: Mapping[str, SlotAggregates], start_ms: int, end_ms: int
    ) -> tuple[SlotMeans, NDArray[np.int64]]:
        """The formula's slots in [start_ms, end_ms), a range of whole slots, from continuous aggregates.

        `aggregates` by identifier as written, over `reach(start_ms, end_ms)`. The second result holds the starts of
        slots that can't be vouched for, since the timestamps of their series differ or a value is beyond
        READING_LIMIT: read those raw. Raises ValueError unless `exact_on_aggregates`.
        """
        if not self.exact_on_aggregates:
            raise ValueError(f"{self!r} is not exact on aggregates")
        if self.linear is not None:
            return self.linear.slot_means(aggregates, start_ms, end_ms)
        means = slot_means(slotwise_values(self.tree, aggregates), start_ms, end_ms)
        unsure = slotwise_unsure(self.tree, aggregates, start_ms, end_ms)
        sure = np.isin(means.starts, unsure, assume_unique=True, invert=True)
        return SlotMeans(means.start_ms, means.end_ms, means.starts[sure], means.means[sure]), unsure

    def evaluate(self, series: Mapping[str, Series]) -> Series:
        """The formula's values, given the series of each identifier as written.

        An identifier without data must be given as an empty series; raises KeyError for one that is not given.
        Empty if the formula is a constant.
        """
        return evaluate(self.tree, lambda reference: series[reference.text])


def parse(text: str) -> Formula:
    """Read a formula. Raises FormulaError with message, position and length.

    Checks what the text alone can tell: syntax, functions and their arguments, size. Takes well under a millisecond
    and imports no SymPy.
    """
    return _parse(text)


@lru_cache(maxsize=1024)
def _parse(text: str) -> Formula:
    return Formula(text, read(text))
