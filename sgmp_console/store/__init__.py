"""PostgreSQL/TimescaleDB, and the only place that knows which."""
