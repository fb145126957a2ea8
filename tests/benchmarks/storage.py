"""Bytes on disk per reading, indexes included."""

from __future__ import annotations

from tests.benchmarks.result import Result
from tests.benchmarks.world import World


def measure(world: World) -> list[Result]:
    if world.timescale:
        # The last two days are not in the columnstore yet; in 30 days they weigh little, in a short run a lot. Where
        # there is nothing older, the oldest chunk is measured all the same.
        world.scalar(
            "SELECT count(compress_chunk(chunk, if_not_compressed => true))"
            " FROM (SELECT chunk FROM show_chunks('sgmp.reading') AS chunk ORDER BY chunk::oid LIMIT 1) AS oldest"
        )
        total = world.scalar(
            "SELECT sum(after_compression_total_bytes) FROM chunk_columnstore_stats('sgmp.reading')"
        )
        count = world.scalar(
            "SELECT count(*) FROM sgmp.reading WHERE ts < ("
            " SELECT max(range_end) FROM timescaledb_information.chunks"
            " WHERE hypertable_schema = 'sgmp' AND hypertable_name = 'reading' AND is_compressed)"
        )
        ours = total / max(count, 1)
        theirs = world.scalar("SELECT hypertable_size('house_data')") / world.readings
        aggregates = world.scalar(
            "SELECT sum(hypertable_size(format('%I.%I', materialization_hypertable_schema,"
            " materialization_hypertable_name)::regclass)) FROM timescaledb_information.continuous_aggregates"
        )
    else:
        ours = (
            world.scalar(
                "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'sgmp.reading'::regclass"
            )
            / world.readings
        )
        theirs = world.scalar("SELECT pg_total_relation_size('house_data')") / world.readings
        aggregates = world.scalar(
            "SELECT pg_total_relation_size('sgmp.slot') + pg_total_relation_size('sgmp.hour')"
        )
    kept = aggregates / world.readings
    return [
        Result(
            "storage per reading", _bytes(ours), _bytes(theirs), theirs / ours, 24 if world.timescale else 2
        ),
        Result("storage of the aggregates, per reading", _bytes(kept), _bytes(theirs), theirs / kept, None),
    ]


def _bytes(number: float) -> str:
    return f"{number:.1f} bytes"
