"""Messages between the MQTT library's thread, which receives them, and ours, which stores them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from itertools import islice
from typing import Any


@dataclass(frozen=True)
class Message:
    """`received_ms`: UTC ms. `receipts` acknowledge it to the broker, one for each time that it was delivered."""

    topic: str
    payload: bytes = field(repr=False)
    received_ms: int
    receipts: tuple[Any, ...] = field(repr=False, default=())


class Inbox:
    """A queue whose length the broker bounds: it sends no more than it was told to before acknowledgements come.

    After a reconnect it sends again what was not acknowledged. That is recognized (the topic names device and
    instant) and stays one message: dropping what waits instead would lose it where the broker forgot it, too.
    """

    def __init__(self) -> None:
        self._messages: dict[tuple[str, bytes], Message] = {}
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message) -> None:
        key = (message.topic, message.payload)
        with self._changed:
            waiting = self._messages.get(key)
            if waiting is not None:
                message = Message(*key, waiting.received_ms, waiting.receipts + message.receipts)
            self._messages[key] = message
            self._changed.notify()

    def take(self, count: int, *, wait_s: float, fill_s: float) -> list[Message]:
        """Up to `count` messages in order of arrival; none if none came within `wait_s` seconds.

        After the first, waits up to `fill_s` seconds for more.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._messages), wait_s):
                return []
            deadline = time.monotonic() + fill_s
            while len(self._messages) < count and self._changed.wait(deadline - time.monotonic()):
                pass
            return [self._messages.pop(key) for key in list(islice(self._messages, count))]
