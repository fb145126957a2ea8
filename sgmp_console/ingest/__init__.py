"""MQTT -> store: receive, decode, store, acknowledge."""

from sgmp_console.cloud.mqtt import BrokerSettings
from sgmp_console.ingest.service import IngestSettings, run
from sgmp_console.ingest.writer import Statistics

__all__ = ["BrokerSettings", "IngestSettings", "Statistics", "run"]
