"""The analytic items every house needs, so that its dashboard and reports can be shown (playbook)."""

from __future__ import annotations

import tomllib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from sgmp_console.resources import resource


@dataclass(frozen=True)
class RequiredItem:
    """One item of the playbook's list.

    `formula` is the suggested one; it names a device of each type after its type. `unit` is that of the values, ""
    for a count. `quantity` is the name of the colour token it is drawn in.
    """

    name: str
    description: str
    formula: str
    aggregated: bool
    unit: str
    quantity: str


@cache
def required_items() -> Mapping[str, RequiredItem]:
    """The list by name, in the playbook's order."""
    with resource("required_analytics.toml").open("rb") as file:
        rows = tomllib.load(file)["item"]
    return MappingProxyType({row["name"]: RequiredItem(**row) for row in rows})


def missing_items(present: Container[str]) -> tuple[str, ...]:
    """The names of those that a house with the items `present` has not, in the playbook's order."""
    return tuple(name for name in required_items() if name not in present)
