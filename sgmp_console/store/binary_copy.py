"""PostgreSQL's binary COPY format for readings, straight from and into NumPy.

A row is (series_id int4, ts timestamptz, value float8), none of them null: 34 bytes, always. Layout: PostgreSQL
manual, COPY, "Binary Format".
"""

from __future__ import annotations

from collections.abc import Mapping
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


def decode(stream: BytesIO) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
    """The arrays (series, UTC ms, values) of what `COPY (...) TO STDOUT (FORMAT binary)` wrote to `stream`.

    Raises ValueError if it is not rows of this shape.
    """
    data = stream.getbuffer()
    length = len(data) - len(_HEADER) - len(_TRAILER)
    if length < 0 or length % ROW.itemsize:
        raise ValueError(f"{len(data)} bytes are not rows of {ROW.itemsize} bytes")
    rows = np.frombuffer(data, ROW, length // ROW.itemsize, len(_HEADER))
    return (
        rows["series"].astype(np.int32),
        rows["ts"].astype(np.int64) // 1000 + EPOCH_MS,
        rows["value"].astype(np.float64),
    )


def decode_rows(stream: BytesIO, columns: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """The same for rows of other columns, none of them null.

    `columns`: name -> ">i4", ">i8" (bigint, or a timestamptz in microseconds since EPOCH_MS) or ">f8". Each comes
    back in the machine's own byte order, integers as int64.
    """
    parts: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in columns.items():
        parts += [(f"length of {name}", ">i4"), (name, kind)]
    row = np.dtype(parts)
    data = stream.getbuffer()
    length = len(data) - len(_HEADER) - len(_TRAILER)
    if length < 0 or length % row.itemsize:
        raise ValueError(f"{len(data)} bytes are not rows of {row.itemsize} bytes")
    rows = np.frombuffer(data, row, length // row.itemsize, len(_HEADER))
    return {
        name: rows[name].astype(np.float64 if kind == ">f8" else np.int64) for name, kind in columns.items()
    }
