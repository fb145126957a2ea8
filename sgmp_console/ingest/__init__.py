"""MQTT -> store: receive, decode, store, acknowledge."""

from sgmp_console.ingest.service import IngestSettings, Statistics, run
from sgmp_console.ingest.subscriber import BrokerSettings

__all__ = ["BrokerSettings", "IngestSettings", "Statistics", "run"]
