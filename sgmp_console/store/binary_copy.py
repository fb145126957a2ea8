"""PostgreSQL's binary COPY format, straight from and into NumPy. Layout: PostgreSQL manual, COPY, "Binary Format".

Readings are written as rows (series_id int4, ts timestamptz, value float8), none of them null: 34 bytes, always. They are
read packed, a row for each series.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("series_length", ">i4"),
        ("series", ">i4"),
        ("ts_length", ">i4"),
        ("ts", ">i8"),  # microseconds since 2000-01-01 UTC
        ("value_length", ">i4"),
        ("value", ">f8"),
    ]
)

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)  # signature, no flags, no header extension
_TRAILER = b"\xff\xff"
EPOCH_MS = 946_684_800_000
"""2000-01-01 UTC, from which PostgreSQL counts."""


def encode(series: NDArray[np.int32], ts_ms: NDArray[np.int64], values: NDArray[np.float64]) -> BytesIO:
    """The stream for `COPY ... FROM STDIN (FORMAT binary)`; the arrays are equally long, `ts_ms` is UTC ms."""
    rows = np.empty(len(series), ROW)
    rows["fields"] = 3
    rows["series_length"] = 4
    rows["series"] = series
    rows["ts_length"] = 8
    rows["ts"] = (ts_ms - EPOCH_MS) * 1000
    rows["value_length"] = 8
    rows["value"] = values
    return BytesIO(b"".join((_HEADER, rows.data, _TRAILER)))


def to_ms(microseconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """UTC ms of PostgreSQL's binary timestamptz (microseconds since 2000-01-01)."""
    return microseconds // 1000 + EPOCH_MS


def decode_packed(stream: BytesIO, columns: Sequence[str]) -> dict[int, list[NDArray[Any]]]:
    """Rows of an integer and then, for each of `columns`, a bytea of numbers one after the other; none of them null.

    `columns`: ">i8" or ">f8" each. Returns the integer -> the columns, in the machine's own byte order. Raises ValueError
    for another shape.
    """
    data = stream.getbuffer()
    place = len(_HEADER)
    rows: dict[int, list[NDArray[Any]]] = {}
    while data[place : place + 2] != _TRAILER:
        fields, _, number = struct.unpack_from(">hii", data, place)
        if fields != 1 + len(columns):
            raise ValueError(f"{fields} columns in place of {1 + len(columns)}")
        place += 10
        arrays = rows[number] = []
        for column in columns:
            (length,) = struct.unpack_from(">i", data, place)
            place += 4
            arrays.append(
                np.frombuffer(data, column, length // 8, place).astype(np.dtype(column).newbyteorder("="))
            )
            place += length
    return rows
