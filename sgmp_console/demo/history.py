"""Fill the demo's database with what its houses did before: `python -m sgmp_console.demo.history FOLDER`.

The simulated houses can be asked for any instant, so history and live readings are one piece. Missing is, at the first
start, the time before it, and later the time during which the demo was off. It is loaded a day at a time, newest first;
what is still missing is remembered in the folder, so that a start that was cut off is gone on with.

The result is reported when the last day is there; the rest is loaded beside what runs, and needs the demo's CPU less.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from sgmp_console import store
from sgmp_console.demo.folder import DemoFolder, DemoState
from sgmp_console.demo.houses import DEMO_HOUSES, DemoHouse
from sgmp_console.demo.progress import ProgressFile
from sgmp_console.demo.simulator import history
from sgmp_console.demo.simulator.history import Row
from sgmp_console.demo.simulator.house import House
from sgmp_console.environment import DATABASE_URL
from sgmp_console.errors import SgmpError
from sgmp_console.files import write_atomic
from sgmp_console.measurements import flatten
from sgmp_console.timeseries import Series

DAY_MS = 86_400_000
_STEP_MS = 60_000
_LAST_STEP_MS = 1000
_NICENESS = 10


@dataclass(frozen=True)
class Span:
    """A time of a house that is missing: [start_ms, end_ms)."""

    house: DemoHouse
    start_ms: int
    end_ms: int


class MissingHistory:
    """What is still to be loaded, by house, in the demo's folder."""

    def __init__(self, folder: DemoFolder) -> None:
        self._file = folder.path / "history.json"
        self._spans: dict[str, list[list[int]]] = {}
        self._known = self._file.exists()
        if self._known:
            self._spans = json.loads(self._file.read_text("utf-8"))

    def find(self, newest_ms: Mapping[str, int], now_ms: int, days: int) -> None:
        """Note what is missing at a start, before anything is live: `days` at the first, later the time it was off.

        `newest_ms`: of each house the newest reading there is.
        """
        for house in DEMO_HOUSES:
            spans = self._spans.setdefault(house.key, [])
            since = newest_ms.get(house.key) if self._known else None
            spans.append([now_ms - days * DAY_MS if since is None else since + 1, now_ms])
        self._known = True
        self._save()

    def newest_first(self) -> list[Span]:
        """Spans of at most a day, each ending at midnight UTC or where it ends by itself."""
        found = [
            Span(house, start, end)
            for house in DEMO_HOUSES
            for whole_start, whole_end in self._spans.get(house.key, [])
            for start, end in _days(whole_start, whole_end)
        ]
        return sorted(found, key=lambda span: span.end_ms, reverse=True)

    def loaded(self, span: Span) -> None:
        """The newest span of its house is there now."""
        spans = self._spans[span.house.key]
        for whole in spans:
            if whole[0] <= span.start_ms and whole[1] == span.end_ms:
                whole[1] = span.start_ms
        self._spans[span.house.key] = [whole for whole in spans if whole[0] < whole[1]]
        self._save()

    def _save(self) -> None:
        write_atomic(self._file, json.dumps(self._spans).encode("utf-8"))


def load(database: store.Database, state: DemoState, span: Span, *, everything: bool) -> None:
    """Store one span of one house, in one transaction; what is there already stays.

    Without `everything` only the fields that the required analytic items use: a demo's disk is somebody's disk.
    """
    house_id = state.house_ids[span.house.key]
    model = House(span.house.seed, span.house.zone, span.house.latitude, span.house.longitude)
    values: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
    texts: dict[tuple[str, int], dict[str, str]] = {}
    shown: dict[tuple[str, str], str] = {}
    for row in _rows(model, span, everything=everything):
        for device in ("egauge", "sonnen", "powerflex"):
            read = flatten(getattr(row, device))
            for field, value in read.values.items():
                times, series = values.setdefault((device, field), ([], []))
                times.append(row.time_ms)
                series.append(value)
            for field, word in read.texts.items():
                if shown.get((device, field)) != word:
                    shown[device, field] = word
                    texts.setdefault((device, row.time_ms), {})[field] = word
    with database.begin() as connection:
        ids = {device.name: device.device_id for device in store.devices.list_all(connection, house_id)}
        batch = store.Batch(
            series=[
                store.DeviceSeries(
                    house_id,
                    device_id,
                    {field: Series(*pair) for (device, field), pair in values.items() if device == name},
                )
                for name, device_id in ids.items()
            ],
            texts=[
                store.TextRow(house_id, ids[name], name, time_ms, fields)
                for (name, time_ms), fields in texts.items()
                if name in ids
            ],
            events=[
                store.EventRow(house_id, ids[e.device_type], e.device_type, e.time_ms, e.type, e.data)
                for e in history.events(model, span.start_ms, span.end_ms)
                if e.device_type in ids
            ],
        )
        store.readings.write(connection, batch)


def newest_readings(connection: sa.Connection, house_ids: Mapping[str, int]) -> dict[str, int]:
    """Of each house, by its key, the time of its newest reading, UTC ms."""
    newest = {}
    for key, house_id in house_ids.items():
        times = [time_ms for time_ms, _ in store.readings.latest(connection, house_id).values()]
        if times:
            newest[key] = max(times)
    return newest


def main(folder: DemoFolder) -> int:
    """Load what is missing. Returns the exit code."""
    progress = ProgressFile(folder.progress("history"))
    state = folder.read()
    try:
        database = store.Database.connect(os.environ[DATABASE_URL], application="sgmp-demo-history")
        try:
            _load_all(database, state, MissingHistory(folder), progress)
        finally:
            database.dispose()
    except SgmpError as error:
        progress.failed(str(error))
        return 1
    return 0


def _load_all(
    database: store.Database, state: DemoState, missing: MissingHistory, progress: ProgressFile
) -> None:
    spans = missing.newest_first()
    yesterday_ms = int(time.time() * 1000) - DAY_MS
    first = [span for span in spans if span.end_ms > yesterday_ms]
    for done, span in enumerate(first):
        progress.stage("Loading the last 24 hours", done / len(first))
        load(database, state, span, everything=True)
        missing.loaded(span)
    progress.result({})
    if sys.platform != "win32":
        os.nice(_NICENESS)
    rest = spans[len(first) :]
    for done, span in enumerate(rest):
        progress.stage("Loading earlier history", done / len(rest))
        load(database, state, span, everything=False)
        missing.loaded(span)
    if rest:
        progress.stage("Loading earlier history", 1.0)


def _rows(model: House, span: Span, *, everything: bool) -> Iterator[Row]:
    """One a minute, and in the minute that the span cuts off one a second, so that history ends where live begins."""
    last_minute_ms = span.end_ms // _STEP_MS * _STEP_MS
    yield from history.rows(model, span.start_ms, span.end_ms, _STEP_MS, everything=everything)
    start_ms = max(span.start_ms, last_minute_ms + 1)
    yield from history.rows(model, start_ms, span.end_ms, _LAST_STEP_MS, everything=everything)


def _days(start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    while end_ms > start_ms:
        midnight = (end_ms - 1) // DAY_MS * DAY_MS
        yield max(midnight, start_ms), end_ms
        end_ms = midnight


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(main(DemoFolder(Path(sys.argv[1]))))
