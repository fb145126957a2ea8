"""The rows of `sgmp-console export`, and how they become CSV or Parquet.

Both are built from parts that are appended to a file one after another, so that a file that was cut off can go on where
its last whole part ended. For CSV that file is the result; for Parquet, which can't be appended to, a last pass makes it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sgmp_console import csv_format
from sgmp_console.store import Event
from sgmp_console.timeseries import Series


class What(Enum):
    """What is exported. The value names it on the command line."""

    READINGS = "readings"
    ITEMS = "items"
    EVENTS = "events"


HEADERS: Mapping[What, tuple[str, ...]] = {
    What.READINGS: ("timestamp", "device", "field", "value", "quality"),
    What.ITEMS: ("timestamp", "item", "value", "unit"),
    What.EVENTS: ("timestamp", "device", "type", "data"),
}

NOT_CHECKED = -1
"""In place of the bits of quality of a reading whose day was not checked yet: an empty cell."""

_ROW_GROUP = 1_000_000
"""Rows of a row group of Parquet, at least: what a reader has to decode at a time."""

_BYTE_ORDER_MARK = "\ufeff".encode()


@dataclass(frozen=True)
class Name:
    """What a series is called: a device and a field, or an item and its unit."""

    first: str
    second: str


@dataclass(frozen=True, eq=False)
class Measured:
    """Values in order of time, at one time in the order of the names. `of`: the place of each one's name. `quality`: of
    readings, the bits of the five minutes that each is in, or NOT_CHECKED."""

    times_ms: NDArray[np.int64]
    of: NDArray[np.int32]
    values: NDArray[np.float64]
    quality: NDArray[np.int16] | None = None


def merged(series: Sequence[Series], quality: Sequence[NDArray[np.int16]] | None = None) -> Measured:
    """One series for each name, and the bits of quality of each of its readings."""
    times = np.concatenate([one.timestamps for one in series] or [np.empty(0, np.int64)])
    values = np.concatenate([one.values for one in series] or [np.empty(0)])
    of = np.repeat(np.arange(len(series), dtype=np.int32), [len(one) for one in series])
    order = np.argsort(times, kind="stable")
    if quality is None:
        return Measured(times[order], of[order], values[order])
    bits = np.concatenate([*quality, np.empty(0, np.int16)])
    return Measured(times[order], of[order], values[order], bits[order])


Rows = Measured | Sequence[Event]


class Format(ABC):
    """How rows are written. `names`: of all series that may come, in order."""

    def __init__(self, what: What, names: Sequence[Name]) -> None:
        self.what = what
        self.names = names

    def begin(self) -> bytes:
        """What stands before the first part."""
        return b""

    @abstractmethod
    def part(self, rows: Rows) -> bytes:
        """Rows as they are appended to the file."""


class Csv(Format):
    """UTF-8, one line for each row, timestamps in UTC to the millisecond."""

    def __init__(self, what: What, names: Sequence[Name]) -> None:
        super().__init__(what, names)
        if what is What.READINGS:
            self._before = _texts(f"{_cells([one.first, one.second])}," for one in names)
        else:
            self._before = _texts(f"{_cells([one.first])}," for one in names)
            self._after = _texts(f",{_cells([one.second])}\r\n" for one in names)

    def begin(self) -> bytes:
        return csv_format.written_record(HEADERS[self.what]).encode()

    def part(self, rows: Rows) -> bytes:
        if not isinstance(rows, Measured):
            return "".join(map(_event_line, rows, _stamps([event.timestamp_ms for event in rows]))).encode()
        # Each different text is made once: the fields of a device share their times, and meters round.
        times, at = np.unique(rows.times_ms, return_inverse=True)
        bits_of_values, value = np.unique(rows.values.view(np.int64), return_inverse=True)  # -0.0 is not 0.0
        cells = np.empty((len(rows.values), 4), object)
        cells[:, 0] = _texts(f"{stamp}," for stamp in _stamps(times))[at]
        cells[:, 1] = self._before[rows.of]
        cells[:, 2] = _texts(map(repr, bits_of_values.view(np.float64).tolist()))[value]
        if rows.quality is None:
            cells[:, 3] = self._after[rows.of]
        else:
            flags, flag = np.unique(rows.quality, return_inverse=True)
            ends = (f",{'' if bits == NOT_CHECKED else bits}\r\n" for bits in flags.tolist())
            cells[:, 3] = _texts(ends)[flag]
        return "".join(cells.ravel().tolist()).encode()


class Parquet(Format):
    """Parts are record batches of Arrow, in which a series is a number; `finish` writes the Parquet file of them.

    Needs pyarrow, the extra `parquet`.
    """

    def __init__(self, what: What, names: Sequence[Name]) -> None:
        import pyarrow as pa

        super().__init__(what, names)
        self._time = pa.timestamp("ms", tz="UTC")
        text = pa.string()
        if what is What.EVENTS:
            self._parts = pa.schema(
                [("timestamp", self._time), ("device", text), ("type", text), ("data", text)]
            )
        else:
            self._parts = pa.schema([("timestamp", self._time), ("of", pa.int32()), ("value", pa.float64())])
            if what is What.READINGS:
                self._parts = self._parts.append(pa.field("quality", pa.int16()))

    def part(self, rows: Rows) -> bytes:
        import pyarrow as pa

        columns: list[Any]
        if isinstance(rows, Measured):
            columns = [rows.times_ms, rows.of, rows.values]
            if rows.quality is not None:
                columns.append(np.ma.masked_equal(rows.quality, NOT_CHECKED))
        else:
            columns = [
                [event.timestamp_ms for event in rows],
                [event.device for event in rows],
                [event.type for event in rows],
                [_json(event.data) for event in rows],
            ]
        arrays = [pa.array(column, type=one.type) for column, one in zip(columns, self._parts, strict=True)]
        batch = pa.record_batch(arrays, schema=self._parts)
        return batch.serialize().to_pybytes() if batch.num_rows else b""

    def finish(self, parts: BinaryIO, out: BinaryIO, about: Mapping[str, str]) -> None:
        """Write the Parquet file of all parts; memory holds one row group at a time."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        empty = self._table(
            pa.record_batch([pa.array([], one.type) for one in self._parts], schema=self._parts)
        )
        schema = empty.schema.with_metadata({f"sgmp.{name}": text for name, text in about.items()})
        with pq.ParquetWriter(out, schema, compression="zstd") as writer:
            for batches in self._groups(parts):
                group = pa.concat_tables([self._table(batch) for batch in batches]).combine_chunks()
                writer.write_table(
                    group.replace_schema_metadata(schema.metadata), row_group_size=group.num_rows
                )

    def _groups(self, parts: BinaryIO) -> Iterator[list[Any]]:
        import pyarrow as pa

        source = pa.PythonFile(parts, mode="r")
        batches: list[Any] = []
        while True:
            try:
                message = pa.ipc.read_message(source)
            except EOFError:
                break
            batches.append(pa.ipc.read_record_batch(message, self._parts))
            if sum(batch.num_rows for batch in batches) >= _ROW_GROUP:
                yield batches
                batches = []
        if batches:
            yield batches

    def _table(self, batch: Any) -> Any:
        """With the columns of HEADERS."""
        import pyarrow as pa

        if self.what is What.EVENTS:
            return pa.Table.from_batches([batch])
        at, of, value, *quality = batch.columns
        first, second = (
            _named(of, texts)
            for texts in ([name.first for name in self.names], [name.second for name in self.names])
        )
        named = (
            (at, first, second, value, *quality) if self.what is What.READINGS else (at, first, value, second)
        )
        return pa.table(dict(zip(HEADERS[self.what], named, strict=True)))


def _named(of: Any, texts: Sequence[str]) -> Any:
    """The text of each place. A text stands once in the dictionary: Arrow writes repeated ones in no certain order."""
    import pyarrow as pa

    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    place_of = pa.array([places[text] for text in texts], pa.int32())
    return pa.DictionaryArray.from_arrays(place_of.take(of), pa.array(list(places), pa.string()))


def with_byte_order_mark(begin: bytes) -> bytes:
    """By it spreadsheets know UTF-8."""
    return _BYTE_ORDER_MARK + begin


def _event_line(event: Event, stamp: str) -> str:
    return csv_format.written_record((stamp, event.device, event.type, _json(event.data)))


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True)


def _texts(texts: Iterable[str]) -> NDArray[np.object_]:
    """To be taken by their places."""
    return np.array(list(texts), object)


def _cells(texts: Sequence[str]) -> str:
    return csv_format.written_record(texts).rstrip("\r\n")


def _stamps(times_ms: NDArray[np.int64] | Sequence[int]) -> list[str]:
    """ISO 8601 in UTC, to the millisecond: `2025-05-13T10:00:00.000Z`."""
    times = np.asarray(times_ms, np.int64).astype("M8[ms]")
    texts: list[str] = np.datetime_as_string(times, unit="ms").tolist()
    return [f"{text}Z" for text in texts]
