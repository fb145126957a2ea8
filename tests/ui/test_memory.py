"""The console stays under 200 MB, at its start and after a tour of all pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from tests.reports.houses import balanced
from tests.ui.conftest import Deployment
from tests.ui.houses import measured

BUDGET_MB = 200
DAY_MS = 86_400_000


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is counted differently elsewhere")
def test_the_console_is_under_two_hundred_megabytes_after_every_page_was_shown_twice(
    deployed: Deployment,
) -> None:
    now_ms = time.time_ns() // 1_000_000
    measured(deployed.owner, deployed.houses[0], balanced(now_ms - 2 * DAY_MS, now_ms, 4_000))
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.ui.tour",
            deployed.profile.database_url,
            deployed.profile.deployment,
            deployed.email,
            deployed.password,
            "2",
        ],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    visits: dict[str, list[float]] = json.loads(ended.stdout.splitlines()[-1])
    assert max(size for sizes in visits.values() for size in sizes) < BUDGET_MB, visits


def test_the_sources_of_modules_are_not_kept_in_memory() -> None:
    code = (
        "import linecache, sys, sgmp_console.ui.charts.time_chart;"
        "sys.exit(sum(len(line) for entry in linecache.cache.values() for line in entry[2]) > 100_000)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
