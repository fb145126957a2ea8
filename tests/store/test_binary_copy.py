"""PostgreSQL's binary format, there and back."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.store import Database, binary_copy
from sgmp_console.store.rows import driver

rows = st.lists(
    st.tuples(
        st.integers(1, 2**31 - 1), st.integers(-62_000_000_000_000, 200_000_000_000_000), st.floats(width=64)
    ),
    max_size=50,
)


def encoded(data: list[tuple[int, int, float]]) -> BytesIO:
    series, timestamps, values = ([row[i] for row in data] for i in range(3))
    return binary_copy.encode(
        np.array(series, np.int32), np.array(timestamps, np.int64), np.array(values, np.float64)
    )


@given(rows)
def test_what_is_encoded_is_decoded(data: list[tuple[int, int, float]]) -> None:
    series, timestamps, values = binary_copy.decode(encoded(data))
    assert series.tolist() == [row[0] for row in data]
    assert timestamps.tolist() == [row[1] for row in data]
    np.testing.assert_array_equal(values, [row[2] for row in data])


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


@pytest.mark.parametrize("data", [b"", b"PGCOPY", encoded([(1, 1, 1.0)]).getvalue()[:-3]])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not rows"):
        binary_copy.decode(BytesIO(data))
