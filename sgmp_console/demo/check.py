"""What `sgmp-console demo --check` holds the whole chain to: both houses, all three device types, live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sgmp_console.demo.houses import DEMO_HOUSES, DEVICE_TYPES
from sgmp_console.reports.home import HOME_ITEMS, HomeSnapshot


class Verdict:
    """What is still missing in the houses, as sentences; none when everything is live.

    A device counts once a reading was shown that was measured after the window had signed in: the history that is
    loaded ends before that, so such a reading came through the whole chain. An analytic item of Home counts once its
    newest value is that new.
    """

    def __init__(self) -> None:
        self._since_ms: int | None = None

    def __call__(self, snapshots: Mapping[str, HomeSnapshot]) -> list[str]:
        if self._since_ms is None:
            self._since_ms = max(snapshot.now_ms for snapshot in snapshots.values())
        return [
            f"{house.name}: {what}"
            for house in DEMO_HOUSES
            for what in _missing(snapshots.get(house.name), self._since_ms)
        ]


def _missing(snapshot: HomeSnapshot | None, since_ms: int) -> Iterator[str]:
    if snapshot is None:
        yield "nothing was shown"
        return
    newest = {device.type: device.newest_ms for device in snapshot.devices}
    for kind in DEVICE_TYPES:
        if (newest.get(kind) or 0) <= since_ms:
            yield f"no live reading of {kind}"
    for item in HOME_ITEMS:
        latest = snapshot.latest(item)
        if latest is None or latest.timestamp_ms <= since_ms:
            yield f"no live value of {item}"
