"""A send queue over a real outbox, a broker that takes, refuses and breaks off, and a disk with faults, for tests.

Beside them stands the simplest model of what must hold: which messages were put, and which of them the broker
acknowledged for long enough that it can't forget them.
"""

from __future__ import annotations

import random
import resource
from pathlib import Path

from sgmp_edge.delivery.outbox import Message, Outbox
from sgmp_edge.delivery.queue import SendQueue, Ticket
from sgmp_edge.delivery.rates import Limits

LIMITS = Limits(publishes_per_s=2000.0, bytes_per_s=10.0**6, backlog_spread_s=2.0, resend_s=5.0)
UNLIMITED = resource.RLIM_INFINITY


class Sending:
    """`now`: monotonic seconds. `max_in_memory` is the module's constant, as the test has set it."""

    def __init__(self, folder: Path, seed: int, max_in_memory: int) -> None:
        self.file = folder / "outbox.sqlite3"
        self.chance = random.Random(seed)
        self.now = 100.0
        self.put_count = 0
        self.delivered: set[int] = set()
        """Acknowledged at least once."""
        self.final: set[int] = set()
        """Acknowledged, and the connection stood long enough afterwards."""
        self.may_be_lost: set[int] = set()
        self.connected = False
        self.sent = 0
        self._max_in_memory = max_in_memory
        self._max_in_flight = 64
        self._in_flight: dict[int, Ticket] = {}
        self._acknowledged: dict[int, float] = {}
        self._old: list[Ticket] = []
        self._live: set[int] = set()
        self._waiting: set[int] = set()
        self._file = 0
        self._open()

    # --- What can happen -----------------------------------------------------------------------------------------

    def put(self, count: int, *, live: bool) -> None:
        numbers = range(self.put_count, self.put_count + count)
        self.put_count += count
        messages = [Message(1, "meter", number, "data", b"x" * 40) for number in numbers]
        self.queue.put(messages, {"device/1": str(self.put_count)}, live=live)
        if not self.connected or not live:
            return
        if len(self._live) + count > self._max_in_memory:
            self._live.clear()
            self._waiting.clear()
        else:
            self._live.update(numbers)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.queue.remove_acknowledged(self.now)
        if self.connected:
            final = {n for n, at in self._acknowledged.items() if at <= self.now - LIMITS.resend_s}
            self.final |= final
            for number in final:
                del self._acknowledged[number]

    def connect(self, max_in_flight: int = 64) -> None:
        self._forget_connection()
        self._max_in_flight = max_in_flight
        self.connected = True
        self.queue.connected(self.now, max_in_flight)

    def disconnect(self) -> None:
        self._forget_connection()
        self.connected = False
        self.queue.disconnected()

    def send(self, at_most: int = 1000) -> float:
        """Take what may go now; seconds until more may."""
        for _ in range(at_most):
            file = self.outbox.file_number
            step = self.queue.next(self.now)
            if self.outbox.file_number != file or self._file != file:
                self._file = self.outbox.file_number
                self._live.clear()
                self._waiting.clear()
            if not isinstance(step, Ticket):
                return step
            self._check(step)
        return 0.0

    def answer(self, *, taken: bool, old: bool = False) -> None:
        """The broker answers one attempt, of the present connection or of an old one."""
        if old:
            if self._old:
                self.queue.answered(self._old.pop(), taken=taken, now=self.now)
            return
        if not self._in_flight:
            return
        number = self.chance.choice(list(self._in_flight))
        ticket = self._in_flight.pop(number)
        self.queue.answered(ticket, taken=taken, now=self.now)
        if taken:
            self.delivered.add(number)
            self._acknowledged[number] = self.now
        else:
            self._waiting.add(number)
            if len(self._waiting) > self._max_in_memory:
                self._waiting.clear()
                self._live.clear()

    def restart(self, *, killed: bool = False) -> None:
        """End the process and start it again. What only memory holds is gone if it was `killed`, or the disk is full."""
        before = self.held() if self.outbox.in_memory else set()
        if not killed:
            self.outbox.close()
        self._close_and_open()
        if before:
            self.may_be_lost |= before - self.held()

    def damage(self) -> None:
        """The card changes a page of the file while the edge is off. What can't be read of it is lost."""
        self.heal_disk()
        before = self.held()
        self.outbox.close()
        content = bytearray(self.file.read_bytes())
        at = self.chance.randrange(len(content) // 4096) * 4096
        content[at : at + 512] = bytes(512)
        self.file.write_bytes(content)
        self._close_and_open()
        self.held()  # reading meets the damage
        self.may_be_lost |= before - self.held()

    def fill_disk(self) -> None:
        size = max(
            (
                path.stat().st_size
                for path in self.file.parent.iterdir()
                if path.name.startswith(self.file.name)
            ),
            default=0,
        )
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, UNLIMITED))

    def heal_disk(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
        self.outbox.flush()

    def settle(self) -> None:
        """All is well from now on: everything arrives, and the outbox becomes empty."""
        self.heal_disk()
        if not self.connected:
            self.connect()
        for _ in range(20_000):
            wait_s = self.send()
            while self._in_flight:
                self.answer(taken=True)
            self.passes(max(wait_s, 0.01))
            if not self.outbox.count:
                break
        assert not self.held(), "messages stay in the outbox although the broker takes everything"
        assert set(range(self.put_count)) <= self.delivered | self.may_be_lost

    def close(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
        self.outbox.close()

    # --- What must hold ------------------------------------------------------------------------------------------

    def held(self) -> set[int]:
        stored = self.outbox.after(0, self.outbox.next_id, 10**6)
        if stored is None:
            stored = self.outbox.after(0, self.outbox.next_id, 10**6)
        assert stored is not None
        return {each.message.timestamp_ms for each in stored}

    def check_nothing_left_the_disk_before_it_arrived(self) -> None:
        missing = set(range(self.put_count)) - self.held()
        assert missing <= self.final | self.may_be_lost, missing - self.final - self.may_be_lost

    def check_nothing_is_stranded(self) -> None:
        assert not self.queue.strands_any()

    def _check(self, ticket: Ticket) -> None:
        number = ticket.stored.message.timestamp_ms
        assert self.connected
        assert number not in self._in_flight, f"{number} is sent twice at once"
        assert number not in self._acknowledged, f"{number} is sent again over the connection that took it"
        assert not self._live or number in self._live, f"{number} goes before live messages"
        self._live.discard(number)
        self._waiting.discard(number)
        self._in_flight[number] = ticket
        self.sent += 1
        assert len(self._in_flight) <= self._max_in_flight

    # --- Parts ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self.outbox = Outbox(self.file, max_bytes=10**9)
        self.queue = SendQueue(self.outbox, LIMITS, chance=self.chance)
        self._file = self.outbox.file_number

    def _close_and_open(self) -> None:
        self._forget_connection()
        self._old.clear()
        self.connected = False
        del self.queue, self.outbox
        self._open()

    def _forget_connection(self) -> None:
        self._old = [*self._old, *self._in_flight.values()][-20:]
        self._in_flight.clear()
        self._acknowledged.clear()
        self._live.clear()
        self._waiting.clear()
