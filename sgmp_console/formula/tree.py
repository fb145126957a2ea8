"""The tree of a formula: frozen nodes that know their place in the text.

Nodes compare by identity. A long sum is a deep tree (`a + b + c` leans to the left), so nothing here or in the passes
over the tree recurses along it: write a pass as the function that `fold` applies to each node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from sgmp_console.formula.identifiers import Identifier

T = TypeVar("T")
N = TypeVar("N", bound="Node")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Node:
    """`position` and `length`: the part of the text this node was read from, in characters."""

    position: int
    length: int

    @property
    def end(self) -> int:
        return self.position + self.length

    @property
    def children(self) -> tuple[Node, ...]:
        return ()


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Number(Node):
    """A literal, as written; `value` is its nearest float, always finite."""

    text: str
    value: float

    @property
    def exact(self) -> Fraction:
        """The decimal number that was written. A literal's exponent is bounded by its float being finite."""
        return Fraction(Decimal(self.text)) if self.value else Fraction(0)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Constant(Node):
    """`pi` or `e`."""

    name: str
    value: float


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Reference(Node):
    """An identifier. `text` is it as written, by which its series is looked up."""

    text: str
    identifier: Identifier


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Negation(Node):
    operand: Node

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.operand,)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Operation(Node):
    """`operator` is one of `+ - * / ^`, standing at `operator_position`."""

    operator: str
    operator_position: int
    left: Node
    right: Node

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Call(Node):
    """A function of one argument."""

    function: str
    argument: Node

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.argument,)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Average(Node):
    """`avg(data, period)`. The period was a constant and is no child any more; `period_ms` is its value."""

    data: Node
    period_ms: int

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.data,)


def nodes(root: Node, *, into_averages: bool = True) -> Iterator[Node]:
    """All nodes of a tree in reading order of their operands, each after its children.

    Without `into_averages` an Average is a leaf: what is inside lives on timestamps of its own.
    """
    pending: list[tuple[Node, bool]] = [(root, False)]
    while pending:
        node, children_done = pending.pop()
        if children_done or not node.children or (isinstance(node, Average) and not into_averages):
            yield node
            continue
        pending.append((node, True))
        pending.extend((child, False) for child in reversed(node.children))


def fold(root: Node, visit: Callable[[Node, tuple[T, ...]], T], *, into_averages: bool = True) -> T:
    """`visit(node, results of its children)` for every node, bottom up; the root's result."""
    results: list[T] = []
    for node in nodes(root, into_averages=into_averages):
        count = 0 if isinstance(node, Average) and not into_averages else len(node.children)
        arguments = tuple(results[len(results) - count :]) if count else ()
        if count:
            del results[len(results) - count :]
        results.append(visit(node, arguments))
    return results[0]


def references(root: Node) -> tuple[Reference, ...]:
    """All mentions of identifiers, in reading order."""
    return tuple(node for node in nodes(root) if isinstance(node, Reference))


def made(kind: type[N], **content: Any) -> N:
    """A node that was computed, not read: it has no place in a text."""
    return kind(position=0, length=0, **content)


def rebuilt(node: Node, children: tuple[Node, ...]) -> Node:
    """The node over other children, at its place; the same node if they are the same."""
    if all(new is old for new, old in zip(children, node.children, strict=True)):
        return node
    match node:
        case Negation():
            return replace(node, operand=children[0])
        case Operation():
            return replace(node, left=children[0], right=children[1])
        case Call():
            return replace(node, argument=children[0])
        case Average():
            return replace(node, data=children[0])
    raise AssertionError(f"{type(node).__name__} has no children")
