"""Something of ours in whose place each call can be made to fail, without knowing what calls there are."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any


class Faulty:
    """Stands in front of `target`. `calls`: the methods that were called since `record`, in order.

    `fail(name, kind, after)`: the call of that name after so many others of it raises what `error` makes: `error` before
    it is done, `lost` when it is done.
    """

    def __init__(self, target: Any, error: Callable[[], Exception]) -> None:
        self._target = target
        self._error = error
        self._fault: tuple[str, str, int] | None = None
        self.calls: list[str] = []
        self._lock = threading.Lock()

    def fail(self, name: str, kind: str, after: int) -> None:
        self.calls.clear()
        self._fault = (name, kind, after)

    def heal(self) -> None:
        self.calls.clear()
        self._fault = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*given: Any, **named: Any) -> Any:
            with self._lock:
                before = self.calls.count(name)
                self.calls.append(name)
            struck = self._fault is not None and self._fault[0] == name and self._fault[2] == before
            if struck and self._fault is not None and self._fault[1] == "error":
                raise self._error()
            answer = found(*given, **named)
            if struck:
                raise self._error()
            return answer

        return call


def each(calls: list[str]) -> Iterator[tuple[str, int]]:
    """Each call, as its name and how many of that name go before it."""
    before: Counter[str] = Counter()
    for call in calls:
        yield call, before[call]
        before[call] += 1
