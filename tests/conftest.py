"""What all tests share: a real, migrated, empty database, a local AWS, and no warning in the log that a test does not expect."""

from __future__ import annotations

import gc
import logging
import os
import re
import sys
from collections.abc import Generator, Iterator

import hypothesis
import psutil
import pytest

from sgmp_console.store import Database
from tests.aws import LocalAws, running_aws
from tests.database import TestDatabase, TestServer, running_server

# Many tests start processes of ours, each of which would compile what none before it kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The same examples at each run, and none too slow on a busy machine. `--hypothesis-profile default` draws new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
# With `--hypothesis-profile thorough` and `--timeout 0`: as many as are asked for of the parser, new ones each time.
hypothesis.settings.register_profile("thorough", max_examples=100_000, deadline=None)
hypothesis.settings.load_profile("repeatable")


WORKERS_PER_PROCESSOR = 1.5
"""Tests wait, too: for servers, devices, and time-outs that are what they test. With 2.0 those that judge seconds fail."""
WORKER_BYTES = 1.25 * 2**30
"""What a worker takes with its database server, at most."""


def pytest_xdist_auto_num_workers() -> int:
    """How many `-n auto` starts, as `./run test` does."""
    by_memory = int(psutil.virtual_memory().total / WORKER_BYTES)
    return max(1, min(int(WORKERS_PER_PROCESSOR * (psutil.cpu_count() or 1)), by_memory))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, then those of the window, so that no worker is left with a long one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, item.path.parent.name not in ("ui", "e2e")))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What collection makes lives until the end: the garbage collector need not go through it again and again.

    That is two fifths of the time that collection takes, and most of what it takes to look for timers left running
    (tests/ui/conftest.py), since `gc.get_objects()` leaves out what is frozen.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


class LoggedWarnings(logging.Handler):
    """Keeps what is logged as a warning, or worse, while a test runs."""

    LOGGERS = ("sgmp_console", "sgmp_edge", "qt")

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        for name in self.LOGGERS:
            logging.getLogger(name).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.name}: {record.getMessage()}")


_logged = LoggedWarnings()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup() -> Generator[None]:
    _logged.messages.clear()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Warnings fail the test, except those of its marker `expected_warnings`: regular expressions, found anywhere."""
    yield
    expected = [pattern for marker in item.iter_markers("expected_warnings") for pattern in marker.args]
    unexpected = [text for text in _logged.messages if not any(re.search(each, text) for each in expected)]
    if unexpected:
        pytest.fail(
            "logged, but not expected (marker expected_warnings):\n" + "\n".join(unexpected), pytrace=False
        )


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
def database(test_database: TestDatabase) -> Database:
    """As the owner, who sees and may everything."""
    return test_database.owner


@pytest.fixture(scope="session")
def aws_server() -> Iterator[LocalAws]:
    with running_aws() as aws:
        yield aws


PATIENT_S, IMPATIENT_S = 20.0, 0.5
"""How long a client of AWS waits for an answer."""


@pytest.fixture
def aws(aws_server: LocalAws, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> LocalAws:
    """An empty AWS account, reached through a proxy that can fail.

    A busy machine must not look like a hanging server: only tests with the parameter `kind` "hang" are impatient.
    """
    for name, value in (("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing")):
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    aws_server.reset()
    call = getattr(request.node, "callspec", None)
    hangs = call is not None and call.params.get("kind") == "hang"
    aws_server.patience_s = IMPATIENT_S if hangs else PATIENT_S
    return aws_server
