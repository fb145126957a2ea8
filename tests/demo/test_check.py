"""`sgmp-console demo --check`: when it is content, and the whole of it once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sgmp_console.demo.check import Verdict
from sgmp_console.demo.command import screenshot_files
from sgmp_console.demo.houses import DEMO_HOUSES, DEVICE_TYPES
from sgmp_console.reports.home import HOME_ITEMS, Curve, DeviceAge, HomeSnapshot, Latest
from sgmp_console.timeseries import Series
from tests.ui.snapshots import snapshot

SIGNED_IN_MS = 1_795_400_000_000


def _house(name: str, newest_ms: int, **ages: int) -> HomeSnapshot:
    """A house whose devices and items are all of `newest_ms`, but for the devices given by type."""
    return replace(
        snapshot(now_ms=SIGNED_IN_MS, house_name=name),
        devices=tuple(DeviceAge(kind, kind, ages.get(kind, newest_ms)) for kind in DEVICE_TYPES),
        curves={item: Curve(item, "kW", Series.empty(), Latest(newest_ms, 1.0)) for item in HOME_ITEMS},
    )


def _both(newest_ms: int, **ages: int) -> dict[str, HomeSnapshot]:
    return {house.name: _house(house.name, newest_ms, **ages) for house in DEMO_HOUSES}


def test_live_houses_lack_nothing() -> None:
    verdict = Verdict()
    assert verdict(_both(SIGNED_IN_MS - 60_000))
    assert verdict(_both(SIGNED_IN_MS + 1)) == []


def test_history_that_was_loaded_is_not_live() -> None:
    missing = Verdict()(_both(SIGNED_IN_MS - 1))
    assert "Maple House: no live reading of egauge" in missing
    assert "Harbor House: no live value of solar" in missing


def test_each_device_and_each_house_must_be_live() -> None:
    verdict = Verdict()
    verdict(_both(SIGNED_IN_MS))
    assert verdict(_both(SIGNED_IN_MS + 1, powerflex=SIGNED_IN_MS - 5)) == [
        f"{house.name}: no live reading of powerflex" for house in DEMO_HOUSES
    ]
    maple_only = {"Maple House": _house("Maple House", SIGNED_IN_MS + 1)}
    assert verdict(maple_only) == ["Harbor House: nothing was shown"]


def test_screenshots_come_in_a_known_order() -> None:
    assert screenshot_files([Path("one.png")]) == [(Path("one.png"), 1280, 800, "light")]
    assert [shape[1:] for shape in screenshot_files([Path("folder")])] == [
        (1280, 800, "light"),
        (1280, 800, "dark"),
        (1920, 1080, "light"),
        (1920, 1080, "dark"),
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_whole_chain_is_live_within_ninety_seconds(tmp_path: Path) -> None:
    picture = tmp_path / "home.png"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "sgmp_console", "demo", "--check", "--json", "--screenshot", str(picture)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    took_s = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["ok"]
    assert set(result["houses"]) == {house.name for house in DEMO_HOUSES}
    for house in result["houses"].values():
        assert {device["type"] for device in house["devices"].values()} == set(DEVICE_TYPES)
        assert all(device["age_ms"] < 15_000 for device in house["devices"].values())
        assert house["values"].keys() >= {"solar", "load", "grid_import", "soc"}
    assert {"database", "history", "first_chart", "complete"} <= result["seconds"].keys()
    if os.getloadavg()[0] < (os.cpu_count() or 1):  # the budget is for a machine that has nothing else to do
        assert took_s < 90
    assert picture.read_bytes().startswith(b"\x89PNG")
