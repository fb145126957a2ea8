from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sgmp_edge.polling import control, device, poller
from tests.edge.drivers_http import Patience
from tests.edge.house import NOW, House, Script
from tests.edge.small_disk import mounted


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., House]]:
    """Open houses; they are closed at the end of the test."""
    for module in (control, device, poller):
        monkeypatch.setattr(module, "time", NOW)
    houses: list[House] = []

    def open_house(*args: Any, **options: Any) -> House:
        houses.append(House(*args, **options))
        return houses[-1]

    yield open_house
    for each in houses:
        each.close()
    Script.all.clear()
    NOW.stepped_s = 0.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """One megabyte, for real."""
    with mounted(tmp_path / "disk") as folder:
        yield folder


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[Patience]:
    """Of the drivers on the test's own thread."""
    patience = Patience()
    limit, own = socket.socket.settimeout, threading.current_thread()

    def settimeout(sock: socket.socket, seconds: float | None) -> None:
        if threading.current_thread() is own and seconds is not None:
            patience.asked_s.append(seconds)
        limit(sock, seconds)

    monkeypatch.setattr(socket.socket, "settimeout", settimeout)
    yield patience
    patience.end()
