"""What the outbox promises across a power cut, with all that SQLite has written and not synced at stake."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sgmp_edge.delivery.outbox import Outbox
from tests.edge.chaos import page as pages
from tests.edge.chaos.unsynced import available, cut_power

ROOT = Path(__file__).resolve().parents[2]
RUNS = 16

# Puts numbers, says each once it is stored, and forgets what arrived, as the courier does.
WRITER = """
import sys
from itertools import count
from pathlib import Path

from tests.edge.chaos.page import open_page
from tests.edge.chaos.unsynced import Watch

folder = Path(sys.argv[1])
watch = Watch(folder / "unsynced", open_page(folder / "page"))

from sgmp_edge.delivery.outbox import Message, Outbox

outbox = Outbox(folder / "outbox.sqlite3", max_bytes=10**8)
first = int(outbox.states().get("next", 0))
for n in count(first):
    stored = outbox.put([Message(1, "meter", n, "data", b"x" * (n % 7 * 1500))], {"next": str(n + 1)})
    if outbox.problem is None:
        print(n, flush=True)
    if n % 3 == 2:
        outbox.remove(each.id for each in outbox.after(0, outbox.next_id, 2) or ())
"""


@pytest.fixture(autouse=True)
def _reachable() -> None:
    if not available():
        pytest.skip("Python's SQLite is not a library of its own here, so its writes can't be watched")


def run_until_the_power_fails(folder: Path, chance: random.Random) -> tuple[list[int], int]:
    """The numbers that were said to be stored, and how many writes were lost."""
    page = pages.open_page(folder / "page")
    page[pages.DISK_CALLS_LEFT] = chance.randint(30, 400)
    writer = subprocess.run(
        [sys.executable, "-c", WRITER, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert writer.returncode == -9, writer.stderr
    said = [int(line) for line in writer.stdout.splitlines()]
    return said, cut_power(folder / "unsynced", chance)


@pytest.mark.slow
def test_after_any_power_cut_all_that_was_said_to_be_stored_is_there_with_the_memory_that_belongs_to_it(
    tmp_path: Path,
) -> None:
    chance = random.Random(20)
    lost = stored = 0
    for _ in range(RUNS):
        said, writes_lost = run_until_the_power_fails(tmp_path, chance)
        lost += writes_lost
        stored += len(said)
        outbox = Outbox(tmp_path / "outbox.sqlite3", max_bytes=10**8)
        held = [each.message.timestamp_ms for each in outbox.after(0, outbox.next_id, 10_000) or ()]
        assert outbox.corrupt_file is None
        assert outbox.count == len(held)
        # Readings and memory go together: the newest reading is the one before the next number.
        following = int(outbox.states()["next"])
        assert said == sorted(said)
        assert said[-1] in (following - 1, following - 2)  # one may have been stored and not said
        assert held == list(range(held[0], following))
        outbox.close()
    print(f"{RUNS} power cuts, {stored} messages stored, {lost} writes lost")
    assert lost > RUNS


def test_what_was_not_synced_is_lost_in_such_a_power_cut(tmp_path: Path) -> None:
    """Removals, which are not synced: were puts not, the test above would miss them."""
    script = WRITER.replace("if n % 3 == 2:", "if n == 60:").replace(
        "outbox.next_id, 2) or ())", "outbox.next_id, 50) or ()); import os; os.kill(os.getpid(), 9)"
    )
    folder = tmp_path / "edge"
    folder.mkdir()
    pages.open_page(folder / "page")
    command = [sys.executable, "-c", script, str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
    shutil.copytree(folder, tmp_path / "power stayed")
    assert cut_power(folder / "unsynced", random.Random(1)) > 0
    assert held(tmp_path / "power stayed") == list(range(50, 61))
    assert held(folder) == list(range(61))


def held(folder: Path) -> list[int]:
    """The numbers in an outbox."""
    outbox = Outbox(folder / "outbox.sqlite3", max_bytes=10**8)
    numbers = [each.message.timestamp_ms for each in outbox.after(0, outbox.next_id, 10_000) or ()]
    outbox.close()
    return numbers
