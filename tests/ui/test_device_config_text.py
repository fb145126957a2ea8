"""A config as text: where its settings stand, and what is wrong where."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.ui.pages.devices import config_text
from sgmp_edge.contract import ConfigProblem, ProblemCode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES))
def test_what_was_written_is_read_again(config: dict[str, Any]) -> None:
    assert config_text.read(config_text.write(config)).config == config


@given(st.text() | st.text(alphabet='{}[]":,\\ \n1tfn.e-'))
def test_any_text_is_read_as_json_does_or_has_a_problem_with_its_place(text: str) -> None:
    found = config_text.read(text)
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    if found.config is None:
        assert found.problem is not None
        assert 0 <= found.problem.position <= max(len(text) - 1, 0)
    else:
        assert found.config == expected


@pytest.mark.parametrize(
    ("text", "words", "position"),
    [
        ("", "must be a JSON object", 0),
        ("[1]", "must be a JSON object", 0),
        (
            '{"ip": "10.0.0.5"\n "token": ""}',
            "A comma or a closing bracket is missing here (line 2, column 2)",
            19,
        ),
        ('{"ip" 5}', "A colon is missing here", 6),
        ('{"ip": }', "A value is missing here", 7),
        ('{"ip": NaN}', "NaN is not a JSON number", 7),
        ('{"ip": "a}', "A text begins here that has no closing quote (line 1, column 8)", 7),
        ("{ip: 5}", "A setting's name in double quotes is missing here", 1),
        ('{"ip": 1,}', "A setting's name in double quotes is missing here", 9),
        ('{"ip": 1, "ip": 2}', "The setting ip stands here twice", 10),
        ('{"ip": 1} x', "The config ends before this", 10),
        ('{"ip": 1', "A comma or a closing bracket is missing here", 7),
    ],
)
def test_what_can_not_be_read_is_reported_at_its_place(text: str, words: str, position: int) -> None:
    found = config_text.read(text)
    assert found.problem is not None
    assert words in found.problem.message
    assert found.problem.position == position


def test_problems_of_settings_stand_under_their_names() -> None:
    found = config_text.read('{\n  "ip": 5,\n  "keys": []\n}')
    first, second = found.marks(
        (
            ConfigProblem("ip", ProblemCode.WRONG_TYPE, "must be a text"),
            ConfigProblem("url", ProblemCode.MISSING, "is missing"),
        )
    )
    assert (first.position, first.length) == (4, 4)
    assert second.position == found.text.rindex("}")


def test_a_new_setting_takes_the_place_that_its_type_gives_it() -> None:
    order = ("ip", "keys", "interval")
    changed = config_text.with_setting({"ip": "a", "interval": 5, "own": 1}, "keys", ["x"], order)
    assert list(changed) == ["ip", "keys", "interval", "own"]
    assert list(config_text.with_setting(changed, "later", 1, order)) == [*changed, "later"]
    assert list(config_text.with_setting(changed, "ip", None, order)) == ["keys", "interval", "own"]
    assert config_text.with_setting(changed, "ip", "b", order)["ip"] == "b"
