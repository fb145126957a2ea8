"""What comes back of an outbox whose file was damaged, however."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sgmp_edge.delivery.outbox import Message, Outbox

pytestmark = pytest.mark.expected_warnings("outbox: ")

PAGE = 4096
COUNT = 400


def message(number: int, size: int) -> Message:
    return Message(1, "meter", 1_700_000_000_000 + number, "data", str(number).encode().ljust(size))


def numbers(folder: Path) -> list[int]:
    """Of the messages that a new outbox of the folder holds."""
    outbox = Outbox(folder / "outbox.sqlite3", max_bytes=50_000_000)
    outbox.after(0, outbox.next_id, 1)  # reading meets the damage
    stored = outbox.after(0, outbox.next_id, 1_000_000) or []
    assert outbox.problem is None
    outbox.close()
    return [each.message.timestamp_ms - 1_700_000_000_000 for each in stored]


def pages(*places: float) -> Callable[[bytearray], None]:
    """Overwrites pages, by their place in the file from 0 to 1."""

    def damage(content: bytearray) -> None:
        for place in places:
            at = int(len(content) * place) // PAGE * PAGE
            content[at : at + PAGE] = b"\xa5" * PAGE

    return damage


def bits(content: bytearray) -> None:
    chance = random.Random(1)
    for _ in range(12):
        content[chance.randrange(PAGE, len(content))] ^= 1 << chance.randrange(8)


def cut(content: bytearray) -> None:
    del content[len(content) * 2 // 3 :]


def head(content: bytearray) -> None:
    content[:16] = bytes(16)


@pytest.mark.parametrize("size", [200, 4_200, 9_000])
@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (pages(0.3, 0.7), 0.1),
        (pages(0), 0.05),
        (pages(0.2, 0.4, 0.6, 0.8), 0.2),
        (bits, 0.4),
        (cut, 0.4),
        (head, 0),
    ],
)
def test_each_sound_message_of_a_damaged_file_is_saved(
    tmp_path: Path, damage: Callable[[bytearray], None], lost: float, size: int
) -> None:
    count = COUNT if size < PAGE else COUNT // 4
    outbox = Outbox(tmp_path / "outbox.sqlite3", max_bytes=50_000_000)
    outbox.put([message(number, size) for number in range(count)])
    outbox.close()
    content = bytearray((tmp_path / "outbox.sqlite3").read_bytes())
    damage(content)
    (tmp_path / "outbox.sqlite3").write_bytes(content)
    saved = numbers(tmp_path)
    # With the rest of their payloads elsewhere, some eight rows lie in a page.
    assert len(saved) >= count * (1 - lost) - (8 * 4 if size == 4_200 and lost else 0)
    assert saved == sorted(set(saved))


def test_what_arrived_long_ago_does_not_come_back_out_of_free_pages(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite3", max_bytes=50_000_000)
    stored = outbox.put([message(number, 200) for number in range(COUNT)])
    outbox.remove(each.id for each in stored[: COUNT // 2])
    outbox.close()
    content = bytearray((tmp_path / "outbox.sqlite3").read_bytes())
    pages(0.75)(content)
    (tmp_path / "outbox.sqlite3").write_bytes(content)
    assert min(numbers(tmp_path)) >= COUNT // 2


def test_what_cannot_be_removed_keeps_no_message_from_being_saved(tmp_path: Path) -> None:
    for name in ("outbox.corrupt-7.sqlite3", "outbox.damaged-1.sqlite3"):
        (tmp_path / name).mkdir()
    outbox = Outbox(tmp_path / "outbox.sqlite3", max_bytes=50_000_000)
    outbox.put([message(1, 20)])
    outbox.close()
    assert numbers(tmp_path) == [1]
