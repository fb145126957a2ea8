"""A house to act on."""

from __future__ import annotations

import pytest

from sgmp_console.fleet import houses
from sgmp_console.store import Database, House

pytest.register_assert_rewrite("tests.fleet.houses_every_call")


@pytest.fixture
def house(database: Database) -> House:
    return houses.create(database, "Maple House", time_zone="America/Los_Angeles")
