"""What goes to the broker next. No thread and no connection: the caller says what happened and when (monotonic seconds).

Each message of the outbox is in exactly one place:

- *live*: put while connected, to be sent at once;
- *waiting*: the broker did not take it; it is sent again later;
- *in flight*: sent over the present connection, not answered yet;
- *acknowledged*: over the present connection, and kept until the broker can't forget it any more;
- *page*: of the backlog, read from the disk and sent next;
- *unread*: of the backlog, on the disk between `_cursor` and `_unread_before`, and in none of the places above.

Whatever makes that uncertain (a new connection, another file under the outbox, too many messages in memory) ends in
`_rewind`: everything but what is in flight or acknowledged is unread again. So a message may be sent twice, which the
database ignores, and none is forgotten.
"""

from __future__ import annotations

import logging
import math
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sgmp_edge.backoff import BackOff

from .acknowledgements import Acknowledgements
from .outbox import Message, Outbox, Stored
from .rates import Bucket, Limits

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 64
"""Publishes without acknowledgement at a time."""
RESERVED_FOR_LIVE = 16
"""Of these, places that the backlog leaves free."""
MAX_IN_MEMORY = 1000
"""Messages that are live, and that wait; more become backlog."""
PAGE_SIZE = 64
"""Messages read from the disk at a time."""
SMALL_BACKLOG = 200
"""Messages that are not worth spreading out."""
RETRY = BackOff(2.0, 300.0)
"""Of a message that the broker did not take, and of the backlog at a broker that takes nothing."""
OVERHEAD_BYTES = 120
"""Topic and headers of a publish."""
BACKLOG_RESERVE = 0.3
"""Share of a burst of the rate limits that the backlog leaves to live messages."""
IDLE_S = 1.0
"""How soon to ask again when nothing is to be sent."""


@dataclass(frozen=True)
class Ticket:
    """One attempt to send a message. Its answer counts only while its connection stands."""

    connection: int
    stored: Stored


class SendQueue:
    """Messages of `outbox` in the order in which they go.

    After a new connection a large backlog waits a random moment, so that a fleet does not return all at once.
    """

    def __init__(self, outbox: Outbox, limits: Limits, *, chance: random.Random | None = None) -> None:
        self.acknowledged = Acknowledgements(limits.resend_s)
        self._outbox = outbox
        self._limits = limits
        self._chance = chance or random.Random()  # noqa: S311 - no secret
        self._messages = Bucket(limits.publishes_per_s)
        self._bytes = Bucket(limits.bytes_per_s)
        self._connection = 0
        self._connected = False
        self._max_in_flight = MAX_IN_FLIGHT
        self._in_flight: set[int] = set()
        self._live: deque[Stored] = deque()
        self._waiting: dict[int, tuple[float, Stored]] = {}
        self._tries: dict[int, int] = {}
        self._page: deque[Stored] = deque()
        self._cursor = 0
        self._unread_before = outbox.next_id
        self._file = outbox.file_number
        self._refused_backlogs = 0
        self._backlog_at = 0.0
        outbox.expendable = self.acknowledged

    # --- What happened -------------------------------------------------------------------------------------------

    def put(
        self, messages: Sequence[Message], states: Mapping[str, str | None], *, live: bool = True
    ) -> None:
        """Store messages and texts of state in one transaction; not `live`: they go with the backlog."""
        stored = self._outbox.put(messages, states)
        if not self._connected or not live:
            self._unread_before = self._outbox.next_id
        elif len(self._live) + len(stored) > MAX_IN_MEMORY:
            self._rewind()
        else:
            self._live.extend(stored)

    def connected(self, now: float, max_in_flight: int) -> None:
        """A new connection stands; the broker takes so many messages without having acknowledged them."""
        self._connection += 1
        self._connected = True
        self._max_in_flight = max(min(MAX_IN_FLIGHT, max_in_flight), 1)
        self._forget_connection()
        self._refused_backlogs = 0
        size = self._outbox.count
        wait_s = self._chance.uniform(0.0, self._limits.backlog_spread_s) if size > SMALL_BACKLOG else 0.0
        if math.isfinite(self._backlog_at):
            self._backlog_at = now + wait_s
        if size > SMALL_BACKLOG:
            log.info(
                "%d messages waited for the connection; they follow in %.0f s, beside live ones", size, wait_s
            )

    def disconnected(self) -> None:
        """Nothing can be sent; of what was on its way, and of what was acknowledged shortly before, nothing is certain."""
        self._connected = False
        self._forget_connection()

    def answered(self, ticket: Ticket, *, taken: bool, now: float) -> None:
        """The broker acknowledged a message, or did not take it."""
        stored = ticket.stored
        if ticket.connection != self._connection or stored.id not in self._in_flight:
            return
        self._in_flight.discard(stored.id)
        if taken:
            self._refused_backlogs = 0
            self._tries.pop(stored.id, None)
            self.acknowledged.add(stored.id, now)
            return
        tries = self._tries[stored.id] = self._tries.get(stored.id, 0) + 1
        self._waiting[stored.id] = (now + RETRY.after(tries), stored)
        if len(self._waiting) > MAX_IN_MEMORY:
            self._refused_backlogs += 1
            self._rewind()
            self._backlog_at = max(self._backlog_at, now + RETRY.after(self._refused_backlogs))

    def remove_acknowledged(self, now: float) -> None:
        """Take out of the outbox what arrived for good."""
        final = self.acknowledged.take_final(now) if self._connected else []
        if final:
            self._outbox.remove(final)

    def hold_backlog(self) -> None:
        """Send no more of the backlog: it waits for the next start."""
        self._backlog_at = math.inf

    def hurry_backlog(self) -> None:
        """Send the backlog without waiting."""
        self._backlog_at = -math.inf

    # --- What goes -----------------------------------------------------------------------------------------------

    def next(self, now: float) -> Ticket | float:
        """The message to send now, or seconds after which to ask again."""
        if not self._connected:
            return IDLE_S
        self._notice_other_file()
        if len(self._in_flight) >= self._max_in_flight:
            return IDLE_S
        if self._live:
            wait_s = self._wait_s(now, self._live[0])
            return wait_s if wait_s > 0.0 else self._take(self._live.popleft())
        retry = next((stored for due, stored in self._waiting.values() if due <= now), None)
        if retry is not None:
            wait_s = self._wait_s(now, retry)
            if wait_s > 0.0:
                return wait_s
            del self._waiting[retry.id]
            return self._take(retry)
        if now < self._backlog_at:
            return min(self._backlog_at - now, IDLE_S)
        if len(self._in_flight) >= max(self._max_in_flight - RESERVED_FOR_LIVE, 1) or not self._read_page():
            return IDLE_S
        wait_s = self._wait_s(now, self._page[0], BACKLOG_RESERVE)
        return wait_s if wait_s > 0.0 else self._take(self._page.popleft())

    @property
    def backlog(self) -> int:
        """Messages not yet acknowledged."""
        return max(self._outbox.count - len(self.acknowledged), 0)

    @property
    def is_idle(self) -> bool:
        """Whether no live message is left to send, and none is in flight."""
        return not self._live and not self._in_flight

    def strands_any(self) -> bool:
        """Whether the outbox holds a message that is in no place. Never, unless there is a fault in this class."""
        everything_is_read = not self._page and self._cursor + 1 >= self._unread_before
        known = len(self.acknowledged) + len(self._in_flight) + len(self._live) + len(self._waiting)
        same_file = self._file == self._outbox.file_number
        return everything_is_read and same_file and self._outbox.count > known

    def _take(self, stored: Stored) -> Ticket:
        self._messages.take(1.0)
        self._bytes.take(len(stored.message.payload) + OVERHEAD_BYTES)
        self._in_flight.add(stored.id)
        return Ticket(self._connection, stored)

    def _wait_s(self, now: float, stored: Stored, reserve: float = 0.0) -> float:
        size = len(stored.message.payload) + OVERHEAD_BYTES
        return max(self._messages.wait_s(now, 1.0, reserve), self._bytes.wait_s(now, size, reserve))

    def _read_page(self) -> bool:
        """Have the next messages of the backlog in `_page`. False if there are none, or the disk does not say."""
        while not self._page and self._cursor + 1 < self._unread_before:
            page = self._outbox.after(self._cursor, self._unread_before, PAGE_SIZE)
            if page is None:
                return False
            if self._notice_other_file():
                continue
            self._cursor = page[-1].id if page else self._unread_before - 1
            # None of them is live: the backlog is read only when all that is live was sent.
            elsewhere = (self._in_flight, self._waiting, self.acknowledged)
            self._page.extend(stored for stored in page if not any(stored.id in place for place in elsewhere))
        return bool(self._page)

    def _notice_other_file(self) -> bool:
        """Messages may have come back, or be seen for the first time, anywhere in a file that was opened again."""
        if self._file == self._outbox.file_number:
            return False
        self._rewind()
        return True

    def _forget_connection(self) -> None:
        self._in_flight.clear()
        self.acknowledged.clear()
        self._rewind()

    def _rewind(self) -> None:
        self._live.clear()
        self._waiting.clear()
        self._tries.clear()
        self._page.clear()
        self._cursor = 0
        self._unread_before = self._outbox.next_id
        self._file = self._outbox.file_number
