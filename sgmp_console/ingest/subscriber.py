"""Our connection to the broker: a session that outlives us, and messages acknowledged only once they are stored.

One thread, which only moves messages into the inbox and receipts out: neither waits for the database. While the inbox is
full it does not read, whatever the broker sends, and goes on acknowledging.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sgmp_console.backoff import delays
from sgmp_console.cloud.mqtt import (
    Answer,
    BrokerSettings,
    Cause,
    Connection,
    Disconnected,
    Published,
    tls_context,
)
from sgmp_console.errors import UserError
from sgmp_console.ingest.inbox import Inbox, Message, Receipt
from sgmp_edge import contract

_log = logging.getLogger(__name__)

IN_FLIGHT = 1_000
"""Messages that the broker should send ahead of our acknowledgements. Mosquitto 2.0 sends more: see `inbox.MAX_MESSAGES`."""

SESSION_S = 7 * 86_400
"""How long the broker keeps messages for us; AWS IoT Core's longest."""

_CONNECT_TIMEOUT_S = 15.0
_STOP_TIMEOUT_S = 20.0
_FLUSH_S = 2.0
_TURN_S = 1.0
_SUBSCRIBE_AGAIN_S = 5.0
_PUSHED_OFF_WAIT_S = 20.0
"""Two ingests of one name push each other off; not many times a second."""

_PUSHED_OFF_TIMES, _PUSHED_OFF_WITHIN_S = 3, 120.0
"""Mosquitto 2.0.11 closes the connection of the first without a word; a broker that restarts does so once."""

_QUEUED, _DROPPED = "$SYS/broker/messages/stored", "$SYS/broker/publish/messages/dropped"
"""What Mosquitto publishes of itself each `sys_interval` seconds."""


class Link(StrEnum):
    """How the connection to the broker is."""

    CONNECTING = "connecting"
    RECEIVING = "receiving"
    UNREACHABLE = "unreachable"
    NOT_SUBSCRIBED = "not_subscribed"
    CERTIFICATE_EXPIRED = "certificate_expired"


_LINKS = {Cause.EXPIRED: Link.CERTIFICATE_EXPIRED}


@dataclass(frozen=True)
class BrokerQueue:
    """Mosquitto's own figures: messages that it keeps, and those that it dropped since we first heard. None: not heard."""

    queued: int | None = None
    dropped: int | None = None


class Subscriber:
    """Receives what all edges publish. One client id is one connection: a second one pushes the first off."""

    def __init__(
        self, broker: BrokerSettings, deployment: str, client_id: str, share_group: str, inbox: Inbox
    ) -> None:
        """Raises UserError where the credentials can't be used."""
        self._broker = broker
        self._client_id = client_id
        self._inbox = inbox
        topics = contract.read_filter(deployment)
        self._filter = f"$share/{share_group}/{topics}" if share_group else topics
        # AWS IoT Core has no such figures and ends the connection of a client that asks for them.
        self._asks_for_queue = not broker.host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        self._stopping = threading.Event()
        self._receipts: deque[Receipt] = deque()
        self._connection: Connection | None = None
        self.connections = 0
        """To the broker, since the start."""
        self._without_receipt: Counter[str] = Counter()
        self._retained: Counter[str] = Counter()
        self._dropped_before: int | None = None
        self._ends: deque[float] = deque(maxlen=_PUSHED_OFF_TIMES)
        self.queue = BrokerQueue()
        self.link = Link.CONNECTING
        self.connected_since: float | None = None
        """Monotonic seconds."""
        try:
            tls_context(broker)
        except Disconnected as error:
            raise UserError(f"Ingest can't use its broker credentials: {error}.") from error
        self._thread = threading.Thread(target=self._run, name="subscriber", daemon=True)

    @property
    def receiving(self) -> bool:
        """Whether messages can arrive: connected and subscribed."""
        return self.link is Link.RECEIVING

    @property
    def pushed_off(self) -> bool:
        """Whether the broker ends our connections again and again, as it does where two clients have one name."""
        ends = list(self._ends)
        return len(ends) == _PUSHED_OFF_TIMES and time.monotonic() - ends[0] < _PUSHED_OFF_WITHIN_S

    def start(self) -> None:
        self._thread.start()

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Report to the broker that these are stored.

        A receipt of a connection that is gone is void: the broker sends its message again.
        """
        self._receipts.extend(receipt for message in messages for receipt in message.receipts)
        self.wake()

    def wake(self) -> None:
        """There is room in the inbox again."""
        connection = self._connection
        if connection is not None:
            connection.wake()

    def without_receipt(self) -> dict[str, int]:
        """How many messages of each sender came with QoS 0, and were dropped for that, since the start."""
        return dict(self._without_receipt)

    def retained(self) -> dict[str, int]:
        """How many messages each sender left in the broker, where nobody needs them, since the start."""
        return dict(self._retained)

    def stop(self) -> None:
        """Disconnect; the broker goes on collecting for us."""
        self._stopping.set()
        self.wake()
        self._thread.join(_STOP_TIMEOUT_S)
        if self._thread.is_alive():
            _log.warning("the broker connection did not close within %g s", _STOP_TIMEOUT_S)

    # --- On the subscriber's thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        waits = delays()
        while not self._stopping.is_set():
            wait_s = next(waits)
            started = self.connections
            try:
                self._receive_until_stopped()
            except Disconnected as error:
                self.link = _LINKS.get(error.cause, Link.UNREACHABLE)
                if self.connections > started:
                    self._ends.extend(
                        [time.monotonic()] * (_PUSHED_OFF_TIMES if error.cause is Cause.TAKEN_OVER else 1)
                    )
                    _log.warning("the broker connection ended: %s", error)
                    if self.pushed_off:
                        wait_s = _PUSHED_OFF_WAIT_S
                        _log.error(
                            "the broker ends this connection again and again, as it does when another ingest connects "
                            "with the same certificate or name (%s): give each its own",
                            self._client_id,
                        )
                else:
                    _log.warning("no connection to the broker: %s", error)
            except Exception:  # noqa: BLE001 - the thread must not end while ingest runs
                self.link = Link.UNREACHABLE
                _log.exception("the broker connection failed by a fault of ours")
            finally:
                self._connection = self.connected_since = None
            if self.connections > started:
                waits = delays()
            self._stopping.wait(wait_s)

    def _receive_until_stopped(self) -> None:
        """One connection. Raises Disconnected."""
        self.link = Link.CONNECTING if self.connections == 0 else self.link
        connection = Connection(
            self._broker,
            self._client_id,
            timeout_s=_CONNECT_TIMEOUT_S,
            session_s=SESSION_S,
            receive_maximum=IN_FLIGHT,
        )
        try:
            self.connections += 1
            self._connection, self.connected_since = connection, time.monotonic()
            # Each time: a session may be left over from before the first subscription was made.
            if self._asks_for_queue:
                for topic in (_QUEUED, _DROPPED):
                    connection.subscribe(topic, qos=0)
            asked = connection.subscribe(self._filter, show_retained=self._asks_for_queue)
            ask_again = time.monotonic() + _SUBSCRIBE_AGAIN_S
            while not self._stopping.is_set():
                connection.acknowledge(self._due())
                packets = connection.exchange(_TURN_S, read=not self._inbox.full)
                self._deliver([packet for packet in packets if isinstance(packet, Published)])
                for packet in packets:
                    if isinstance(packet, Answer) and packet.packet_id == asked:
                        self._on_subscribed(packet)
                if not self.receiving and time.monotonic() > ask_again:
                    asked = connection.subscribe(self._filter, show_retained=self._asks_for_queue)
                    ask_again = time.monotonic() + _SUBSCRIBE_AGAIN_S
            connection.acknowledge(self._due())
            connection.flush(_FLUSH_S)
        finally:
            connection.close()

    def _due(self) -> list[int]:
        """Receipts of this connection that wait to be sent."""
        due = []
        while self._receipts:
            receipt = self._receipts.popleft()
            if receipt.connection == self.connections:
                due.append(receipt.packet_id)
        return due

    def _deliver(self, packets: Iterable[Published]) -> None:
        received_ms = int(time.time() * 1000)
        messages = []
        for packet in packets:
            if packet.retained and not packet.topic.startswith("$SYS/"):
                self._retained[Message(packet.topic, b"", 0).sender] += 1
            if packet.topic.startswith("$SYS/"):
                self._note_queue(packet)
            elif packet.packet_id:
                receipt = Receipt(self.connections, packet.packet_id)
                messages.append(Message(packet.topic, packet.payload, received_ms, (receipt,)))
            else:
                # No edge does that: it would get round the flow control that receipts give us.
                self._without_receipt[Message(packet.topic, b"", 0).sender] += 1
        if messages:
            self._inbox.put(messages)

    def _note_queue(self, packet: Published) -> None:
        if not packet.payload.isdigit():
            return
        figure = int(packet.payload)
        if packet.topic == _QUEUED:
            self.queue = BrokerQueue(figure, self.queue.dropped)
        elif packet.topic == _DROPPED:
            if self._dropped_before is None or figure < self._dropped_before:
                self._dropped_before = figure  # of before our time, or the broker started again
            self.queue = BrokerQueue(self.queue.queued, figure - self._dropped_before)

    def _on_subscribed(self, answer: Answer) -> None:
        if answer.refused:
            self.link = Link.NOT_SUBSCRIBED
            _log.error(
                "the broker refuses the subscription to what edges publish (%s); its access list must let ingest read it",
                answer.reason,
            )
            return
        self.link = Link.RECEIVING
        _log.info("connected; receiving what edges publish")
