"""How long raw readings are kept. Aggregates are kept for ever."""

RAW_RETENTION_DAYS = 31
"""TimescaleDB's policy was created with as many (Alembic 0002)."""

MIN_RAW_RETENTION_MS = 7 * 86_400_000
"""The shortest time that raw readings can be kept (`sql/aggregates.sql`, `drop_old_readings`)."""

REFRESH_DAYS = 28
"""On TimescaleDB aggregates of late readings are refreshed this far back: less than raw readings are kept, since a refresh
where they were dropped would erase what is known. Further back they are merged."""
