"""Between receiving and storing: bounded, in turn, and nothing twice."""

from __future__ import annotations

from collections import Counter

import pytest

from sgmp_console.ingest import inbox as inbox_module
from sgmp_console.ingest.inbox import Inbox, Message, Receipt


def message(house: int, number: int, *, connection: int = 1, size: int = 1) -> Message:
    topic = f"sgmp_read/sgmp_house_{house}/1/meter/{number}/data"
    return Message(topic, b"x" * size, number, (Receipt(connection, number % 65_535 + 1),))


def take(inbox: Inbox, most: int = 100, most_bytes: int = 10**9) -> list[Message]:
    return inbox.take(most, most, most_bytes, wait_s=0.0, fill_s=0.0)


def houses(messages: list[Message]) -> Counter[str]:
    return Counter(one.sender for one in messages)


def test_messages_come_out_in_order() -> None:
    inbox = Inbox()
    inbox.put(message(1, number) for number in range(10))
    assert [one.received_ms for one in take(inbox)] == list(range(10))
    assert len(inbox) == 0


def test_a_house_that_floods_leaves_others_their_turn() -> None:
    inbox = Inbox()
    inbox.put(message(1, number) for number in range(5_000))
    inbox.put(message(house, number) for house in (2, 3) for number in range(40))
    first = houses(take(inbox, most=99))
    assert first == {"sgmp_house_1": 33, "sgmp_house_2": 33, "sgmp_house_3": 33}
    second = houses(take(inbox, most=99))
    assert (second["sgmp_house_2"], second["sgmp_house_3"]) == (7, 7)


def test_what_others_do_not_need_goes_to_the_one_that_does() -> None:
    inbox = Inbox()
    inbox.put(message(1, number) for number in range(500))
    inbox.put([message(2, 0)])
    assert houses(take(inbox)) == {"sgmp_house_1": 99, "sgmp_house_2": 1}


def test_a_batch_is_bounded_in_bytes() -> None:
    inbox = Inbox()
    inbox.put(message(1, number, size=1000) for number in range(50))
    assert 1 <= len(take(inbox, most_bytes=5_000)) <= 6
    inbox.put([message(2, 0, size=100_000)])
    taken = 0
    while len(inbox):
        taken += len(take(inbox, most_bytes=5_000))
    assert taken >= 45


def test_it_says_when_it_is_full_and_when_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "MAX_MESSAGES", 10)
    inbox = Inbox()
    inbox.put(message(1, number) for number in range(10))
    assert inbox.full
    take(inbox, most=1)
    assert not inbox.full


def test_it_is_full_by_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "MAX_BYTES", 2_000)
    inbox = Inbox()
    inbox.put([message(1, 1, size=2_000)])
    assert inbox.full
    take(inbox)
    assert not inbox.full


def test_a_message_that_comes_again_is_one_and_both_receipts_are_kept() -> None:
    inbox = Inbox()
    inbox.put([message(1, 7), message(1, 8)])
    inbox.put([message(1, 7, connection=2)])
    first, second = take(inbox)
    assert [receipt.connection for receipt in first.receipts] == [1, 2]
    assert second.received_ms == 8


def test_arrivals_are_counted_by_house_since_the_last_look() -> None:
    inbox = Inbox()
    inbox.put([message(1, 1), message(1, 2), message(2, 1)])
    assert inbox.arrived() == {"sgmp_house_1": 2, "sgmp_house_2": 1}
    assert inbox.arrived() == {}
