"""Messages between the thread that receives them and the one that stores them: bounded, and houses take turns."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sgmp_edge import contract

MAX_MESSAGES = 20_000
MAX_BYTES = 64 * 1024 * 1024
"""Of topics and payloads. What bounds our memory: Mosquitto 2.0 sends more than Receive Maximum allows it."""

_OVERHEAD_BYTES = 300
"""Of a message in memory beside its texts."""

_PAUSE_S = 0.02
"""Where so long nothing came, the broker waits for acknowledgements; AWS IoT Core does after 100 messages."""

_FEW = 100
"""A batch of fewer messages waits its full time for more."""


@dataclass(frozen=True)
class Receipt:
    """Acknowledges a message on the connection (counted from 1) that delivered it."""

    connection: int
    packet_id: int


@dataclass(frozen=True)
class Message:
    """`received_ms`: UTC ms. `receipts` acknowledge it to the broker, one for each time that it was delivered."""

    topic: str
    payload: bytes = field(repr=False)
    received_ms: int
    receipts: tuple[Receipt, ...] = field(repr=False, default=())

    @property
    def sender(self) -> str:
        """The client id of the house's edge, by its topic; the broker checks that it is so."""
        parts = self.topic.split("/", 2)
        return parts[1] if len(parts) == 3 else ""

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return len(self.topic) + len(self.payload) + _OVERHEAD_BYTES


class Inbox:
    """A queue for each house. When it is full, the one who fills it stops until something was taken.

    After a reconnect the broker sends again what was not acknowledged. That is recognized (the topic names device and
    instant) and stays one message: dropping what waits instead would lose it where the broker forgot it, too.
    """

    def __init__(self) -> None:
        self._houses: dict[str, dict[tuple[str, bytes], Message]] = {}
        self._count = 0
        self._bytes = 0
        self._arrived: Counter[str] = Counter()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        """Whether no more should be put; a few more than the bound may."""
        return self._count >= MAX_MESSAGES or self._bytes >= MAX_BYTES

    def put(self, messages: Iterable[Message]) -> None:
        with self._changed:
            for message in messages:
                sender = message.sender
                queue = self._houses.setdefault(sender, {})
                key = (message.topic, message.payload)
                waiting = queue.get(key)
                if waiting is None:
                    self._count += 1
                    self._bytes += message.size
                else:
                    message = Message(*key, waiting.received_ms, waiting.receipts + message.receipts)
                queue[key] = message
                self._arrived[sender] += 1
            self._changed.notify()

    def take(self, enough: int, most: int, most_bytes: int, *, wait_s: float, fill_s: float) -> list[Message]:
        """Up to `most` messages or `most_bytes`, houses in turn; none if none came within `wait_s` seconds.

        After the first, waits up to `fill_s` seconds for `enough` of them.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._count > 0, wait_s):
                return []
            deadline = time.monotonic() + fill_s
            while self._count < enough and (left_s := deadline - time.monotonic()) > 0:
                few = self._count < _FEW
                if not self._changed.wait(left_s if few else min(left_s, _PAUSE_S)) and not few:
                    break
            return self._take(most, most_bytes)

    def arrived(self) -> Mapping[str, int]:
        """How many messages came from each sender since this was last asked, repeats included."""
        with self._changed:
            arrived, self._arrived = self._arrived, Counter()
        return arrived

    def _take(self, most: int, most_bytes: int) -> list[Message]:
        taken: list[Message] = []
        size = 0
        while self._houses and len(taken) < most and size < most_bytes:
            # Each house's equal part of what is left; those with less leave the rest to the others in the next round.
            part = max(1, (most - len(taken)) // len(self._houses))
            part_bytes = max(1, (most_bytes - size) // len(self._houses))
            for sender in list(self._houses):
                queue = self._houses.pop(sender)
                got = 0
                for key in list(queue)[:part] if part < len(queue) else list(queue):
                    message = queue.pop(key)
                    taken.append(message)
                    got += message.size
                    if got >= part_bytes or len(taken) >= most:
                        break
                size += got
                if queue:
                    self._houses[sender] = queue  # at the end: next time the others come first
                if len(taken) >= most:
                    break
        self._count -= len(taken)
        self._bytes -= size
        return taken


def house_of_sender(deployment: str, sender: str) -> int | None:
    """The house of a client id; None for other names."""
    try:
        return contract.house_id_of(deployment, sender)
    except contract.ContractError:
        return None
