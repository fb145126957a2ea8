"""Fixtures that all tests may ask for: a real, migrated, empty database."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from sgmp_console.store import Database
from tests.database import TestDatabase, TestServer, running_server

# The same examples at each run, and none too slow on a busy machine. `--hypothesis-profile default` draws new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
# With `--hypothesis-profile thorough` and `--timeout 0`: as many as are asked for of the parser, new ones each time.
hypothesis.settings.register_profile("thorough", max_examples=100_000, deadline=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def database_server() -> Iterator[TestServer]:
    """Makes any number of databases: `with database_server.database() as made`."""
    with running_server() as server:
        yield server


@pytest.fixture
def test_database(database_server: TestServer) -> Iterator[TestDatabase]:
    """A database of this test's own, migrated, without houses, accounts or readings."""
    with database_server.database() as made:
        yield made


@pytest.fixture
def database_url(test_database: TestDatabase) -> str:
    """The owner's URL."""
    return test_database.url


@pytest.fixture
def deployment(test_database: TestDatabase) -> str:
    return test_database.deployment


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """As the owner, who sees and may everything."""
    opened = Database.connect(database_url, application="sgmp-test")
    yield opened
    opened.dispose()
