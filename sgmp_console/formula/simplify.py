"""A shorter formula with the same values.

Formulas with a linear form are put together from it, in rational arithmetic. SymPy does the others, and is imported
then. What cancels out is gone from the simplified text (`x/x` becomes 1), so the original may lack values the
simplified form has: it explains a formula, it never replaces what the operator wrote.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from sgmp_console.formula.linear import LinearForm, Term, linear_form
from sgmp_console.formula.render import added, rational, times
from sgmp_console.formula.tree import Call, Node, Reference, made, nodes


@lru_cache(maxsize=256)
def simplified(root: Node) -> Node:
    """The simplest tree found; the same tree if none is simpler. Bounded in time by the size of the formula."""
    form = linear_form(root)
    if form is not None and form.rational:
        return _from_form(form, {node.text: node for node in nodes(root) if isinstance(node, Reference)})
    from sgmp_console.formula.symbolic import simplest  # SymPy takes 0.3 s and 48 MB

    return simplest(root)


def _from_form(form: LinearForm, references: dict[str, Reference]) -> Node:
    parts = [part for name, term in form.terms.items() for part in _term(term, references[name])]
    if form.constant or not parts:
        parts.append(rational(form.constant))
    return added(parts)


def _term(term: Term, x: Reference) -> list[Node]:
    if term.positive == term.negative:
        return [times(term.positive, x)] if term.positive else []
    if term.positive == -term.negative:
        return [times(term.positive, made(Call, function="abs", argument=x))]
    sides: list[tuple[str, Fraction]] = [("pos", term.positive), ("neg", term.negative)]
    return [times(factor, made(Call, function=side, argument=x)) for side, factor in sides if factor]
