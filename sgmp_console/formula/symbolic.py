"""Trees and SymPy expressions. Importing this module imports SymPy; only functions that need it do so.

The tree makes the expression; text never reaches SymPy. Everything given to SymPy is bounded first: it computes
powers of numbers when an expression is merely built, so `_Bounded.bits` bounds the longest number that can arise, and
what could grow beyond _MAX_BITS, or expand to too many terms, is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import sympy
from sympy import Expr, Function

from sgmp_console.formula import identifiers
from sgmp_console.formula.grammar import constant_value
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

_MAX_BITS = 2_000
_MAX_ROOT_BITS = 64
_MAX_OPERATIONS = 120
_MAX_TERMS = 40
_MAX_DEGREE = 8
_MAX_SYMBOLS = 5
_MAX_CONSTANT = 1e12
_UNBOUNDED = 10**9


class OutOfBounds(Exception):
    """The expression is left alone: SymPy could take long over it."""


class Untranslatable(Exception):
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

    def _eval_rewrite_as_magnitude(self, x: Expr, **hints: Any) -> Expr:
        return (x + magnitude(x)) / 2


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

    def _eval_rewrite_as_magnitude(self, x: Expr, **hints: Any) -> Expr:
        return (x - magnitude(x)) / 2


class magnitude(Function):  # type: ignore[misc]  # noqa: N801
    """abs(x) of a real x. SymPy's own Abs looks for complex parts: nested 60 times that takes it a quarter of a minute."""

    is_extended_real = True
    is_nonnegative = True

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:
        if x.is_nonnegative:
            return x
        if x.is_nonpositive:
            return -x
        if x.is_Mul:
            return sympy.Mul(*map(magnitude, x.args))
        factor, rest = x.primitive()
        if rest.could_extract_minus_sign():
            rest = -rest
        return None if rest == x else factor * magnitude(rest)

    def _eval_power(self, exponent: Expr) -> Expr | None:
        return self.args[0] ** exponent if exponent.is_Integer and exponent.is_even else None


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
    "abs": magnitude,
    "exp": sympy.exp,
    "pos": pos,
    "neg": neg,
}
_NAMES = {function: name for name, function in _FUNCTIONS.items()}
_INVERSES = {sympy.cot: "tan", sympy.sec: "cos", sympy.csc: "sin"}


# --- Tree -> SymPy ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bounded:
    """An expression under way, and bounds of what it can grow to.

    `bits`: of any number in it. As a quotient of polynomials it has at most `numerator_terms` over
    `denominator_terms`, to a power of at most `degree`.
    """

    expression: Expr
    bits: int
    numerator_terms: int = 1
    denominator_terms: int = 1
    degree: int = 1


@dataclass(frozen=True)
class Translated:
    """`small`: multiplying it out and cancelling it is cheap."""

    expression: Expr
    references: dict[Expr, Reference]
    small: bool


def translate(root: Node) -> Translated:
    """The SymPy expression of a tree, with real symbols for its identifiers. Raises OutOfBounds."""
    if sum(1 for node in nodes(root) if node.children) > _MAX_OPERATIONS:
        raise OutOfBounds
    references: dict[Expr, Reference] = {}

    def visit(node: Node, arguments: tuple[_Bounded, ...]) -> _Bounded:
        if isinstance(node, Reference):
            symbol = sympy.Symbol(identifiers.write(node.identifier), real=True)
            references.setdefault(symbol, node)
            return _Bounded(symbol, 1)
        bounded = _translated(node, arguments)
        if bounded.bits > _MAX_BITS:
            raise OutOfBounds
        if node.children and not bounded.expression.free_symbols:
            # SymPy compares numbers by working them out to as many digits as it takes: exp(exp(40)) takes forever.
            value = constant_value(node)
            if value is not None and not abs(value) <= _MAX_CONSTANT:
                raise OutOfBounds
        if bounded.expression.has(sympy.nan, sympy.zoo, sympy.oo, sympy.S.NegativeInfinity, sympy.I):
            raise OutOfBounds
        return bounded

    whole = fold(root, visit)
    small = (
        whole.numerator_terms <= _MAX_TERMS
        and whole.denominator_terms <= _MAX_TERMS
        and whole.degree <= _MAX_DEGREE
    )
    return Translated(whole.expression, references, small)


def _translated(node: Node, arguments: tuple[_Bounded, ...]) -> _Bounded:
    match node:
        case Number():
            exact = node.exact
            bits = max(exact.numerator.bit_length(), exact.denominator.bit_length(), 1)
            if bits > _MAX_BITS:
                raise OutOfBounds
            return _Bounded(sympy.Rational(exact.numerator, exact.denominator), bits, degree=0)
        case Constant(name=name):
            return _Bounded(sympy.pi if name == "pi" else sympy.E, 1)
        case Negation():
            return replace(arguments[0], expression=-arguments[0].expression)
        case Call(function=function):
            # pos and neg stand for two terms, and a function for one that is not looked into.
            return _Bounded(
                _FUNCTIONS[function](arguments[0].expression), arguments[0].bits, numerator_terms=2
            )
        case Average(period_ms=period):
            return _Bounded(avg(arguments[0].expression, sympy.Integer(period)), arguments[0].bits)
        case Operation(operator="^"):
            return _power(*arguments)
        case Operation(operator=operator):
            return _operation(operator, *arguments)
    raise AssertionError(f"no rule for {type(node).__name__}")


def _operation(operator: str, x: _Bounded, y: _Bounded) -> _Bounded:
    bits, degree = x.bits + y.bits, x.degree + y.degree
    if operator in "+-":
        total = x.expression + y.expression if operator == "+" else x.expression - y.expression
        numerator_terms = min(
            x.numerator_terms * y.denominator_terms + y.numerator_terms * x.denominator_terms, _UNBOUNDED
        )
        if x.denominator_terms == y.denominator_terms == 1:
            degree = max(x.degree, y.degree)
        return _Bounded(
            total,
            bits + 1,
            numerator_terms,
            min(x.denominator_terms * y.denominator_terms, _UNBOUNDED),
            degree,
        )
    if operator == "*":
        numerator_terms, denominator_terms = (
            x.numerator_terms * y.numerator_terms,
            x.denominator_terms * y.denominator_terms,
        )
        return _Bounded(
            x.expression * y.expression,
            bits,
            min(numerator_terms, _UNBOUNDED),
            min(denominator_terms, _UNBOUNDED),
            degree,
        )
    numerator_terms, denominator_terms = (
        x.numerator_terms * y.denominator_terms,
        x.denominator_terms * y.numerator_terms,
    )
    # A divisor of one term makes a common denominator necessary, too.
    denominator_terms = max(denominator_terms, 2) if y.degree else denominator_terms
    return _Bounded(
        x.expression / y.expression,
        bits,
        min(numerator_terms, _UNBOUNDED),
        min(denominator_terms, _UNBOUNDED),
        degree,
    )


def _power(x: _Bounded, y: _Bounded) -> _Bounded:
    if not y.expression.is_Rational:
        return _Bounded(x.expression**y.expression, x.bits * max(1, y.bits))
    exponent = abs(Fraction(int(y.expression.p), int(y.expression.q)))
    whole = -(-exponent.numerator // exponent.denominator)
    bits = x.bits * max(1, whole) + y.bits
    if bits > _MAX_BITS or (exponent.denominator > 1 and x.bits > _MAX_ROOT_BITS):
        raise OutOfBounds
    power = x.expression**y.expression
    if exponent.denominator > 1:
        return _Bounded(power, bits)
    grown = min(whole, 12)
    numerator_terms, denominator_terms = (
        min(x.numerator_terms**grown, _UNBOUNDED),
        min(x.denominator_terms**grown, _UNBOUNDED),
    )
    if y.expression < 0:
        numerator_terms, denominator_terms = denominator_terms, max(numerator_terms, 2)
    return _Bounded(power, bits, numerator_terms, denominator_terms, x.degree * whole)


# --- SymPy -> tree ----------------------------------------------------------------------------------------------


def tree_of(expression: Expr, references: dict[Expr, Reference]) -> Node:
    """The formula of an expression. Raises Untranslatable."""

    def of(e: Expr) -> Node:
        if e.is_Rational:
            return rational(_fraction(e))
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
        numerator: list[Node] = []
        denominator: list[Node] = []
        for factor in rest.as_ordered_factors():
            base, exponent = factor.as_base_exp()
            if base is sympy.E:
                numerator.append(of(factor))
            elif exponent.is_Rational and exponent < 0:
                denominator.append(power(base, -exponent))
            else:
                numerator.append(power(base, exponent))
        if not coefficient.is_Rational:
            raise Untranslatable("a product with a number that is no fraction")
        factor = _fraction(coefficient)
        if not denominator:
            return times(factor, _chain("*", numerator))
        if not numerator:
            sign, factor = (-1 if factor < 0 else 1), abs(factor)
            quotient = _operated("/", rational(factor), _chain("*", denominator))
            return quotient if sign > 0 else made(Negation, operand=quotient)
        return times(factor, _operated("/", _chain("*", numerator), _chain("*", denominator)))

    return of(expression)


def _fraction(e: Expr) -> Fraction:
    if max(int(e.p).bit_length(), int(e.q).bit_length()) > 1_000:
        raise Untranslatable("a number that is no float")
    return Fraction(int(e.p), int(e.q))


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
    except OutOfBounds:
        return root
    candidates = [translated.expression]
    if translated.small:
        candidates += _rearranged(translated.expression)
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
    except OutOfBounds:
        return False
    expression = translated.expression.rewrite(magnitude)
    if not translated.small:
        return bool(expression == 0)
    return any(form == 0 for form in _rearranged(expression))


def _rearranged(expression: Expr) -> list[Expr]:
    """The expression multiplied out, cancelled, and with cos^2 written as 1 - sin^2.

    Only sums, products and whole powers are touched: all else stands in as a symbol of its own, which keeps SymPy's
    algorithms on polynomials of bounded size.
    """
    placeholders: dict[Expr, Expr] = {}

    def masked(e: Expr) -> Expr:
        if e.is_Symbol or e.is_Rational:
            return e
        if e.is_Add or e.is_Mul:
            return e.func(*map(masked, e.args))
        if e.is_Pow and e.exp.is_Integer and abs(e.exp) <= _MAX_DEGREE:
            return masked(e.base) ** e.exp
        if isinstance(e, sympy.tan):
            return masked(sympy.sin(e.args[0])) / masked(sympy.cos(e.args[0]))
        return placeholders.setdefault(e, sympy.Dummy(real=True))

    polynomial = masked(expression)
    if len(polynomial.free_symbols) > _MAX_SYMBOLS:
        return []
    back = {dummy: original for original, dummy in placeholders.items()}
    cancelled = sympy.cancel(polynomial)
    forms = [sympy.expand(polynomial), cancelled]
    for original, cosine in placeholders.items():
        sine = placeholders.get(sympy.sin(original.args[0])) if isinstance(original, sympy.cos) else None
        if sine is not None:
            numerator, denominator = (
                _without_squares(part, cosine, sine) for part in sympy.fraction(cancelled)
            )
            cancelled = sympy.cancel(numerator / denominator) if denominator != 0 else cancelled
            forms.append(cancelled)
    return [form.xreplace(back) for form in forms]


def _without_squares(polynomial: Expr, cosine: Expr, sine: Expr) -> Expr:
    """The polynomial with every cosine squared as 1 - sine squared."""
    return sympy.rem(polynomial, cosine**2 - 1 + sine**2, cosine)


def _effort(root: Node) -> tuple[int, int]:
    return sum(1 for node in nodes(root) if node.children), len(text(root))
