"""The fixture `world`: see tests/e2e/world.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from sgmp_console.keychain import Keychain
from sgmp_console.settings import Profile
from sgmp_console.store import Database
from sgmp_console.ui.theme import Appearance
from tests.aws import LocalAws
from tests.database import TestDatabase
from tests.e2e.edge import SimulatedDevices, simulated_devices
from tests.e2e.window import Window
from tests.e2e.world import World, aws_world, local_world
from tests.ui.conftest import appearance, flush, left_open, qtbot

__all__ = ["appearance", "qtbot"]


@pytest.fixture(autouse=True)
def leaves_nothing_behind(appearance: Appearance, qapp: QApplication) -> Iterator[None]:
    """No window and no running timer; that no thread of a console is left, Window.close sees to."""
    windows = set(QApplication.topLevelWidgets())
    yield
    appearance.choose("light")
    flush(qapp)
    assert not (left := left_open(windows)), left


@pytest.fixture(scope="session")
def devices() -> Iterator[Callable[[], SimulatedDevices]]:
    with ExitStack() as end:
        yield cache(lambda: end.enter_context(simulated_devices()))


@pytest.fixture(params=["local", "aws"])
def world(
    request: pytest.FixtureRequest,
    aws: LocalAws,
    test_database: TestDatabase,
    database: Database,
    tmp_path: Path,
    appearance: Appearance,
    qtbot: QtBot,
    devices: Callable[[], SimulatedDevices],
) -> Iterator[World]:
    made = (
        local_world(test_database, database, tmp_path)
        if request.param == "local"
        else aws_world(test_database, database, tmp_path, aws)
    )
    with made as world:
        windows: list[Window] = []

        def make_console(profile: Profile, keychain: Keychain | None) -> Window:
            folder = tmp_path / f"console-{len(windows) + 1}"
            windows.append(Window(qtbot, appearance, profile, folder, keychain))
            return windows[-1]

        world.make_console = make_console
        world.devices = devices
        try:
            yield world
        finally:
            for window in reversed(windows):
                window.close()
