"""A device type is declared in its driver's file; what is wrong with a declaration is said in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from sgmp_edge import contract
from sgmp_edge.contract.declarations import device_type
from sgmp_edge.contract.vocabulary import ContractError

WEATHER = {"name": "weather", "title": "Weather", "fields": {"host": {"title": "Address", "kind": "host"}}}


def test_a_name_a_title_and_fields_are_all_that_a_type_needs() -> None:
    declared = device_type(WEATHER)
    assert (declared.example, declared.units) == ({}, {})
    assert [field.key for field in declared.fields] == ["host"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("interval", value) for value in (float("nan"), float("inf"), 10**400, True)),
        *((setting, value) for setting in ("keys", "username") for value in ("\0", "\ud800")),
    ],
)
def test_what_json_or_a_database_has_no_place_for_is_wrong_in_any_setting(setting: str, value: Any) -> None:
    given = [value] if setting == "keys" else value
    config = {"ip": "192.0.2.1", "keys": ["A.Load"], setting: given}
    assert [problem.key for problem in contract.device_types()["egauge"].problems(config)] == [setting]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": None}, "DEVICE_TYPE has no name"),
        ({"title": None, "fields": None}, "DEVICE_TYPE has no title and no fields"),
        ({"fields": {"host": {"title": "Address"}}}, "its field host has no kind"),
        (
            {"fields": {"host": {"title": "Address", "kind": "ip"}}},
            "the kind 'ip' of its field host is not one of",
        ),
    ],
)
def test_what_is_missing_is_named(change: dict[str, Any], sentence: str) -> None:
    declared = {key: value for key, value in {**WEATHER, **change}.items() if value is not None}
    with pytest.raises(ContractError, match=sentence):
        device_type(declared)
