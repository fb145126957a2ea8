"""Messages that ingest could not read."""
