"""From disk to the broker: what is put goes to disk first, and leaves it only when the broker has acknowledged it.

`queue.py` decides what goes next; here is the thread around it, which owns outbox and connection.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sgmp_edge.threads import Loop

from .outbox import Message, Outbox
from .publisher import CannotConnect, Connection, Down, Handlers
from .queue import SendQueue, Ticket
from .rates import Limits
from .takeovers import Takeovers

log = logging.getLogger(__name__)

REMOVE_S = 2.0
"""Between two removals of acknowledged messages from the disk; each is a transaction."""
FLUSH_S = 5.0
"""Between two attempts to write what a disk did not take."""
CHECK_S = 30.0
"""Between two looks at whether the subscriptions stand and no message is forgotten."""
RECONNECT_S = 60.0
"""Between two attempts to make a client of the credentials; a client that was made reconnects by itself."""
MAX_UNREPORTED = 1000
"""Messages remembered to be reported as stored, while the disk takes none."""
WAKE_S = 1.0
"""The longest time between two turns of the thread; the watchdog relies on it."""
ENDING_WAKE_S = 0.1


@dataclass(frozen=True)
class Status:
    """How the courier is doing; a snapshot that any thread may read."""

    connected: bool = False
    backlog: int = 0
    """Messages not yet acknowledged."""
    oldest_ms: int | None = None
    """Timestamp of the oldest of them."""
    dropped: int = 0
    in_memory: int = 0
    disk_problem: str | None = None
    takeovers: int = 0


class _Timer:
    """Says once each `every_s` seconds that it is time."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._at = 0.0

    def due(self, now: float) -> bool:
        if now < self._at:
            return False
        self._at = now + self._every_s
        return True


@dataclass
class _End:
    """How the courier ends: at the latest at `deadline`; with the whole backlog sent, if `send_all`."""

    deadline: float
    last_message: Message | None
    send_all: bool


class Courier:
    """Owns outbox and connection, on a thread of its own. `start`, `put` and what stands beside them are for others."""

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
        self._queue = SendQueue(outbox, limits)
        self._topic_of = topic_of
        self._connect = connect
        self._on_message = on_message
        self._on_stored = on_stored
        self._on_connected = on_connected
        self._on_takeover = on_takeover
        self._connection: Connection | None = None
        self._client = 0
        """Number of the present connection object; what an earlier one still says does not count."""
        self._reconnect_at: float | None = None
        self._connected = False
        self._down_reason = ""
        self._refusal_logged = False
        self._takeovers = Takeovers()
        self._unstored = 0
        """Statuses on their way."""
        self._unreported: list[Message] = []
        self._remove = _Timer(REMOVE_S)
        self._flush = _Timer(FLUSH_S)
        self._check = _Timer(CHECK_S)
        self._end: _End | None = None

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
        """Connect again, with the credentials that `connect` finds now."""
        self.loop.post(self._renew)

    def refresh_status(self, done: Callable[[Status], None]) -> None:
        """Call `done`, on the courier's thread, with a status of this moment."""
        self.loop.post(lambda: done(self._snapshot()))

    def stop(self, timeout_s: float, last_message: Message | None = None, *, send_all: bool = False) -> None:
        """Give what is on its way up to `timeout_s` seconds, then disconnect and close the outbox.

        `last_message` is sent after everything else, and never stored. `send_all`: the backlog, too, and waiting for
        a connection.
        """
        self.loop.post(partial(self._begin_end, _End(time.monotonic() + timeout_s, last_message, send_all)))
        if not self.loop.join(timeout_s + 1.0):
            log.warning("Sending did not end in time; what was not acknowledged is sent after the next start")

    # --- The connection, on the courier's thread ------------------------------------------------------------------

    def _open(self) -> None:
        assert self._connect is not None  # noqa: S101 - start() checks
        client = self._client = self._client + 1
        self._reconnect_at = time.monotonic() + RECONNECT_S  # whatever may be raised below
        handlers = Handlers(
            on_up=lambda allowed: self.loop.post(partial(self._up, client, allowed)),
            on_down=lambda down: self.loop.post(partial(self._down, client, down)),
            on_message=self._on_message,
        )
        try:
            self._connection = self._connect(handlers)
        except CannotConnect as error:
            log.error("No connection can be made, the next attempt is in a minute: %s", error)
            return
        self._connection.start()
        self._reconnect_at = None

    def _renew(self) -> None:
        if self._connection is not None:
            self._connection.stop(2.0)
            self._connection = None
        self._down(self._client, Down("connecting again"))
        self._reconnect_at = time.monotonic()

    def _up(self, client: int, max_in_flight: int) -> None:
        if client != self._client:
            return
        log.info("Connected to the broker")
        now = time.monotonic()
        self._connected, self._down_reason, self._refusal_logged = True, "", False
        self._takeovers.connected(now)
        self._queue.connected(now, max_in_flight)
        self._on_connected()

    def _down(self, client: int, down: Down) -> None:
        if client != self._client:
            return
        now = time.monotonic()
        if self._takeovers.disconnected(now, taken_over=down.taken_over, hung_up=down.hung_up):
            log.error(
                "Another program connects with this house's credentials; each of the two cuts the other off"
            )
            self._on_takeover()
        elif down.why != self._down_reason:
            log.warning("No connection to the broker: %s", down.why)
        self._connected, self._down_reason = False, down.why
        self._queue.disconnected()

    # --- Storing and sending, on the courier's thread --------------------------------------------------------------

    def _put(
        self,
        messages: tuple[Message, ...],
        states: dict[str, str | None],
        live: bool,
        then: Callable[[bool], None] | None,
    ) -> None:
        self._queue.put(messages, states, live=live)
        if then is not None:
            then(self._outbox.problem is None)
        self._unreported += messages
        self._report_stored()

    def _report_stored(self) -> None:
        if self._outbox.problem is not None:
            del self._unreported[:-MAX_UNREPORTED]
            return
        stored, self._unreported = self._unreported, []
        for message in stored:
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
        if self._reconnect_at is not None and now >= self._reconnect_at and self._end is None:
            self._open()
        if self._outbox.problem is not None and self._flush.due(now):
            self._outbox.flush()
            self._report_stored()
        if self._remove.due(now):
            self._queue.remove_acknowledged(now)
        wait_s = self._send(now)
        if self._end is not None:
            if self._is_over(now, self._end):
                self._close()
            return min(wait_s, ENDING_WAKE_S)
        if self._connected and self._check.due(now):
            self._check_connection()
        return min(wait_s, WAKE_S)

    def _send(self, now: float) -> float:
        """Publish what may go now; seconds until more may."""
        while isinstance(ticket := self._queue.next(now), Ticket):
            message = ticket.stored.message
            assert self._connection is not None  # noqa: S101 - connected
            self._connection.publish(
                self._topic_of(message), message.payload, partial(self._post_answer, ticket)
            )
        return ticket

    def _post_answer(self, ticket: Ticket, problem: str | None) -> None:
        """On awscrt's thread."""
        self.loop.post(partial(self._answered, ticket, problem))

    def _answered(self, ticket: Ticket, problem: str | None) -> None:
        if problem is not None and self._connected and not self._refusal_logged:
            self._refusal_logged = True
            log.warning("A message was not taken (%s); it is sent again", problem)
        self._queue.answered(ticket, taken=problem is None, now=time.monotonic())

    def _check_connection(self) -> None:
        if self._connection is not None and not self._connection.subscribed:
            self._connection.subscribe()
        assert not self._queue.strands_any(), "a stored message is in no place of the queue"  # noqa: S101

    def _snapshot(self) -> Status:
        self.status = Status(
            connected=self._connected,
            backlog=self._queue.backlog,
            oldest_ms=self._outbox.oldest_ms(self._queue.acknowledged),
            dropped=self._outbox.dropped,
            in_memory=self._outbox.in_memory,
            disk_problem=self._outbox.problem,
            takeovers=self._takeovers.count,
        )
        return self.status

    # --- The end, on the courier's thread --------------------------------------------------------------------------

    def _begin_end(self, end: _End) -> None:
        self._end = end
        if end.send_all:
            self._queue.hurry_backlog()
        else:
            self._queue.hold_backlog()

    def _is_over(self, now: float, end: _End) -> bool:
        if now >= end.deadline:
            if end.send_all:
                log.warning("%d messages could not be sent; they follow later", self._queue.backlog)
            return True
        if not self._connected:
            return not end.send_all
        if not self._queue.is_idle or (end.send_all and self._queue.backlog):
            return False
        if end.last_message is not None:
            self._publish_unstored(end.last_message)
            end.last_message = None
        return not self._unstored

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.stop(1.0)
        self._outbox.close()
        self.loop.quit()
