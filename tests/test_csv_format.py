"""CSV in every dialect: what is written is read again, spreadsheets run nothing, and numbers are never misread."""

import csv
import random
from datetime import UTC, datetime
from io import StringIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgmp_console import csv_format
from sgmp_console.csv_format import Lines, SplitNumber, UnknownHeader, Unreadable

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
"""What spreadsheets take for the beginning of a formula."""
ODD = SIGNS + "'\";,\t\n\r ab1\u3000\ufeff\xa0\u2028\x1c"

texts = st.one_of(
    st.text(st.sampled_from(ODD), max_size=12),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
)
delimiters = st.sampled_from(csv_format.DELIMITERS)

MANY = 20_000


def random_record(draw: random.Random) -> list[str]:
    """Drawn as the texts above, in a thirtieth of the time."""

    def text() -> str:
        if draw.random() < 0.5:
            return "".join(draw.choices(ODD, k=draw.randrange(13)))
        return "".join(
            chr(
                draw.choice(
                    [draw.randrange(1, 0x80), draw.randrange(1, 0xD800), draw.randrange(0xE000, 0x110000)]
                )
            )
            for _ in range(draw.randrange(20))
        )

    return [text() for _ in range(draw.randrange(2, 5))]


@given(st.lists(texts, min_size=2, max_size=4), delimiters)
@example(["x;=1+1;y", "a"], ",")
@example([" =1+1", "\n=1+1", "x\n=1+1", "x\t@SUM(A1)"], ",")
@example(["\uff1d1+1", "'=1+1", "''=1", "' "], ";")
@example(["-5", "x", "+49 30", "a,-1"], "\t")
def test_what_is_written_is_read_again(record: list[str], between: str) -> None:
    assert_read_again(record, between)


def test_many_records_that_are_written_are_read_again() -> None:
    draw = random.Random(1)
    for _ in range(MANY):
        assert_read_again(random_record(draw), draw.choice(csv_format.DELIMITERS))


def assert_read_again(record: list[str], between: str) -> None:
    line = csv_format.written_record(record, between)
    ((number, cells),) = csv_format.records(line, between)

    assert number == 1
    assert [csv_format.read_cell(cell) for cell in cells] == record


@given(st.lists(texts, min_size=2, max_size=4), delimiters, delimiters, st.booleans())
@example(["x;=1+1;y", "a"], ",", ";", True)
@example(['";=1+1', "a"], ",", ";", True)
def test_no_cell_begins_like_a_formula_however_a_spreadsheet_splits_the_line(
    record: list[str], between: str, other: str, quotes: bool
) -> None:
    assert_no_formula(record, between, other, quotes)


def test_no_cell_of_many_records_begins_like_a_formula() -> None:
    draw = random.Random(2)
    for _ in range(MANY):
        between, other = draw.choices(csv_format.DELIMITERS, k=2)
        assert_no_formula(random_record(draw), between, other, draw.random() < 0.5)


def assert_no_formula(record: list[str], between: str, other: str, quotes: bool) -> None:
    line = csv_format.written_record(record, between)
    rows = csv.reader(
        StringIO(line, newline=""), delimiter=other, quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    )

    for cell in (cell for row in rows for cell in row):
        assert cell.strip(' "\ufeff\u3000\xa0')[:1] not in tuple(SIGNS), line


def test_a_cell_without_anything_odd_is_written_as_it_is() -> None:
    assert (
        csv_format.written_record(["Maple House", "a@b.example", "2-4"]) == "Maple House,a@b.example,2-4\r\n"
    )
    assert csv_format.written_record(["x;=1+1;y", "a"]) == '"x;\'=1+1;y",a\r\n'


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("a,b".encode("utf-8-sig"), "utf-8-sig"),
        ("a,b".encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + "a,b".encode("utf-16-be"), "utf-16"),
        ("a,b".encode("utf-32"), "utf-32"),
        (b"a,b", "utf-8-sig"),
    ],
)
def test_a_byte_order_mark_tells_the_encoding(content: bytes, name: str) -> None:
    assert csv_format.encoding(content) == name
    assert content.decode(csv_format.encoding(content)) == "a,b"


@pytest.mark.parametrize(
    ("header", "between"),
    [("a,b", ","), ("a;b", ";"), ("a\tb", "\t"), ('"a,b,c";d', ";"), ("name", ",")],
)
def test_the_first_line_tells_what_stands_between_cells(header: str, between: str) -> None:
    assert csv_format.delimiter(header) == between


@pytest.mark.parametrize("text", ['a,"b"x\n', 'a,b\n"c,d\ne,f\n', 'a,b\n1,"2""\n'])
def test_quotes_that_do_not_match_are_reported_with_the_line_they_begin_in(text: str) -> None:
    line = 1 if text.startswith('a,"') else 2
    with pytest.raises(Unreadable, match=f"line {line} on: its quotes do not match"):
        list(csv_format.records(text, ","))


def test_a_cell_that_is_too_long_is_named_as_such_and_an_open_quote_before_much_text_is_not() -> None:
    much = "x" * (csv_format.MAX_CELL + 1)

    with pytest.raises(Unreadable, match="line 2 on: a cell has more than 131,072 characters"):
        list(csv_format.records(f"a,b\n1,{much}\n", ","))
    with pytest.raises(Unreadable, match="line 2 on: its quotes do not match"):
        list(csv_format.records(f'a,b\n1,"{much}\n', ","))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@given(content=st.lists(st.lists(texts, min_size=2, max_size=2), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_records_are_read_whatever_ends_their_lines(end: str, content: list[list[str]]) -> None:
    text = "".join(csv_format.written_record(record).removesuffix("\r\n") + end for record in content)

    assert [
        [csv_format.read_cell(cell) for cell in cells] for _, cells in csv_format.records(text, ",")
    ] == content


# --- Numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "commas"),
    [
        (["1.234", "1.234,5"], True),
        (["1.234", "0,5"], True),
        (["1.234", "20.25", "0,5"], False),
        (["0.123", "1,5"], False),
        (["1234.567", "1,5"], False),
        (["1e3", "1,5"], True),
        (["1.234", "5"], False),
        (["A,1", ""], False),
        (["1.234.567"], True),
        *[
            ([number], True)
            for number in ("1 234,5", "1\u00a0234,5", "1\u202f234,5", "1'234,5", "\u22121,5", "1,5E3")
        ],
    ],
)
def test_a_column_has_decimal_commas_if_one_number_has_and_none_can_only_have_a_point(
    values: list[str], commas: bool
) -> None:
    assert csv_format.decimal_commas(values) is commas


@pytest.mark.parametrize(
    ("text", "commas", "reason"),
    [
        ("1.234", True, "ambiguous"),
        ("-12.345.678", False, "points between its thousands"),
        ("1.234,5", True, "decimal comma"),
        ("1,5", False, "decimal comma"),
        (",5", False, "decimal comma"),
        ("1,234.5", False, "not a finite number"),
        ("１２", False, "not a finite number"),
        ("1_000", False, "not a finite number"),
        ("0x10", False, "not a finite number"),
        ("", False, "not a finite number"),
    ],
)
def test_a_number_that_could_be_another_is_refused_with_the_reason(
    text: str, commas: bool, reason: str
) -> None:
    with pytest.raises(Unreadable, match=reason):
        csv_format.number(text, commas=commas)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_as_python_writes_it(value: float) -> None:
    assert csv_format.number(repr(value)) == value


@pytest.mark.parametrize(("text", "value"), [("1.234", 1.234), ("+5", 5.0), ("1e-3", 0.001), (" 7 ", 7.0)])
def test_numbers_have_a_decimal_point(text: str, value: float) -> None:
    assert csv_format.number(text) == value


@given(st.integers(0, 4_000_000_000_000))
def test_a_time_is_milliseconds_or_iso_8601_to_the_millisecond(milliseconds: int) -> None:
    iso = datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)

    assert csv_format.timestamp_ms(str(milliseconds)) == milliseconds
    assert csv_format.timestamp_ms(iso.isoformat()) == milliseconds


# --- Files with a record a line -----------------------------------------------------------------------------------


def test_a_line_at_fault_costs_nothing_but_itself() -> None:
    lines = ["B;A\n", '1;"2\n', "3;4\n", "\n", "5\n", '"6;7";8\n']
    read = {number: cells for number, _, cells in Lines(lines, ("a", "b"))}

    assert isinstance(read[2], Unreadable)
    assert read[3] == ["4", "3"]
    assert isinstance(read[5], Unreadable)
    assert read[6] == ["8", "6;7"]


def test_a_decimal_comma_that_splits_a_line_is_named() -> None:
    ((_, _, cells),) = Lines(["a,b\n", "1,1.234,5\n"], ("a", "b"))

    assert isinstance(cells, SplitNumber)
    assert "'1.234,5' has a decimal comma" in str(cells)


def test_another_header_is_refused() -> None:
    with pytest.raises(UnknownHeader, match="x,y"):
        Lines(["x,y\n"], ("a", "b"))


@pytest.mark.parametrize(
    ("first_line", "sentence"),
    [
        ("a,b\n".encode("utf-16-le").decode(), "not a text file"),
        (b"PK\x03\x04\xff".decode("utf-8", "replace"), "not a text file"),
        ('"a,b"\n', "stand in one cell"),
        ('"a;b"\n', "stand in one cell"),
    ],
)
def test_a_file_that_is_another_kind_of_file_is_refused_with_the_way_out(
    first_line: str, sentence: str
) -> None:
    with pytest.raises(UnknownHeader, match=sentence) as refused:
        Lines([first_line], ("a", "b"))
    assert "\\x" not in str(refused.value)
    assert "save" in str(refused.value)
