"""The outbox on a disk that takes nothing, from before it was started until there is room again."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from sgmp_edge.delivery.outbox import Message, Outbox
from tests.edge.small_disk import fill

pytestmark = pytest.mark.expected_warnings("The disk does not take readings")


def message(number: int) -> Message:
    return Message(1, "meter", number, "data", b"x" * 1000)


def held(outbox: Outbox) -> list[int]:
    return [each.message.timestamp_ms for each in outbox.after(0, outbox.next_id, 1000) or ()]


def filled_before(folder: Path) -> Path:
    """An outbox that was closed in order: neither journal nor its index are left beside it."""
    outbox = Outbox(folder / "outbox.sqlite3", max_bytes=10**8)
    outbox.put([message(number) for number in range(50)], {"device/1": "memory", "clock": "before"})
    outbox.close()
    return outbox.path


def check_start_without_a_disk(path: Path, heal: os.PathLike[str]) -> None:
    outbox = Outbox(path, max_bytes=10**8)
    assert outbox.problem is not None
    assert outbox.states() == {"device/1": "memory", "clock": "before"}
    (first,) = outbox.put([message(50)], {"device/1": "newer"})
    outbox.put([message(51)])
    assert outbox.states()["device/1"] == "newer"
    with suppress(NotADirectoryError):
        os.rmdir(heal)
    Path(heal).unlink(missing_ok=True)
    outbox.put([message(52)])
    assert outbox.problem is None
    assert outbox.corrupt_file is None
    assert held(outbox) == list(range(53))
    assert outbox.states() == {"device/1": "newer", "clock": "before"}
    outbox.remove([first.id])
    outbox.close()
    again = Outbox(path, max_bytes=10**8)
    assert (again.count, held(again)) == (52, [number for number in range(53) if number != 50])
    again.close()


def test_started_on_a_disk_that_takes_nothing_it_knows_what_was_and_doubles_no_id(tmp_path: Path) -> None:
    path = filled_before(tmp_path)
    index = path.with_name(path.name + "-shm")
    index.mkdir()  # where SQLite needs a file
    check_start_without_a_disk(path, index)


def test_started_without_being_able_to_read_it_all_is_there_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    path = filled_before(folder)
    folder.rename(tmp_path / "elsewhere")
    outbox = Outbox(path, max_bytes=10**8)
    outbox.put([message(50)])
    (tmp_path / "elsewhere").rename(folder)
    outbox.put([message(51)])
    assert outbox.corrupt_file is None
    assert held(outbox) == list(range(52))
    outbox.close()


def test_started_on_a_full_disk_it_goes_on_in_memory_and_brings_everything_to_disk_later(
    small_disk: Path,
) -> None:
    path = filled_before(small_disk)
    check_start_without_a_disk(path, fill(small_disk))


def test_a_disk_that_fills_up_meanwhile_loses_nothing(small_disk: Path) -> None:
    path = filled_before(small_disk)
    outbox = Outbox(path, max_bytes=10**8)
    filler = fill(small_disk)
    for number in range(50, 300):
        outbox.put([message(number)])
    assert outbox.problem is not None
    assert outbox.in_memory > 0
    assert held(outbox) == list(range(300))
    filler.unlink()
    assert outbox.flush()
    assert outbox.in_memory == 0
    assert held(outbox) == list(range(300))
    outbox.close()
