"""100,000 texts: nothing but FormulaError comes out, at a place inside the text; and no text is ever evaluated."""

import ast
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sgmp_console.formula
from sgmp_console.formula import FormulaError, parse, render
from sgmp_console.formula.grammar import MAX_LENGTH

PIECES: list[str] = [
    *"+-*/^(),.:;\"'[]{}<>=%&|!?#@$~`\\_ \t\n\r",
    *("1", "2.5", ".5", "1e", "1e-3", "1e999", "0x1f", "9" * 30, "1_0", "٣", "²", "½", "∞", "nan", "inf"),
    *(
        "pi",
        "e",
        "sin",
        "cos",
        "tan",
        "abs",
        "exp",
        "pos",
        "neg",
        "avg",
        "sin(",
        "avg(",
        ", 300000)",
        "::",
        "**",
    ),
    *(
        "a.x",
        "sonnen.status.Pac_total_W",
        'meter."Solar+"',
        'meter."',
        'a."b""c"',
        "events.::EV_START_CHARGING",
    ),
    *(
        "events.a:b::X:Y.f.g",
        "events.",
        "events.:",
        "analytics.battery",
        "analytics.",
        "a.1.b",
        "e.pi",
        "_edge.x",
    ),
    *(
        "__import__('os')",
        "lambda",
        "\x00",
        "\u00a0",
        "\u200b",
        "\ud800",
        "\U0001f50b",
        "−",
        "×",
        "“",
        "é",
        "名",
    ),
]
VALID = [
    "pos(sonnen.status.Pac_total_W/1000)",
    '-neg(egauge.A.GridPower) + avg(meter."Main House", 300000)*2^-1',
    "events.a:b::EV_END_CHARGING.energy/1e6 - analytics.battery",
    "abs(a.x)^(1/2)*exp(-a.y^2) - .5*pi",
]


def outcome(text: str) -> bool:
    """Whether the text is a formula. Fails the test if anything else happens than that or a FormulaError."""
    try:
        formula = parse(text)
    except FormulaError as error:
        fault = error
    else:
        again = render.text(formula.tree)
        assert len(again) > MAX_LENGTH or parse(again).identifiers == formula.identifiers
        return True
    assert 0 <= fault.position <= len(text), (text, fault.position)
    assert 0 <= fault.length <= len(text) - fault.position, (text, fault.length)
    assert fault.message == str(fault)
    assert fault.message.isprintable(), text
    return False


def random_text(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.55:
        return "".join(rng.choices(PIECES, k=rng.randint(0, 12)))
    if kind < 0.8:  # a formula with a piece put in, taken out or doubled
        text = rng.choice(VALID)
        first, last = sorted(rng.randint(0, len(text)) for _ in range(2))
        return text[:first] + rng.choice([rng.choice(PIECES), "", text[first:last] * 2]) + text[last:]
    if kind < 0.95:
        return "".join(
            chr(rng.choice([rng.randrange(32, 127), rng.randrange(0x110000)]))
            for _ in range(rng.randint(1, 20))
        )
    if kind < 0.995:  # much of the same
        return (rng.choice(PIECES) + rng.choice(PIECES)) * rng.randint(1, 300)
    return rng.choice(PIECES) * rng.choice([MAX_LENGTH, 20_000])


@pytest.mark.slow
def test_one_hundred_thousand_texts() -> None:
    rng = random.Random(1)
    accepted = sum(outcome(random_text(rng)) for _ in range(100_000))

    assert 1_000 < accepted < 50_000


@settings(max_examples=max(300, settings().max_examples), suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=20).map("".join)))
def test_any_text(text: str) -> None:
    outcome(text)


@pytest.mark.parametrize(
    "text", ["1" * 10**6, '"' * 10**6, "a." * 2_000, "(" * 4_000, ":" * 4_000, 'a."' + '""' * 1_900]
)
def test_huge_texts(text: str) -> None:
    assert not outcome(text)


def test_reading_and_evaluating_import_no_sympy() -> None:
    program = (
        "import sys; from sgmp_console.formula import parse, problems, evaluate_items\n"
        "formula = parse('pos(a.x) + avg(a.y, 300000)'); formula.exact_on_aggregates\n"
        "from sgmp_console.timeseries import Series\n"
        "formula.evaluate({'a.x': Series([0], [1]), 'a.y': Series([0], [1])}); problems(formula)\n"
        "sys.exit('sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


FORBIDDEN = {
    "eval",
    "exec",
    "compile",
    "sympify",
    "parse_expr",
    "lambdify",
    "literal_eval",
    "__import__",
    "import_module",
}


@pytest.mark.parametrize(
    "file", sorted(Path(sgmp_console.formula.__file__).parent.glob("*.py")), ids=lambda f: f.name
)
def test_no_code_of_the_language_gives_text_to_anything_that_evaluates_it(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    imported = {
        alias.name.split(".")[-1]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    called = {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, (ast.Name, ast.Attribute))
        and not (isinstance(node.func, ast.Attribute) and ast.unparse(node.func) == "re.compile")
    }

    assert not (imported | called) & FORBIDDEN
