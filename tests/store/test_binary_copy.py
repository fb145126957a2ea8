"""PostgreSQL's binary format, there and back."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from sgmp_console.store import Database, binary_copy
from sgmp_console.store.rows import driver


def encoded(data: list[tuple[int, int, float]]) -> BytesIO:
    series, timestamps, values = ([row[i] for row in data] for i in range(3))
    return binary_copy.encode(
        np.array(series, np.int32), np.array(timestamps, np.int64), np.array(values, np.float64)
    )


def test_postgresql_reads_and_writes_the_same(database: Database) -> None:
    data = [(1, 1_750_000_000_123, 1.5), (2**31 - 1, 0, -0.0), (7, -62_000_000_000_000, 1e308)]
    with database.begin() as connection, driver(connection).cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE given (series integer, ts timestamptz, value double precision)"
        )
        cursor.copy_expert("COPY given FROM STDIN (FORMAT binary)", encoded(data))
        cursor.execute("SELECT series, round(extract(epoch FROM ts) * 1000), value FROM given")
        assert [(series, int(ms), value) for series, ms, value in cursor.fetchall()] == data
        stream = BytesIO()
        cursor.copy_expert("COPY given TO STDOUT (FORMAT binary)", stream)
    assert stream.getvalue() == encoded(data).getvalue()


def test_what_postgresql_packs_is_unpacked(database: Database) -> None:
    stream = BytesIO()
    with database.begin() as connection, driver(connection).cursor() as cursor:
        cursor.copy_expert(
            "COPY (SELECT n, string_agg(timestamptz_send(timestamptz 'epoch' + i * interval '1 s'), ''),"
            " string_agg(float8send(i / 4.0), '') FROM generate_series(1, 3) n, generate_series(1, n) i"
            " GROUP BY n) TO STDOUT (FORMAT binary)",
            stream,
        )
    found = binary_copy.decode_packed(stream, (">i8", ">f8"))
    assert {number: binary_copy.to_ms(times).tolist() for number, (times, _) in found.items()} == {
        n: [1000 * i for i in range(1, n + 1)] for n in (1, 2, 3)
    }
    assert found[3][1].tolist() == [0.25, 0.5, 0.75]


def test_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="columns"):
        binary_copy.decode_packed(encoded([(1, 1, 1.0)]), (">i8",))
