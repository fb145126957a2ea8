"""What the queue sends next, rule by rule; the clock is a number."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgmp_edge.delivery import queue as queue_module
from sgmp_edge.delivery.outbox import Message, Outbox
from sgmp_edge.delivery.queue import SendQueue, Ticket
from sgmp_edge.delivery.rates import Limits

FAST = Limits(publishes_per_s=10_000, bytes_per_s=1e9)


def messages(first: int, count: int) -> list[Message]:
    return [Message(1, "meter", number, "data", b"{}") for number in range(first, first + count)]


class Queue:
    """A queue over an outbox in a folder, and the numbers of what it sends."""

    def __init__(self, folder: Path, limits: Limits = FAST, max_bytes: int = 50_000_000) -> None:
        self.outbox = Outbox(folder / "outbox.sqlite3", max_bytes=max_bytes)
        self.queue = SendQueue(self.outbox, limits)

    def put(self, first: int, count: int, *, live: bool = True) -> None:
        self.queue.put(messages(first, count), {}, live=live)

    def send(self, now: float) -> list[Ticket]:
        """All that may go at once."""
        tickets = []
        while isinstance(ticket := self.queue.next(now), Ticket):
            tickets.append(ticket)
        return tickets


def numbers(tickets: list[Ticket]) -> list[int]:
    return [ticket.stored.message.timestamp_ms for ticket in tickets]


def test_an_answer_of_an_earlier_connection_says_nothing_about_this_one(tmp_path: Path) -> None:
    sending = Queue(tmp_path)
    sending.queue.connected(0.0, 100)
    sending.put(1, 1)
    (before,) = sending.send(0.0)
    sending.queue.disconnected()
    sending.queue.connected(1.0, 100)
    assert numbers(sending.send(1.0)) == [1]
    sending.queue.answered(before, taken=True, now=1.0)
    assert sending.queue.backlog == 1
    sending.outbox.close()


@pytest.mark.parametrize(
    ("count", "waits"), [(queue_module.SMALL_BACKLOG, False), (queue_module.SMALL_BACKLOG + 1, True)]
)
def test_only_a_large_backlog_waits_a_moment(tmp_path: Path, count: int, waits: bool) -> None:
    sending = Queue(tmp_path, Limits(publishes_per_s=10_000, bytes_per_s=1e9, backlog_spread_s=1e6))
    sending.put(1, count)
    sending.queue.connected(0.0, 100)
    assert bool(sending.send(0.0)) is not waits
    sending.outbox.close()


def test_places_in_flight_and_part_of_the_rate_are_left_to_live_messages(tmp_path: Path) -> None:
    sending = Queue(tmp_path)
    sending.put(1, 100)
    sending.queue.connected(0.0, 100)
    assert len(sending.send(0.0)) == queue_module.MAX_IN_FLIGHT - queue_module.RESERVED_FOR_LIVE
    sending.put(1001, 20)
    assert numbers(sending.send(0.0)) == list(range(1001, 1001 + queue_module.RESERVED_FOR_LIVE))
    sending.outbox.close()


def test_the_backlog_leaves_part_of_the_rate_to_live_messages(tmp_path: Path) -> None:
    sending = Queue(tmp_path, Limits(publishes_per_s=40, bytes_per_s=1e9))
    sending.put(1, 100)
    sending.queue.connected(0.0, 100)
    backlog = len(sending.send(0.0))
    sending.put(1001, 20)
    assert backlog > 0
    assert len(sending.send(0.0)) >= 1
    sending.outbox.close()


def test_a_backlog_that_is_held_stays_so_over_a_new_connection(tmp_path: Path) -> None:
    sending = Queue(tmp_path)
    sending.put(1, 3)
    sending.queue.hold_backlog()
    sending.queue.connected(0.0, 100)
    assert sending.send(0.0) == []
    sending.outbox.close()


def test_the_oldest_message_is_the_oldest_that_did_not_arrive(tmp_path: Path) -> None:
    sending = Queue(tmp_path)
    sending.queue.connected(0.0, 100)
    sending.put(1, 3)
    first, *_ = sending.send(0.0)
    sending.queue.answered(first, taken=True, now=0.0)
    assert sending.outbox.oldest_ms(sending.queue.acknowledged) == 2
    sending.outbox.close()


@pytest.mark.expected_warnings("outbox: The outbox is full")
def test_what_a_full_outbox_drops_is_counted_but_for_what_arrived(tmp_path: Path) -> None:
    sending = Queue(tmp_path, max_bytes=64 * 1024)
    sending.put(1, 3_000)
    assert sending.outbox.dropped == 3_000 - sending.outbox.count > 0
    sending.queue.connected(0.0, 100)
    sending.queue.hurry_backlog()
    arrived = sending.send(1.0)
    for ticket in arrived:
        sending.queue.answered(ticket, taken=True, now=1.0)
    sending.put(10_000, 3_000, live=False)
    assert sending.outbox.dropped + len(arrived) == 6_000 - sending.outbox.count
    assert arrived
    sending.outbox.close()
