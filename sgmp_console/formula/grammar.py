"""Formula text -> tree.

A precedence-climbing parser. From loose to tight: `+ -`, `* /`, unary `+ -`, `^`. `^` associates to the right and
takes a signed exponent (`2^-1`); a unary minus before a power negates the power (`-2^2` is -4). Chains are read in
loops and only nesting recurses, so MAX_DEPTH bounds the stack.
"""

from __future__ import annotations

import difflib
import math
from fractions import Fraction

from sgmp_console.formula.errors import FormulaError, shown
from sgmp_console.formula.tokens import Kind, Token, tokens
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
)

MAX_LENGTH = 4_000
"""Characters of a formula."""
MAX_DEPTH = 64
"""Parentheses, functions, signs and powers inside one another."""
MAX_OPERATIONS = 500
"""Operators and functions of a formula: each costs one pass over the data."""
MAX_EXPONENT = 1_000
MAX_PERIOD_MS = 366 * 86_400_000

FUNCTIONS = ("sin", "cos", "tan", "abs", "exp", "pos", "neg", "avg")
CONSTANTS = {"pi": math.pi, "e": math.e}

_SUM, _PRODUCT, _SIGN, _POWER = 1, 2, 3, 4
_STRENGTH = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "^": _POWER}


def read(text: str) -> Node:
    """The tree of a formula's text. Raises FormulaError; TypeError if `text` is no str."""
    if not isinstance(text, str):
        raise TypeError(f"a formula is a str, not {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"the formula has {len(text)} characters, the limit is {MAX_LENGTH}; split it into several items",
            MAX_LENGTH,
            len(text) - MAX_LENGTH,
        )
    return _Parser(tokens(text)).formula()


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._next = 0
        self._depth = 0
        self._operations = 0

    def formula(self) -> Node:
        if self._peek().kind is Kind.END:
            raise FormulaError(
                "the formula is empty; write for example egauge.A.Solar", 0, self._peek().position
            )
        tree = self._expression(_SUM)
        token = self._peek()
        if token.kind is Kind.END:
            return tree
        if token.text == ")":
            raise FormulaError("this closing parenthesis has no opening one", token.position, 1)
        if token.text == ",":
            raise FormulaError(
                "a comma only separates the two arguments of avg; decimals take a point: 1.5",
                token.position,
                1,
            )
        raise _missing_operator(token)

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _end(self) -> int:
        """Where the last token taken ends; a closing parenthesis belongs to what it closes."""
        return self._tokens[self._next - 1].end

    def _operation(self, token: Token) -> None:
        self._operations += 1
        if self._operations > MAX_OPERATIONS:
            raise FormulaError(
                f"the formula has more than {MAX_OPERATIONS} operations; split it into several items",
                token.position,
                len(token.text),
            )

    def _nested(self, strength: int, token: Token) -> Node:
        """An expression one level further inside, because of `token`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FormulaError(
                f"more than {MAX_DEPTH} levels inside one another; split the formula into several items",
                token.position,
                len(token.text),
            )
        inner = self._expression(strength)
        self._depth -= 1
        return inner

    def _expression(self, weakest: int) -> Node:
        """Operands joined by operators at least as strong as `weakest`."""
        start = self._peek().position
        left = self._operand()
        while True:
            token = self._peek()
            strength = _STRENGTH.get(token.text, 0) if token.kind is Kind.SYMBOL else 0
            if strength < weakest or strength == 0:
                return left
            self._take()
            self._operation(token)
            if token.text == "^":
                right = self._nested(_POWER, token)
                _check_exponent(right)
            else:
                right = self._expression(strength + 1)
            left = Operation(
                operator=token.text,
                operator_position=token.position,
                left=left,
                right=right,
                position=start,
                length=self._end() - start,
            )

    def _operand(self) -> Node:
        token = self._take()
        if token.kind is Kind.NUMBER:
            return Number(text=token.text, value=token.value, position=token.position, length=len(token.text))
        if token.kind is Kind.IDENTIFIER and token.identifier is not None:
            return Reference(
                text=token.text, identifier=token.identifier, position=token.position, length=len(token.text)
            )
        if token.kind is Kind.WORD:
            return self._word(token)
        if token.text in ("+", "-"):
            return self._signed(token)
        if token.text == "(":
            inner = self._nested(_SUM, token)
            self._close(token)
            return inner
        raise self._missing_operand(token)

    def _signed(self, token: Token) -> Node:
        self._operation(token)
        operand = self._nested(_SIGN, token)
        if token.text == "+":
            return operand
        return Negation(operand=operand, position=token.position, length=self._end() - token.position)

    def _word(self, token: Token) -> Node:
        word, follows = token.text, self._peek()
        if follows.text == "(":
            return self._call(token)
        if word in CONSTANTS:
            return Constant(name=word, value=CONSTANTS[word], position=token.position, length=len(word))
        if word in FUNCTIONS:
            example = "avg(x, 300000)" if word == "avg" else f"{word}(x)"
            raise FormulaError(
                f"`{word}` is a function and needs parentheses: {example}", token.position, len(word)
            )
        if word == "events":
            hint = "`events` is incomplete; write events.devices::types.field, for example events.::EV_START_CHARGING"
        elif word == "analytics":
            hint = "`analytics` is incomplete; write analytics.name, for example analytics.battery"
        else:
            near = difflib.get_close_matches(word, [*FUNCTIONS, *CONSTANTS], n=1, cutoff=0.75)
            hint = f"`{shown(word)}` alone means nothing; write device.field, for example {shown(word)}.power"
            if near:
                hint += f", or did you mean {near[0]}?"
        raise FormulaError(hint, token.position, len(word))

    def _call(self, token: Token) -> Node:
        name = token.text
        if name in CONSTANTS:
            raise FormulaError(
                f"`{name}` is a number; write {name}*(...)", token.position, self._peek().end - token.position
            )
        if name not in FUNCTIONS:
            near = difflib.get_close_matches(name.lower(), FUNCTIONS, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FUNCTIONS)}"
            raise FormulaError(f"no function `{shown(name)}`; {hint}", token.position, len(name))
        self._operation(token)
        opening = self._take()
        if self._peek().text == ")":
            closing = self._take()
            raise FormulaError(
                f"`{name}` needs {_arguments(name)}", token.position, closing.end - token.position
            )
        argument = self._nested(_SUM, opening)
        if name == "avg":
            return self._average(token, opening, argument)
        if self._peek().text == ",":
            comma = self._take()
            raise FormulaError(f"`{name}` takes {_arguments(name)}, not more", comma.position, 1)
        closing = self._close(opening)
        return Call(
            function=name,
            argument=argument,
            position=token.position,
            length=closing.end - token.position,
        )

    def _average(self, token: Token, opening: Token, data: Node) -> Node:
        if self._peek().text != ",":
            here = self._peek().position
            raise FormulaError(
                "`avg` needs a period in milliseconds after a comma: avg(x, 300000)",
                token.position,
                here - token.position,
            )
        comma = self._take()
        period = self._nested(_SUM, comma)
        if self._peek().text == ",":
            raise FormulaError(f"`avg` takes {_arguments('avg')}, not more", self._peek().position, 1)
        closing = self._close(opening)
        return Average(
            data=data,
            period_ms=_period(period),
            position=token.position,
            length=closing.end - token.position,
        )

    def _close(self, opening: Token) -> Token:
        token = self._peek()
        if token.text == ")":
            return self._take()
        if token.kind is Kind.END:
            raise FormulaError("this parenthesis is never closed", opening.position, 1)
        if token.text == ",":
            raise FormulaError(
                "a comma only separates the two arguments of avg; decimals take a point: 1.5",
                token.position,
                1,
            )
        raise _missing_operator(token)

    def _missing_operand(self, token: Token) -> FormulaError:
        before = self._tokens[self._next - 2] if self._next > 1 else None
        length = max(1, len(token.text)) if token.kind is not Kind.END else 0
        if before is None:
            return FormulaError(
                f"a formula can't begin with `{shown(token.text)}`; a value is missing",
                token.position,
                length,
            )
        if token.text == "*" and before.text == "*":
            return FormulaError(
                "a power is written with ^: x^2", before.position, token.end - before.position
            )
        if before.text == "(" and token.text == ")":
            return FormulaError("there is nothing between these parentheses", before.position, 2)
        where = (
            "at the end" if token.kind is Kind.END else f"between `{before.text}` and `{shown(token.text)}`"
        )
        return FormulaError(f"a value is missing {where}", token.position, length)


def _missing_operator(token: Token) -> FormulaError:
    return FormulaError(
        f"an operator (+ - * / ^) is missing before `{shown(token.text)}`", token.position, len(token.text)
    )


def _arguments(function: str) -> str:
    return "two arguments: avg(x, 300000)" if function == "avg" else f"one argument: {function}(x)"


def constant_value(root: Node) -> float | None:
    """The value of a tree without identifiers, infinite or NaN where it has none; None if it holds identifiers."""
    return fold(root, _constant)


def _constant(node: Node, arguments: tuple[float | None, ...]) -> float | None:
    match node:
        case Number(value=value) | Constant(value=value):
            return value
        case Reference():
            return None
    known = [argument for argument in arguments if argument is not None]
    if len(known) < len(arguments):
        return None
    match node:
        case Negation():
            return -known[0]
        case Average():
            return known[0]
        case Call(function=function):
            return _called(function, known[0])
        case Operation(operator=operator):
            return _operated(operator, known[0], known[1])
    raise AssertionError(f"no rule for {type(node).__name__}")


def _called(function: str, x: float) -> float:
    if not math.isfinite(x):
        return math.nan
    match function:
        case "sin":
            return math.sin(x)
        case "cos":
            return math.cos(x)
        case "tan":
            return math.tan(x)
        case "abs":
            return abs(x)
        case "pos":
            return max(x, 0.0)
        case "neg":
            return min(x, 0.0)
        case "exp":
            try:
                return math.exp(x)
            except OverflowError:
                return math.inf
    raise AssertionError(f"no function {function}")


def _operated(operator: str, x: float, y: float) -> float:
    if not (math.isfinite(x) and math.isfinite(y)):
        # What already has no value gets none back (0 * infinity, 1 / infinity); too large stays too large.
        return math.inf if operator == "^" and math.isinf(y) else math.nan
    match operator:
        case "+":
            return x + y
        case "-":
            return x - y
        case "*":
            return x * y
        case "/":
            return x / y if y else math.nan
        case "^":
            try:
                power = x**y
            except OverflowError:
                return math.inf
            except ZeroDivisionError:
                return math.nan
            return power if isinstance(power, float) else math.nan  # complex: a root of a negative number
    raise AssertionError(f"no operator {operator}")


def _check_exponent(exponent: Node) -> None:
    value = constant_value(exponent)
    if value is not None and not math.isnan(value) and abs(value) > MAX_EXPONENT:
        raise FormulaError(
            f"this exponent is too large; the limit is {MAX_EXPONENT}", exponent.position, exponent.length
        )


def _period(node: Node) -> int:
    value = constant_value(node)
    if value is None:
        raise FormulaError(
            "the period of avg must be a constant number of milliseconds: avg(x, 300000)",
            node.position,
            node.length,
        )
    if math.isfinite(value):
        whole = Fraction(round(value))
        # 0.1*3*10000 is 3000.0000000000005 in floating point and 3000 to its author.
        if 1 <= whole <= MAX_PERIOD_MS and abs(Fraction(value) - whole) <= whole / 10**9:
            return int(whole)
    raise FormulaError(
        "the period of avg is a whole number of milliseconds from 1 to 31622400000 (366 days); 5 minutes are 300000",
        node.position,
        node.length,
    )
