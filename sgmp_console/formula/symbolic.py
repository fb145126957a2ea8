"""Trees and SymPy expressions. Importing this module imports SymPy; only functions that need it do so.

The tree makes the expression; text never reaches SymPy. Everything given to SymPy is bounded first: it computes
powers of numbers when an expression is merely built, so `_Weighed.bits` bounds the longest number that can arise, and
what could grow beyond _MOST_BITS, or expand to too many terms, is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy
from sympy import Expr, Function

from sgmp_console.formula import identifiers
from sgmp_console.formula.render import added, rational, text, times
from sgmp_console.formula.tree import (
    Average,
    Call,
    Constant,
    Negation,
    Node,
    Number,
    Operation,
    Reference,
    fold,
    made,
    nodes,
)

_MOST_BITS = 2_000
_MOST_ROOT_BITS = 64
_MOST_OPERATIONS = 120
_MOST_CANCELLED_OPERATIONS = 60
_MOST_TERMS = 200


class TooLarge(Exception):  # noqa: N818 - a bound reached, no fault
    """The expression is left alone: SymPy could take long over it."""


class Untranslatable(Exception):  # noqa: N818
    """SymPy's result has no counterpart in the formula language."""


# --- The language's own functions -------------------------------------------------------------------------------
# Named as they are written in formulas; SymPy has no types to check a subclass against.


class pos(Function):  # type: ignore[misc]  # noqa: N801
    """max(x, 0)"""

    is_extended_real = True
    is_nonnegative = True

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:
        if x.is_nonnegative:
            return x
        if x.is_nonpositive:
            return sympy.S.Zero
        factor, rest = x.primitive()
        if rest.could_extract_minus_sign():
            return -factor * neg(-rest)
        return None if factor == 1 else factor * pos(rest)

    def _eval_rewrite_as_Abs(self, x: Expr, **hints: Any) -> Expr:  # noqa: N802 - called by SymPy by this name
        return (x + sympy.Abs(x)) / 2


class neg(Function):  # type: ignore[misc]  # noqa: N801
    """min(x, 0)"""

    is_extended_real = True
    is_nonpositive = True

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:
        if x.is_nonpositive:
            return x
        if x.is_nonnegative:
            return sympy.S.Zero
        factor, rest = x.primitive()
        if rest.could_extract_minus_sign():
            return -factor * pos(-rest)
        return None if factor == 1 else factor * neg(rest)

    def _eval_rewrite_as_Abs(self, x: Expr, **hints: Any) -> Expr:  # noqa: N802
        return (x - sympy.Abs(x)) / 2


class avg(Function):  # type: ignore[misc]  # noqa: N801
    """The mean over periods of a whole number of milliseconds: linear in the data."""

    is_extended_real = True

    @classmethod
    def eval(cls, x: Expr, period: Expr) -> Expr | None:
        if not x.free_symbols:
            return x
        factor, rest = x.primitive()
        if rest.could_extract_minus_sign():
            return -factor * avg(-rest, period)
        return None if factor == 1 else factor * avg(rest, period)


_FUNCTIONS = {
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "abs": sympy.Abs,
    "exp": sympy.exp,
    "pos": pos,
    "neg": neg,
}
_NAMES = {function: name for name, function in _FUNCTIONS.items()}
_INVERSES = {sympy.cot: "tan", sympy.sec: "cos", sympy.csc: "sin"}


# --- Tree -> SymPy ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Weighed:
    """`bits` bounds the length of any number in the expression, `terms` the terms it expands to, `degree` its power."""

    expression: Expr
    bits: int
    terms: int
    degree: int


@dataclass(frozen=True)
class Translated:
    """`small`: expanding and cancelling it is cheap."""

    expression: Expr
    references: dict[Expr, Reference]
    small: bool


def translate(root: Node) -> Translated:
    """The SymPy expression of a tree, with real symbols for its identifiers. Raises TooLarge."""
    operations = sum(1 for node in nodes(root) if node.children)
    if operations > _MOST_OPERATIONS:
        raise TooLarge
    references: dict[Expr, Reference] = {}

    def visit(node: Node, arguments: tuple[_Weighed, ...]) -> _Weighed:
        if isinstance(node, Reference):
            symbol = sympy.Symbol(identifiers.write(node.identifier), real=True)
            references.setdefault(symbol, node)
            return _Weighed(symbol, 1, 1, 1)
        weighed = _translated(node, arguments)
        if weighed.bits > _MOST_BITS:
            raise TooLarge
        if weighed.expression.has(sympy.nan, sympy.zoo, sympy.oo, sympy.S.NegativeInfinity, sympy.I):
            raise TooLarge
        return weighed

    whole = fold(root, visit)
    small = operations <= _MOST_CANCELLED_OPERATIONS and whole.terms <= _MOST_TERMS and whole.degree <= 12
    return Translated(whole.expression, references, small)


def _translated(node: Node, arguments: tuple[_Weighed, ...]) -> _Weighed:
    match node:
        case Number():
            exact = node.exact
            if max(exact.numerator.bit_length(), exact.denominator.bit_length()) > _MOST_BITS:
                raise TooLarge
            number = sympy.Rational(exact.numerator, exact.denominator)
            return _Weighed(
                number, max(exact.numerator.bit_length(), exact.denominator.bit_length(), 1), 1, 0
            )
        case Constant(name=name):
            return _Weighed(sympy.pi if name == "pi" else sympy.E, 1, 1, 1)
        case Negation():
            (x,) = arguments
            return _Weighed(-x.expression, x.bits, x.terms, x.degree)
        case Call(function=function):
            (x,) = arguments
            return _Weighed(_FUNCTIONS[function](x.expression), x.bits, 2, max(1, x.degree))
        case Average(period_ms=period):
            (x,) = arguments
            return _Weighed(avg(x.expression, sympy.Integer(period)), x.bits, 1, max(1, x.degree))
        case Operation(operator="^"):
            return _power(*arguments)
        case Operation(operator=operator):
            return _operation(operator, *arguments)
    raise AssertionError(f"no rule for {type(node).__name__}")


def _operation(operator: str, x: _Weighed, y: _Weighed) -> _Weighed:
    bits = x.bits + y.bits
    match operator:
        case "+":
            return _Weighed(x.expression + y.expression, bits + 1, x.terms + y.terms, max(x.degree, y.degree))
        case "-":
            return _Weighed(x.expression - y.expression, bits + 1, x.terms + y.terms, max(x.degree, y.degree))
        case "*":
            return _Weighed(x.expression * y.expression, bits, x.terms * y.terms, x.degree + y.degree)
        case "/":
            return _Weighed(x.expression / y.expression, bits, x.terms * y.terms, x.degree + y.degree)
    raise AssertionError(f"no operator {operator}")


def _power(x: _Weighed, y: _Weighed) -> _Weighed:
    if not y.expression.is_Rational:
        return _Weighed(x.expression**y.expression, x.bits * max(1, y.bits), 2, 1 + x.degree + y.degree)
    exponent = abs(Fraction(int(y.expression.p), int(y.expression.q)))
    whole = -(-exponent.numerator // exponent.denominator)
    bits = x.bits * max(1, whole) + y.bits
    if bits > _MOST_BITS or (exponent.denominator > 1 and x.bits > _MOST_ROOT_BITS):
        raise TooLarge
    terms = min(x.terms ** min(whole, 12), 10**6) if x.terms > 1 else 1
    return _Weighed(x.expression**y.expression, bits, terms, max(1, x.degree) * max(1, whole))


# --- SymPy -> tree ----------------------------------------------------------------------------------------------


def tree_of(expression: Expr, references: dict[Expr, Reference]) -> Node:
    """The formula of an expression. Raises Untranslatable."""

    def of(e: Expr) -> Node:
        if e.is_Rational:
            return rational(Fraction(int(e.p), int(e.q)))
        if e in references:
            return references[e]
        if e is sympy.pi or e is sympy.E:
            return _constant("pi" if e is sympy.pi else "e")
        if e.is_Add:
            ordered = e.as_ordered_terms()
            return added([of(term) for term in sorted(ordered, key=lambda term: term.is_number)])
        if e.is_Mul:
            return product(e)
        if isinstance(e, sympy.exp):
            return made(Call, function="exp", argument=of(e.args[0]))
        if e.is_Pow:
            return power(e.base, e.exp)
        if isinstance(e, avg):
            return made(Average, data=of(e.args[0]), period_ms=int(e.args[1]))
        if e.func in _NAMES:
            return made(Call, function=_NAMES[e.func], argument=of(e.args[0]))
        if e.func in _INVERSES:
            return _operated(
                "/", rational(Fraction(1)), made(Call, function=_INVERSES[e.func], argument=of(e.args[0]))
            )
        raise Untranslatable(str(e.func))

    def power(base: Expr, exponent: Expr) -> Node:
        if exponent.is_Rational and exponent < 0:
            return _operated("/", rational(Fraction(1)), power(base, -exponent))
        return of(base) if exponent == 1 else _operated("^", of(base), of(exponent))

    def product(e: Expr) -> Node:
        coefficient, rest = e.as_coeff_Mul()
        above: list[Node] = []
        below: list[Node] = []
        for factor in rest.as_ordered_factors():
            base, exponent = factor.as_base_exp()
            if base is sympy.E:
                above.append(of(factor))
            elif exponent.is_Rational and exponent < 0:
                below.append(power(base, -exponent))
            else:
                above.append(power(base, exponent))
        if not coefficient.is_Rational:
            raise Untranslatable("a product with a number that is no fraction")
        factor = Fraction(int(coefficient.p), int(coefficient.q))
        if not below:
            return times(factor, _chain("*", above))
        if not above:
            sign, factor = (-1 if factor < 0 else 1), abs(factor)
            quotient = _operated("/", rational(factor), _chain("*", below))
            return quotient if sign > 0 else made(Negation, operand=quotient)
        return times(factor, _operated("/", _chain("*", above), _chain("*", below)))

    return of(expression)


def _constant(name: str) -> Node:
    return made(Constant, name=name, value=float(sympy.pi if name == "pi" else sympy.E))


def _operated(operator: str, left: Node, right: Node) -> Node:
    return made(Operation, operator=operator, operator_position=0, left=left, right=right)


def _chain(operator: str, parts: list[Node]) -> Node:
    total = parts[0]
    for part in parts[1:]:
        total = _operated(operator, total, part)
    return total


# --- What the rest of the package asks --------------------------------------------------------------------------


def simplest(root: Node) -> Node:
    """The tree with the fewest operations that SymPy finds; the same tree if none has fewer."""
    try:
        translated = translate(root)
    except TooLarge:
        return root
    candidates = [translated.expression]
    if translated.small:
        candidates.append(sympy.cancel(translated.expression))
        candidates.append(sympy.expand_mul(translated.expression))
        if translated.expression.has(sympy.sin, sympy.cos, sympy.tan):
            candidates.append(sympy.trigsimp(translated.expression))
    best, least = root, _effort(root)
    for candidate in candidates:
        try:
            tree = tree_of(candidate, translated.references)
        except Untranslatable:
            continue
        if _effort(tree) < least:
            best, least = tree, _effort(tree)
    return best


def is_zero(root: Node) -> bool:
    """Whether a tree is proven to be zero wherever it has a value."""
    try:
        translated = translate(root)
    except TooLarge:
        return False
    expression = translated.expression.rewrite(sympy.Abs)
    if not translated.small:
        return bool(expression == 0)
    if sympy.expand(expression, power_exp=False, power_base=False) == 0 or sympy.cancel(expression) == 0:
        return True
    return bool(expression.has(sympy.sin, sympy.cos, sympy.tan) and sympy.trigsimp(expression) == 0)


def _effort(root: Node) -> tuple[int, int]:
    return sum(1 for node in nodes(root) if node.children), len(text(root))
