"""From disk to the broker: what is put goes to disk first, leaves it only when the broker has acknowledged it, and
what is live goes before what has waited.

Two lanes. *Live*: messages put while connected, sent at once. *Backlog*: everything else in the outbox, oldest first,
beside the live lane and within what the broker's rates leave over. A house returning from an outage waits a random
moment before its backlog, so that a fleet does not return all at once.

A broker may lose what it acknowledged when it is killed before it has written it down (Mosquitto writes by the
clock). So an acknowledged message stays for `resend_s` more seconds of a standing connection, and is sent again when
the connection broke meanwhile; the database ignores what it has.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sgmp_edge.threads import Loop

from .outbox import Message, Outbox, Stored
from .publisher import CannotConnect, Connection, Down, Handlers
from .rates import Bucket, Limits

log = logging.getLogger(__name__)

IN_FLIGHT = 64
"""Publishes without acknowledgement at a time."""
IN_FLIGHT_FOR_LIVE = 16
"""Of these, places the backlog leaves free."""
LIVE_LIMIT = 1000
"""Messages waiting in the live lane; more become backlog."""
PAGE = 64
SMALL_BACKLOG = 200
"""Messages that are not worth spreading out."""
RETRY_S = (2.0, 300.0)
REMOVE_EVERY_S = 2.0
RETRY_DISK_S = 5.0
LOOK_AGAIN_S = 30.0
REOPEN_S = 60.0
SHORT_S = 300.0
SUSPICIOUS_HANG_UPS = 3
"""Connections in a row that the broker closed within SHORT_S, without an attempt failing in between."""


@dataclass(frozen=True)
class Status:
    """How the courier is doing; a snapshot that any thread may read."""

    connected: bool = False
    backlog: int = 0
    """Messages not yet acknowledged."""
    oldest_ms: int | None = None
    dropped: int = 0
    in_memory: int = 0
    disk_problem: str | None = None
    takeovers: int = 0


class Courier:
    """Owns outbox and connection, on a thread of its own. `put`, `state` and `status` are for other threads."""

    def __init__(
        self,
        outbox: Outbox,
        topic_of: Callable[[Message], str],
        connect: Callable[[Handlers], Connection] | None,
        *,
        limits: Limits,
        on_message: Callable[[str, bytes, bool], None] = lambda topic, payload, retained: None,
        on_stored: Callable[[Message], None] = lambda message: None,
        on_connected: Callable[[], None] = lambda: None,
        on_takeover: Callable[[], None] = lambda: None,
    ) -> None:
        """`connect` None: nothing is sent.

        `on_message` (topic, payload, retained) is called on awscrt's thread, `on_stored` (each message, once it is on
        the disk), `on_connected` and `on_takeover` on the courier's.
        """
        self.loop = Loop("courier", self._wake)
        self.status = Status()
        self._outbox = outbox
        self._topic_of = topic_of
        self._connect = connect
        self._connection: Connection | None = None
        self._limits = limits
        self._on_message = on_message
        self._on_stored = on_stored
        self._on_connected = on_connected
        self._on_takeover = on_takeover
        self._messages = Bucket(limits.publishes_per_s, time.monotonic)
        self._bytes = Bucket(limits.bytes_per_s, time.monotonic)
        self._acknowledged_ids: set[int] = set()
        outbox.expendable = self._acknowledged_ids
        self._connected = False
        self._session = 0
        self._allowed = IN_FLIGHT
        self._down_reason = ""
        self._up_at = 0.0
        self._hang_ups = 0
        self._takeovers = 0
        self._live: deque[Stored] = deque()
        self._live_from = 0
        self._backlog: deque[Stored] = deque()
        self._cursor = 0
        self._drained = False
        self._drain_at = 0.0
        self._in_flight: set[int] = set()
        self._unstored = 0
        self._retries: dict[int, int] = {}
        self._refusals = 0
        self._later: list[tuple[float, Stored]] = []
        self._acknowledged: deque[tuple[float, int]] = deque()
        self._remove_at = 0.0
        self._disk_at = 0.0
        self._look_again_at = 0.0
        self._reopen_at: float | None = None
        self._unsaid: list[Message] = []
        self._said_not_taken = False
        self._end_at: float | None = None
        self._farewell: Message | None = None
        self._send_all = False

    # --- For other threads ---------------------------------------------------------------------------------------

    def start(self) -> None:
        if self._connect is not None:
            self.loop.post(self._open)
        self.loop.start()

    def put(
        self,
        messages: Sequence[Message],
        states: Mapping[str, str | None],
        *,
        live: bool = True,
        then: Callable[[bool], None] | None = None,
    ) -> None:
        """Have messages and states stored in one transaction, and sent; not `live`: with the backlog.

        `then` is called on the courier's thread: True when they are on the disk, False when in memory only.
        """
        self.loop.post(partial(self._put, tuple(messages), dict(states), live, then))

    def publish_unstored(self, message: Message) -> None:
        """Send something that is worthless later (a status), if connected; it never touches the disk."""
        self.loop.post(partial(self._publish_unstored, message))

    def renew(self) -> None:
        """Connect anew, with whatever credentials `connect` finds now."""
        self.loop.post(self._renew)

    def refresh_status(self, done: Callable[[Status], None]) -> None:
        """Call `done`, on the courier's thread, with a status of this moment."""
        self.loop.post(lambda: done(self._snapshot()))

    def stop(self, timeout_s: float, farewell: Message | None = None, *, send_all: bool = False) -> None:
        """Give what is on its way up to `timeout_s` seconds, then disconnect and close the outbox.

        `send_all`: the backlog, too, and waiting for a connection.
        """
        deadline = time.monotonic() + timeout_s
        self.loop.post(partial(self._begin_end, deadline, farewell, send_all))
        if not self.loop.join(timeout_s + 1.0):
            log.warning("Sending did not end in time; what was not acknowledged is sent after the next start")

    # --- On the courier's thread ---------------------------------------------------------------------------------

    def _open(self) -> None:
        assert self._connect is not None  # noqa: S101 - start() checks
        session = self._session = self._session + 1
        self._reopen_at = time.monotonic() + REOPEN_S  # whatever may be raised below
        handlers = Handlers(
            on_up=lambda allowed: self.loop.post(partial(self._up, session, allowed)),
            on_down=lambda down: self.loop.post(partial(self._down, session, down)),
            on_message=self._on_message,
        )
        try:
            self._connection = self._connect(handlers)
        except CannotConnect as error:
            log.error("No connection can be made, the next attempt is in a minute: %s", error)
            return
        self._connection.start()
        self._reopen_at = None

    def _renew(self) -> None:
        if self._connection is not None:
            self._connection.stop(2.0)
            self._connection = None
        self._down(self._session, Down("connecting anew"))
        self._in_flight.clear()
        self._reopen_at = time.monotonic()

    def _up(self, session: int, allowed: int) -> None:
        if session != self._session:
            return
        log.info("Connected to the broker")
        self._connected, self._down_reason, self._up_at = True, "", time.monotonic()
        self._allowed = max(min(IN_FLIGHT, allowed), 1)
        self._said_not_taken = False
        # What was acknowledged shortly before the break may be lost: it is sent again with the backlog.
        self._acknowledged.clear()
        self._acknowledged_ids.clear()
        self._refusals = 0
        self._retries.clear()
        self._later.clear()
        self._live.clear()
        self._all_is_backlog()
        size = self._outbox.count
        spread = self._limits.backlog_spread_s if size > SMALL_BACKLOG else 0.0
        wait = random.uniform(0.0, spread)  # noqa: S311 - no secret
        self._drain_at = time.monotonic() + wait
        if size > SMALL_BACKLOG:
            log.info(
                "%d messages waited for the connection; they follow in %.0f s, beside live ones", size, wait
            )
        self._on_connected()

    def _down(self, session: int, down: Down) -> None:
        if session != self._session:
            return
        if self._connected and down.hung_up and time.monotonic() - self._up_at < SHORT_S:
            self._hang_ups += 1
        elif not down.taken_over:
            self._hang_ups = 0
        # Not each broker says so: one that closes each new connection soon, and takes the next at once, means the same.
        if down.taken_over or self._hang_ups >= SUSPICIOUS_HANG_UPS:
            self._takeovers += 1
            log.error(
                "Another program connects with this house's credentials; each of the two cuts the other off"
            )
            self._on_takeover()
        elif down.why != self._down_reason:
            log.warning("No connection to the broker: %s", down.why)
        self._connected, self._down_reason = False, down.why

    def _all_is_backlog(self) -> None:
        self._live_from = self._outbox.next_id
        self._cursor = 0
        self._drained = False
        self._backlog.clear()

    def _put(
        self,
        messages: tuple[Message, ...],
        states: dict[str, str | None],
        live: bool,
        then: Callable[[bool], None] | None,
    ) -> None:
        stored = self._outbox.put(messages, states)
        if then is not None:
            then(self._outbox.problem is None)
        if self._connected and not live:
            self._live_from = self._outbox.next_id
            self._drained = False
        elif self._connected and len(self._live) + len(stored) > LIVE_LIMIT:
            self._live.clear()
            self._all_is_backlog()
        elif self._connected:
            self._live.extend(stored)
        self._unsaid += messages
        self._tell_stored()

    def _tell_stored(self) -> None:
        if self._outbox.problem is not None:
            del self._unsaid[:-LIVE_LIMIT]
            return
        said, self._unsaid = self._unsaid, []
        for message in said:
            self._on_stored(message)

    def _publish_unstored(self, message: Message) -> None:
        if self._connected and self._connection is not None:
            self._unstored += 1
            self._connection.publish(
                self._topic_of(message), message.payload, lambda _: self.loop.post(self._unstored_done)
            )

    def _unstored_done(self) -> None:
        # A status that did not arrive is followed by the next one.
        self._unstored -= 1

    def _wake(self) -> float:
        now = time.monotonic()
        self._forget_acknowledged(now)
        if self._reopen_at is not None and now >= self._reopen_at and self._end_at is None:
            self._open()
        if self._outbox.problem is not None and now >= self._disk_at:
            self._disk_at = now + RETRY_DISK_S
            self._outbox.flush()
            self._tell_stored()
        wait = self._send(now) if self._connected else 1.0
        if self._end_at is not None:
            if self._is_over(now, self._end_at):
                self._end()
            return min(wait, 0.1)
        return min(wait, 1.0)

    def _send(self, now: float) -> float:
        """Publish what may go now; seconds until more may."""
        while True:
            stored, wait = self._next(now)
            if stored is None:
                return wait
            self._in_flight.add(stored.id)
            assert self._connection is not None  # noqa: S101 - connected
            done = partial(self._hand_over_done, self._session, stored)
            self._connection.publish(self._topic_of(stored.message), stored.message.payload, done)

    def _next(self, now: float) -> tuple[Stored | None, float]:
        if len(self._in_flight) >= self._allowed:
            return None, 1.0
        if self._live:
            wait = self._wait_s(self._live[0], reserve=0.0)
            if wait > 0.0:
                return None, wait
            return self._take(self._live.popleft()), 0.0
        due = next((each for each in self._later if each[0] <= now), None)
        if due is not None:
            wait = self._wait_s(due[1], reserve=0.0)
            if wait > 0.0:
                return None, wait
            self._later.remove(due)
            return self._take(due[1]), 0.0
        if now < self._drain_at:
            return None, self._drain_at - now
        if len(self._in_flight) >= max(self._allowed - IN_FLIGHT_FOR_LIVE, 1):
            return None, 1.0
        head = self._backlog_head()
        if head is None:
            return None, 1.0
        wait = self._wait_s(head, reserve=0.3)
        if wait > 0.0:
            return None, wait
        return self._take(self._backlog.popleft()), 0.0

    def _wait_s(self, stored: Stored, reserve: float) -> float:
        size = len(stored.message.payload) + 120  # with topic and headers
        return max(self._messages.wait_s(1.0, reserve), self._bytes.wait_s(size, reserve))

    def _take(self, stored: Stored) -> Stored:
        self._messages.take(1.0)
        self._bytes.take(len(stored.message.payload) + 120)
        return stored

    def _backlog_head(self) -> Stored | None:
        while not self._backlog and not self._drained:
            page = self._outbox.after(self._cursor, self._live_from, PAGE)
            if not page:
                self._drained = True
                return None
            self._cursor = page[-1].id
            self._backlog.extend(
                each
                for each in page
                if each.id not in self._in_flight and each.id not in self._acknowledged_ids
            )
        return self._backlog[0] if self._backlog else None

    def _hand_over_done(self, session: int, stored: Stored, problem: str | None) -> None:
        """On awscrt's thread."""
        self.loop.post(partial(self._done, session, stored, problem))

    def _done(self, session: int, stored: Stored, problem: str | None) -> None:
        self._in_flight.discard(stored.id)
        if session != self._session:
            return
        if problem is None:
            self._refusals = 0
            self._retries.pop(stored.id, None)
            self._acknowledged.append((time.monotonic(), stored.id))
            self._acknowledged_ids.add(stored.id)
        elif self._connected:
            tries = self._retries[stored.id] = self._retries.get(stored.id, 0) + 1
            if not self._said_not_taken:
                self._said_not_taken = True
                log.warning("A message was not taken (%s); it is sent again", problem)
            wait = min(RETRY_S[0] * 2.0 ** min(tries - 1, 16), RETRY_S[1])
            self._later.append((time.monotonic() + wait, stored))
            if len(self._later) > LIVE_LIMIT:
                # Their place is the disk; the cursor finds them there in their turn.
                self._later.clear()
                self._retries.clear()
                self._all_is_backlog()
                self._drain_at = time.monotonic() + self._pause_s()
                self._refusals += 1

    def _pause_s(self) -> float:
        """Before the backlog is tried again at a broker that takes nothing of it."""
        return min(RETRY_S[0] * 2.0 ** min(self._refusals, 16), RETRY_S[1])

    def _forget_acknowledged(self, now: float) -> None:
        if not self._connected or now < self._remove_at:
            return
        self._remove_at = now + REMOVE_EVERY_S
        gone: list[int] = []
        while self._acknowledged and self._acknowledged[0][0] <= now - self._limits.resend_s:
            gone.append(self._acknowledged.popleft()[1])
        if gone:
            self._outbox.remove(gone)
            self._acknowledged_ids.difference_update(gone)
        if now >= self._look_again_at:
            self._look_again_at = now + LOOK_AGAIN_S
            self._find_stranded()
            if self._connection is not None and self._connection.deaf:
                self._connection.subscribe()

    def _find_stranded(self) -> None:
        """Whatever went wrong: a message that no lane knows any more is found on the disk again."""
        known = len(self._acknowledged_ids) + len(self._in_flight) + len(self._live) + len(self._later)
        if self._drained and not self._backlog and self._outbox.count > known:
            self._all_is_backlog()

    def _snapshot(self) -> Status:
        self.status = Status(
            connected=self._connected,
            backlog=max(self._outbox.count - len(self._acknowledged_ids), 0),
            oldest_ms=self._outbox.oldest_ms(self._acknowledged_ids),
            dropped=self._outbox.dropped,
            in_memory=self._outbox.in_memory,
            disk_problem=self._outbox.problem,
            takeovers=self._takeovers,
        )
        return self.status

    def _begin_end(self, deadline: float, farewell: Message | None, send_all: bool) -> None:
        self._end_at = deadline
        self._farewell = farewell
        self._send_all = send_all
        self._drain_at = 0.0 if send_all else float("inf")  # else the backlog waits for the next start

    def _is_over(self, now: float, deadline: float) -> bool:
        if now >= deadline:
            if self._send_all:
                log.warning("%d messages could not be sent; they follow later", self._snapshot().backlog)
            return True
        if not self._connected:
            return not self._send_all
        if self._live or self._in_flight or (self._send_all and self._snapshot().backlog):
            return False
        if self._farewell is not None:
            self._publish_unstored(self._farewell)
            self._farewell = None
        return not self._unstored

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.stop(1.0)
        self._outbox.close()
        self.loop.quit()
