"""How formulas are read, and what is said where they can't be."""

import math

import pytest

from sgmp_console.formula import FormulaError, parse, render
from sgmp_console.formula.grammar import MAX_DEPTH, MAX_LENGTH, constant_value
from sgmp_console.formula.tree import Reference


def value(text: str) -> float:
    """The value of a formula without identifiers."""
    result = constant_value(parse(text).tree)
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        (".5", 0.5),
        ("1.", 1),
        ("1e-3", 0.001),
        ("1E+3", 1000),
        ("1e-5", 0.00001),
        ("pi", math.pi),
        ("e", math.e),
        ("2*e", 2 * math.e),
        ("1 + 2*3", 7),
        ("(1 + 2)*3", 9),
        ("8 - 4 - 2", 2),
        ("8/4/2", 1),
        ("2^3^2", 512),
        ("-2^2", -4),
        ("(-2)^2", 4),
        ("2^-1", 0.5),
        ("2^-2^2", 1 / 16),
        ("2^-1*4", 2),
        ("-2*-3", 6),
        ("--2", 2),
        ("+-+2", -2),
        ("2--2", 4),
        ("abs(-3) + pos(-3) + neg(-3)", 0),
        ("sin (pi/2)", 1),
        ("\t1\r\n+ 1 ", 2),
        ("avg(5, 1000)", 5),
    ],
)
def test_numbers_operators_and_functions(text: str, expected: float) -> None:
    assert value(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "identifiers"),
    [
        ("sonnen.status.Pac_total_W/1000", {"sonnen.status.Pac_total_W"}),
        ("meter.A.1 + meter.2nd", {"meter.A.1", "meter.2nd"}),
        ('meter."Solar+" - meter."Main House"', {'meter."Solar+"', 'meter."Main House"'}),
        ('meter."a ""b"" c".x', {'meter."a ""b"" c".x'}),
        ("e.field + e", {"e.field"}),
        ("pi.sin*sin.pi", {"pi.sin", "sin.pi"}),
        ("meter.1e-3", {"meter.1e"}),
        ("-neg(meter.x)", {"meter.x"}),
        ("events.::EV_START_CHARGING", {"events.::EV_START_CHARGING"}),
        ("events.::", {"events.::"}),
        ("events.::.duration", {"events.::.duration"}),
        ("events.a:b::X:Y.field.nested", {"events.a:b::X:Y.field.nested"}),
        ("events._edge::EDGE_STATUS.backlog", {"events._edge::EDGE_STATUS.backlog"}),
        ("analytics.battery + analytics.events", {"analytics.battery", "analytics.events"}),
        ("a.x + a.x + avg(a.x, 1000)", {"a.x"}),
    ],
)
def test_identifiers_are_kept_as_written(text: str, identifiers: set[str]) -> None:
    assert parse(text).identifiers == identifiers


def test_every_mention_has_its_place() -> None:
    formula = parse('a.x + avg(meter."Solar+", 60000)*a.x')

    assert [formula.text[r.position : r.end] for r in formula.references] == ["a.x", 'meter."Solar+"', "a.x"]


def test_an_operation_spans_its_parentheses() -> None:
    tree = parse(" (a.x + 1)*(a.y + 2) ").tree

    assert (tree.position, tree.end) == (1, 20)


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("", "", "empty"),
        ("   ", "   ", "empty"),
        ("1e", "1e", "1e3"),
        ("1e+", "1e", "exponent"),
        ("2 3", "3", "operator"),
        ("2x", "2x", "2*x"),
        ("2pi", "2pi", "2*pi"),
        ("1.2.3", "1.2.3", "one decimal point"),
        ("0x10", "0x10", "operator"),
        ("1,5", ",", "point"),
        ("1e999", "1e999", "too large"),
        ("1e-999", "1e-999", "write 0"),
        ("sin", "sin", "sin(x)"),
        ("sin + 1", "sin", "sin(x)"),
        ("sin()", "sin()", "one argument"),
        ("sin(a.x, 1)", ",", "one argument"),
        ("avg(a.x)", "avg(a.x", "milliseconds"),
        ("avg(a.x, 1, 2)", ",", "two arguments"),
        ("avg(a.x, a.y)", "a.y", "constant"),
        ("avg(a.x, -5)", "-5", "whole number"),
        ("avg(a.x, 0)", "0", "whole number"),
        ("avg(a.x, 2.5)", "2.5", "whole number"),
        ("avg(a.x, 1e300)", "1e300", "366 days"),
        ("pi(2)", "pi(", "pi*(...)"),
        ("sinus(a.x)", "sinus", "did you mean sin"),
        ("ABS(a.x)", "ABS", "did you mean abs"),
        ("foo(a.x)", "foo", "there are sin, cos"),
        ("sonnen", "sonnen", "sonnen.power"),
        ("sonnen(1)", "sonnen", "no function"),
        ("sonnen.", "sonnen.", "field name is missing"),
        ("sonnen.Main House", "House", "operator"),
        ("a .x", ".", "no blanks"),
        ("a. x", "a.", "field name is missing"),
        ("_edge.x", "_", "starts with a letter"),
        ('a."', '"', "closing quote"),
        ('a.""', '""', "empty"),
        ('a."x"y', "y", "operator"),
        ('a.x"y"', '"', "dot is missing"),
        ('a."x\ny"', "\n", "invisible"),
        ('"Main House"', '"', 'meter."Main House"'),
        ("events", "events", "events.::EV_START_CHARGING"),
        ("events.x", "events.x", "events.devices::types.field"),
        ("events.a:::b", ":", "only one"),
        ("events.a:", ":", "name is missing"),
        ("analytics", "analytics", "analytics.battery"),
        ("analytics.", "analytics.", "analytics.battery"),
        ("analytics.a.b", ".", "no fields"),
        ("a.x +", "", "missing at the end"),
        ("(a.x", "(", "never closed"),
        ("a.x)", ")", "no opening"),
        ("()", "()", "nothing between"),
        ("* 2", "*", "can't begin"),
        ("a.x ** 2", "**", "x^2"),
        ("a.x − 1", "−", "write -"),
        ("a.x × 2", "×", "write *"),
        ("a.x > 2", ">", "pos(x)"),
        ("a.x % 2", "%", "divide by 100"),
        ("a.x\u00a0+ 1", "\u00a0", "invisible"),
        ("\x00", "\x00", "U+0000"),
        ("٣", "٣", "no meaning"),
        ("9^9^9^9", "9^9", "exponent is too large"),
        ("2^1001", "1001", "exponent is too large"),
    ],
)
def test_an_error_points_at_the_place_and_says_what_to_write(text: str, place: str, hint: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(text)

    error = caught.value
    assert text[error.position : error.position + error.length] == place
    assert hint in error.message
    assert str(error) == error.message


@pytest.mark.parametrize("inside", ["({})", "sin({})", "-{}", "2^{}", "avg({}, 1000)", "a.x*({} + 1)"])
def test_nesting_is_bounded(inside: str) -> None:
    def nested(levels: int) -> str:
        text = "a.x"
        for _ in range(levels):
            text = inside.format(text)
        return text

    assert parse(nested(20)).identifiers == {"a.x"}
    with pytest.raises(FormulaError, match=r"levels|operations|characters"):
        parse(nested(10 * MAX_DEPTH))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000,
        "(" * 10_000 + "a.x" + ")" * 10_000,
        "-" * 3_999 + "1",
        "sin(" * 999 + "1",
        "1^" * 1_999 + "1",
    ],
)
def test_ten_thousand_parentheses_are_refused_not_suffered(text: str) -> None:
    with pytest.raises(FormulaError):
        parse(text)


def test_length_and_operations_are_bounded() -> None:
    with pytest.raises(FormulaError, match="characters"):
        parse("1" * (MAX_LENGTH + 1))
    with pytest.raises(FormulaError, match="operations"):
        parse("+".join(["1"] * 600))
    assert value("+".join(["1"] * 400)) == 400


def test_a_formula_is_text() -> None:
    with pytest.raises(TypeError):
        parse(5)  # type: ignore[arg-type]


def test_a_tree_is_written_with_the_parentheses_it_needs() -> None:
    for text in (
        "a.x - (a.y - a.z)",
        "(a.x^2)^3",
        "2^-a.x",
        "-(a.x + 1)",
        "(-a.x)^2",
        "-a.x^2",
        "a.x/(a.y*a.z)",
    ):
        assert render.text(parse(text).tree) == text
    assert render.text(parse("((a.x))+((a.y*2))").tree) == "a.x + a.y*2"


def test_latex_shows_the_formula_as_it_was_written() -> None:
    assert render.latex(parse("pos(sonnen.status.Pac_total_W/1000)").tree) == (
        r"\operatorname{pos}\left(\frac{\mathrm{sonnen.status.Pac\_total\_W}}{1000}\right)"
    )
    assert render.latex(parse("-abs(a.x)^2*1e-3/pi").tree) == (
        r"\frac{-{\left|\mathrm{a.x}\right|}^{2} \cdot 10^{-3}}{\pi}"
    )
    assert render.latex(parse("a.x - 2.5e3*(a.y + 1)").tree) == (
        r"\mathrm{a.x} - 2.5 \cdot 10^{3} \cdot \left(\mathrm{a.y} + 1\right)"
    )


def test_nodes_can_be_told_apart_though_written_alike() -> None:
    first, second = (node for node in parse("a.x + a.x").references)

    assert isinstance(first, Reference)
    assert first != second
