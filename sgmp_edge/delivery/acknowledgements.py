"""Messages that the broker acknowledged, until it can't forget them any more."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet


class Acknowledgements(AbstractSet[int]):
    """Ids of messages that arrived over the present connection, and since when (monotonic seconds).

    A broker may lose what it acknowledged when it is killed before it has written it down (Mosquitto writes by the
    clock). So a message counts as arrived for good after `keep_s` more seconds of a standing connection.
    """

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._since: deque[tuple[float, int]] = deque()
        self._ids: set[int] = set()

    @classmethod
    def _from_iterable(cls, ids: Iterable[int]) -> set[int]:  # type: ignore[override]
        """What `|` and `-` give: plain ids."""
        return set(ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._ids

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id_: int, now: float) -> None:
        if id_ not in self._ids:
            self._ids.add(id_)
            self._since.append((now, id_))

    def take_final(self, now: float) -> list[int]:
        """Ids that arrived for good; they are forgotten here."""
        final: list[int] = []
        while self._since and self._since[0][0] <= now - self._keep_s:
            final.append(self._since.popleft()[1])
        self._ids.difference_update(final)
        return final

    def clear(self) -> None:
        """The connection broke: none is certain to have arrived."""
        self._since.clear()
        self._ids.clear()
