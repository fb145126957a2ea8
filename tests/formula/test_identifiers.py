"""Identifiers: text to meaning and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.formula import (
    AnalyticsIdentifier,
    DeviceIdentifier,
    EventIdentifier,
    FormulaError,
    identifiers,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("egauge.A.L1_Voltage", DeviceIdentifier("egauge", "A.L1_Voltage")),
        ('meter."Main House".x', DeviceIdentifier("meter", "Main House.x")),
        ('meter."Plain"', DeviceIdentifier("meter", "Plain")),
        ('meter."say ""hi"""', DeviceIdentifier("meter", 'say "hi"')),
        ("events.::EV_END_CHARGING.energy", EventIdentifier((), ("EV_END_CHARGING",), "energy")),
        ("events.::EV_START_CHARGING", EventIdentifier((), ("EV_START_CHARGING",), None)),
        ("events.a:b::.x.y", EventIdentifier(("a", "b"), (), "x.y")),
        ("analytics.battery", AnalyticsIdentifier("battery")),
    ],
)
def test_an_identifier_names_its_parts(text: str, expected: object) -> None:
    assert identifiers.parse(text) == expected


@pytest.mark.parametrize("text", ["", "x", "a.b + 1", "1.5", "a.b c", " a.b", "sin(a.b)"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(FormulaError):
        identifiers.parse(text)


names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
fields = st.text(
    st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1, max_size=20
).filter(
    lambda field: (
        bool(field.strip()) and all(part.strip() for part in field.split(".") if all(field.split(".")))
    )
)


@given(
    st.one_of(
        st.builds(DeviceIdentifier, names.filter(lambda name: name not in ("events", "analytics")), fields),
        st.builds(
            EventIdentifier,
            st.lists(names, max_size=3, unique=True).map(tuple),
            st.lists(names, max_size=3, unique=True).map(tuple),
            st.none() | fields,
        ),
        st.builds(AnalyticsIdentifier, names),
    )
)
def test_whatever_a_device_calls_its_fields_can_be_written_and_read_back(
    identifier: identifiers.Identifier,
) -> None:
    assert identifiers.parse(identifiers.write(identifier)) == identifier
