"""The embedded stack: PostgreSQL, Mosquitto, simulators, edges, ingest, history."""
