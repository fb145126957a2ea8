"""The outbox: what was put stays until it is removed, whatever happens to process, file and disk."""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgmp_edge.delivery.outbox import Message, Outbox

pytestmark = pytest.mark.expected_warnings(
    "outbox: The disk does not take readings", "outbox: The outbox", "outbox: Saved", "outbox: No new outbox"
)


MEGABYTE = 1_000_000


def message(number: int, size: int = 20) -> Message:
    return Message(1, "meter", 1_700_000_000_000 + number, "data", str(number).encode().ljust(size))


_opened: list[Outbox] = []


def open_outbox(folder: Path, max_bytes: int = 50 * MEGABYTE, **options: int) -> Outbox:
    """It is closed after the test, if it was not before."""
    _opened.append(Outbox(folder / "outbox.sqlite3", max_bytes=max_bytes, **options))
    return _opened[-1]


@pytest.fixture(autouse=True)
def _outboxes_are_closed() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def held(outbox: Outbox) -> list[Message]:
    return [stored.message for stored in outbox.after(0, outbox.next_id, 1_000_000) or ()]


def numbers(outbox: Outbox) -> list[int]:
    return [each.timestamp_ms - 1_700_000_000_000 for each in held(outbox)]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The disk is full for files beyond `size` bytes: writing there fails with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_put_is_there_after_a_restart_in_order(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    outbox.put([message(1), message(2)])
    outbox.put([message(3)])
    outbox.close()
    assert held(open_outbox(tmp_path)) == [message(1), message(2), message(3)]


def test_what_was_removed_is_gone_after_a_restart(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    stored = outbox.put([message(1), message(2), message(3)])
    outbox.remove([stored[0].id, stored[2].id])
    outbox.close()
    again = open_outbox(tmp_path)
    assert (numbers(again), again.count) == ([2], 1)


def test_an_id_is_never_given_twice_even_when_all_messages_are_gone(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    first = outbox.put([message(1)])[0].id
    outbox.remove([first])
    outbox.close()
    assert open_outbox(tmp_path).put([message(2)])[0].id > first


def test_readings_and_the_drivers_memory_are_stored_together_or_not_at_all(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    outbox.put([message(1)], {"device/1": "first"})
    outbox.close()
    # Killed between the statements of a transaction: neither is there.
    broken = sqlite3.connect(tmp_path / "outbox.sqlite3", isolation_level=None)
    broken.execute("BEGIN IMMEDIATE")
    broken.execute("INSERT INTO message VALUES (99, 1, 'meter', 0, 'data', x'00', 0)")
    broken.execute("UPDATE state SET value = 'second'")
    broken.close()
    again = open_outbox(tmp_path)
    assert (numbers(again), again.states()) == ([1], {"device/1": "first"})


def test_a_state_can_be_taken_back(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    outbox.put([], {"lease/1": "text"})
    outbox.put([], {"lease/1": None})
    assert outbox.states() == {}


def test_killed_at_any_moment_nothing_that_was_reported_as_stored_is_lost(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.edge.test_outbox import message, open_outbox\n"
        "outbox = open_outbox(Path(sys.argv[1]))\n"
        "number = 0\n"
        "while True:\n"
        "    outbox.put([message(number), message(number + 1)], {'at': str(number + 1)})\n"
        "    print(number + 1, flush=True)\n"
        "    number += 2\n"
    )
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(random.Random(1).randrange(20, 80)):
            reported = int(process.stdout.readline())
        process.kill()
        process.wait()
        process.stdout.close()
        outbox = open_outbox(tmp_path)
        found = numbers(outbox)
        assert set(range(reported + 1)) <= set(found)
        assert outbox.states()["at"] == str(found[-1])
        outbox.remove([stored.id for stored in outbox.after(0, outbox.next_id, 1_000_000) or ()])
        outbox.close()


def test_a_full_outbox_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path, max_bytes=MEGABYTE)
    for batch in range(40):
        outbox.put([message(batch * 100 + each, size=1000) for each in range(100)])
    assert outbox.used_bytes <= MEGABYTE
    found = numbers(outbox)
    assert found == list(range(4000 - len(found), 4000))
    assert (outbox.count, outbox.dropped) == (len(found), 4000 - len(found))
    outbox.close()
    assert open_outbox(tmp_path, max_bytes=MEGABYTE).dropped == 4000 - len(found)


def test_what_arrived_is_not_counted_as_lost_when_it_makes_room(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path, max_bytes=MEGABYTE)
    arrived = outbox.put([message(number, size=1000) for number in range(400)])
    outbox.expendable = {stored.id for stored in arrived}
    outbox.put([message(number, size=1000) for number in range(400, 1000)])
    assert outbox.used_bytes <= MEGABYTE
    assert outbox.dropped == 0


def test_space_is_used_again_after_a_backlog_is_gone(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    for _ in range(5):
        stored = outbox.put([message(each, size=1000) for each in range(1000)])
        outbox.remove([each.id for each in stored])
    outbox.close()
    assert (tmp_path / "outbox.sqlite3").stat().st_size < 2 * MEGABYTE


def test_a_full_disk_loses_nothing_while_memory_lasts_and_is_said(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    outbox.put([message(1)])
    with largest_file(16 * 1024):
        outbox.put([message(number, size=2000) for number in range(2, 30)], {"at": "29"})
        assert outbox.problem is not None
        assert outbox.in_memory == 28
        assert numbers(outbox) == list(range(1, 30))
        assert outbox.states() == {"at": "29"}
    assert outbox.flush()
    assert not outbox.problem
    assert outbox.in_memory == 0
    outbox.close()
    again = open_outbox(tmp_path)
    assert (numbers(again), again.states(), again.dropped) == (list(range(1, 30)), {"at": "29"}, 0)


def test_memory_is_bounded_too_while_the_disk_is_full(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path, memory_bytes=50_000)
    with largest_file(16 * 1024):
        for number in range(100):
            outbox.put([message(number, size=2000)])
    assert outbox.in_memory == 25
    assert outbox.dropped == 75
    assert numbers(outbox) == list(range(75, 100))


def test_what_arrived_while_the_disk_was_full_is_gone_afterwards(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    on_disk = outbox.put([message(1), message(2)])
    with largest_file(16 * 1024):
        in_memory = outbox.put([message(3, size=20_000), message(4, size=20_000)])
        outbox.remove([on_disk[0].id, in_memory[0].id])
        assert numbers(outbox) == [2, 4]
    outbox.flush()
    outbox.close()
    assert numbers(open_outbox(tmp_path)) == [2, 4]


def test_what_waits_to_be_removed_from_a_full_disk_hides_nothing_behind_it(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    stored = outbox.put([message(number) for number in range(20)])
    with largest_file(1024):
        outbox.remove([each.id for each in stored[:12]])
        outbox.put([message(100)])
        assert outbox.problem is not None
        found, last_id = [], 0
        while page := outbox.after(last_id, outbox.next_id, 5):
            found += [each.message for each in page]
            last_id = page[-1].id
    assert found == [*(message(number) for number in range(12, 20)), message(100)]


def test_a_folder_that_does_not_exist_leaves_messages_in_memory_until_it_does(tmp_path: Path) -> None:
    folder = tmp_path / "card"
    outbox = open_outbox(folder)
    outbox.put([message(1)])
    assert outbox.problem is not None
    folder.mkdir()
    assert outbox.flush()
    outbox.close()
    assert numbers(open_outbox(folder)) == [1]


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 5000, b"SQLite format 3\x00" + b"\xff" * 5000, os.urandom(9000)]
)
def test_a_file_that_is_no_outbox_is_set_aside_and_a_new_one_begun(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "outbox.sqlite3").write_bytes(content)
    outbox = open_outbox(tmp_path)
    outbox.put([message(1)])
    assert numbers(outbox) == [1]
    if content:
        assert outbox.corrupt_file is not None
        assert outbox.corrupt_file.read_bytes() == content


def test_what_is_readable_in_a_damaged_file_is_saved(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    outbox.put([message(number, size=900) for number in range(2000)], {"device/1": "memory"})
    outbox.close()
    file = tmp_path / "outbox.sqlite3"
    content = bytearray(file.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8192] = b"\xa5" * 8192
    file.write_bytes(content)
    damaged = open_outbox(tmp_path)
    damaged.put([message(2000)])
    found = numbers(damaged)  # reading meets the damage
    found = numbers(damaged)
    assert len(found) > 1900
    assert found == sorted(found)
    assert {0, 1999, 2000} <= set(found)
    assert damaged.states() == {"device/1": "memory"}
    assert damaged.corrupt_file is not None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), hits=st.integers(1, 40))
def test_no_damage_to_the_file_ever_raises_or_stops_later_messages(
    tmp_path_factory: pytest.TempPathFactory, seed: int, hits: int
) -> None:
    folder = tmp_path_factory.mktemp("outbox")
    outbox = open_outbox(folder)
    outbox.put([message(number, size=300) for number in range(100)], {"device/1": "memory"})
    outbox.close()
    file = folder / "outbox.sqlite3"
    content = bytearray(file.read_bytes())
    chance = random.Random(seed)
    for _ in range(hits):
        content[chance.randrange(len(content))] = chance.randrange(256)
    if chance.random() < 0.2:
        del content[chance.randrange(len(content)) :]
    file.write_bytes(content)

    damaged = open_outbox(folder)
    damaged.states()
    damaged.after(0, damaged.next_id, 1000)
    new = damaged.put([message(5000)])
    damaged.remove([stored.id for stored in damaged.after(0, new[0].id, 1000) or ()])
    assert message(5000) in held(damaged)
    damaged.close()
    assert message(5000) in held(open_outbox(folder))


@pytest.mark.parametrize("key", ["messages", "dropped", "next_id"])
@pytest.mark.parametrize("value", [-5, 2**63 - 1])
def test_counters_that_cannot_be_are_damage(tmp_path: Path, key: str, value: int) -> None:
    outbox = open_outbox(tmp_path)
    outbox.put([message(1)])
    outbox.close()
    with closing(sqlite3.connect(tmp_path / "outbox.sqlite3")) as db, db:
        db.execute("UPDATE counter SET value = ? WHERE key = ?", (value, key))
    damaged = open_outbox(tmp_path)
    damaged.put([message(2)])
    assert damaged.problem is None
    assert numbers(damaged) == [1, 2]
    damaged.close()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM counter",
        "DROP TABLE counter",
        "ALTER TABLE message DROP COLUMN checksum",
        "DROP TABLE state",
    ],
)
@pytest.mark.parametrize("disk_refuses", [False, True])
def test_a_file_of_another_form_keeps_nobody_from_starting(
    tmp_path: Path, damage: str, disk_refuses: bool
) -> None:
    outbox = open_outbox(tmp_path)
    outbox.put([message(1)])
    outbox.close()
    with closing(sqlite3.connect(tmp_path / "outbox.sqlite3")) as db, db:
        db.execute(damage)
    index = tmp_path / "outbox.sqlite3-shm"
    if disk_refuses:
        index.mkdir()  # where SQLite needs a file
    damaged = open_outbox(tmp_path)
    damaged.states()
    damaged.put([message(2)])
    if disk_refuses:
        assert damaged.problem is not None
        index.rmdir()
        damaged.put([message(3)])
    assert damaged.problem is None
    assert message(2) in held(damaged)
    damaged.close()


def damaged_outbox(folder: Path, first: int, count: int) -> int:
    """An outbox of `count` messages from number `first` on, one page of which was overwritten; how many are readable."""
    outbox = open_outbox(folder)
    outbox.put([message(first + number, size=200) for number in range(count)])
    outbox.close()
    file = folder / "outbox.sqlite3"
    content = bytearray(file.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xa5" * 4096
    file.write_bytes(content)
    return count - 4096 // 200 * 2


@pytest.mark.parametrize("clock_s", [0, 1_600_000_000, 4_000_000_000])
@pytest.mark.parametrize("before", ["", "outbox.corrupt-1700000000000.sqlite3", "outbox.corrupt-x.sqlite3"])
def test_a_damaged_outbox_is_salvaged_whatever_the_clock_says_and_was_set_aside_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock_s: int, before: str
) -> None:
    if before:
        (tmp_path / before).write_bytes(b"of a month ago")
    readable = damaged_outbox(tmp_path, 0, 500)
    monkeypatch.setattr(time, "time", lambda: float(clock_s))
    monkeypatch.setattr(time, "time_ns", lambda: clock_s * 1_000_000_000)
    outbox = open_outbox(tmp_path)
    held(outbox)  # reading meets the damage
    assert len(numbers(outbox)) >= readable
    assert outbox.corrupt_file is not None
    assert outbox.corrupt_file.exists()


def test_of_several_damaged_outboxes_the_newest_is_kept_and_all_are_salvaged(tmp_path: Path) -> None:
    total = 0
    for number in range(12):
        total += damaged_outbox(tmp_path, number * 1000, 100)
        outbox = open_outbox(tmp_path)
        held(outbox)
        newest = outbox.corrupt_file
        outbox.close()
    assert newest is not None
    assert [file.name for file in tmp_path.glob("outbox.corrupt-*")] == [newest.name]
    assert newest.name == "outbox.corrupt-12.sqlite3"
    assert len(numbers(open_outbox(tmp_path))) >= total


def test_what_a_full_disk_kept_from_being_salvaged_is_salvaged_later_also_after_a_restart(
    tmp_path: Path,
) -> None:
    readable = damaged_outbox(tmp_path, 0, 2000)
    with largest_file(64 * 1024):
        outbox = open_outbox(tmp_path)
        held(outbox)
        outbox.put([message(9001)])
        assert outbox.problem is not None
        outbox.close()
    again = open_outbox(tmp_path)
    again.put([message(9002)])
    assert again.problem is None
    found = numbers(again)
    assert len([number for number in found if number < 2000]) >= readable
    assert 9002 in found
    assert not list(tmp_path.glob("outbox.damaged-*"))


def test_messages_put_while_salvage_waits_for_the_disk_take_nobodys_place(tmp_path: Path) -> None:
    readable = damaged_outbox(tmp_path, 0, 2000)
    with largest_file(64 * 1024):
        outbox = open_outbox(tmp_path)
        outbox.put([message(9001)])
    outbox.put([message(9002)])
    found = numbers(outbox)
    assert len([number for number in found if number < 2000]) >= readable
    assert {9001, 9002} <= set(found)
    assert outbox.count == len(found)


def test_only_the_owner_can_read_the_outbox_and_its_journal(tmp_path: Path) -> None:
    for name in ("outbox.sqlite3", "outbox.sqlite3-wal"):  # of an edge before
        (tmp_path / name).touch(0o644)
    before = os.umask(0o022)
    try:
        outbox = open_outbox(tmp_path)
        outbox.put([message(1)])
    finally:
        os.umask(before)
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()}
    assert modes.keys() >= {"outbox.sqlite3", "outbox.sqlite3-wal", "outbox.sqlite3-shm"}
    assert set(modes.values()) == {"0o600"}
