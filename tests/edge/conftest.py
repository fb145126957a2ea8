from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.edge.house import House, Script
from tests.edge.small_disk import mounted


@pytest.fixture
def house() -> Iterator[Callable[..., House]]:
    """Open houses; they are closed at the end of the test."""
    houses: list[House] = []

    def open_house(*args: Any, **options: Any) -> House:
        houses.append(House(*args, **options))
        return houses[-1]

    yield open_house
    for each in houses:
        each.close()
    Script.all.clear()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """One megabyte, for real."""
    with mounted(tmp_path / "disk") as folder:
        yield folder
