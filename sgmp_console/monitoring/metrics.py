"""The one list of metrics: what the services publish, what the dashboard draws and what the alert rules look at.

Names follow https://prometheus.io/docs/practices/naming/. No metric has a label that others choose (a house's or a
device's name), so a fleet of any size has the same few series and nothing private leaves the server.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from sgmp_console.errors import UserError

_ADDRESS = "127.0.0.1"
"""Only programs of this computer read metrics: they have no password."""


class Kind(StrEnum):
    COUNTER = "counter"
    """Since the start of the service; it only rises."""
    GAUGE = "gauge"


class Service(StrEnum):
    INGEST = "ingest"
    WATCH = "watch"


@dataclass(frozen=True)
class Alert:
    """`expression`: PromQL that holds while it is wrong; `hold`: for how long before somebody is notified."""

    name: str
    expression: str
    hold: str
    severity: str
    summary: str


@dataclass(frozen=True)
class Metric:
    """`key`: its name among the service's figures. `graph`: PromQL, in `unit` (of Grafana); "" where it is not drawn."""

    service: Service
    key: str
    kind: Kind
    help: str
    label: str = ""
    graph: str = ""
    unit: str = "short"
    alerts: tuple[Alert, ...] = ()

    @property
    def name(self) -> str:
        """As it is published."""
        return f"sgmp_{self.service}_{self.key}" + ("_total" if self.kind is Kind.COUNTER else "")


def _rate(service: Service, key: str) -> str:
    return f"sum by (instance) (rate(sgmp_{service}_{key}_total[5m]))"


def _ingest_counter(key: str, text: str, *alerts: Alert) -> Metric:
    return Metric(
        Service.INGEST, key, Kind.COUNTER, text, graph=_rate(Service.INGEST, key), unit="cps", alerts=alerts
    )


METRICS: tuple[Metric, ...] = (
    _ingest_counter("messages", "Messages that were stored or set aside."),
    _ingest_counter("readings", "New readings that were stored."),
    _ingest_counter("texts", "New readings of text that were stored."),
    _ingest_counter("events", "New events that were stored."),
    _ingest_counter("repeated", "Readings that were stored before."),
    _ingest_counter(
        "rejected",
        "Messages that went to quarantine.",
        Alert(
            "SgmpQuarantine",
            "increase(sgmp_ingest_rejected_total[15m]) > 0",
            "0m",
            "warning",
            "Ingest can't read some messages. Look at the quarantine.",
        ),
    ),
    Metric(
        Service.INGEST,
        "batches",
        Kind.COUNTER,
        "Transactions that stored messages; drawn as messages in each.",
        graph="rate(sgmp_ingest_messages_total[5m]) / rate(sgmp_ingest_batches_total[5m])",
    ),
    Metric(
        Service.INGEST,
        "commit_seconds",
        Kind.COUNTER,
        "Time in which batches were stored; drawn as time of each.",
        graph="rate(sgmp_ingest_commit_seconds_total[5m]) / rate(sgmp_ingest_batches_total[5m])",
        unit="s",
    ),
    Metric(
        Service.INGEST,
        "delay_seconds",
        Kind.GAUGE,
        "From arrival to commit, of the oldest message of the last batch.",
        graph="sgmp_ingest_delay_seconds",
        unit="s",
        alerts=(
            Alert(
                "SgmpIngestSlow",
                "sgmp_ingest_delay_seconds > 30",
                "5m",
                "warning",
                "Messages wait long until they are stored. Start another ingest, or look at the database's disk.",
            ),
        ),
    ),
    Metric(
        Service.INGEST,
        "newest_reading_timestamp_seconds",
        Kind.GAUGE,
        "Time of the newest reading that was stored.",
        graph="time() - sgmp_ingest_newest_reading_timestamp_seconds",
        unit="s",
        alerts=(
            Alert(
                "SgmpNoReadings",
                "time() - max(sgmp_ingest_newest_reading_timestamp_seconds) > 600",
                "5m",
                "critical",
                "No house has sent a reading for ten minutes. Look at the broker and at ingest's log.",
            ),
        ),
    ),
    Metric(
        Service.INGEST,
        "inbox_messages",
        Kind.GAUGE,
        "Received and not stored yet.",
        graph="sgmp_ingest_inbox_messages",
    ),
    Metric(
        Service.INGEST,
        "receiving",
        Kind.GAUGE,
        "1 while connected and subscribed, otherwise 0.",
        graph="sgmp_ingest_receiving",
        alerts=(
            Alert(
                "SgmpIngestDisconnected",
                "sgmp_ingest_receiving == 0",
                "2m",
                "critical",
                "Ingest receives nothing from the broker. Its log says why.",
            ),
        ),
    ),
    Metric(
        Service.INGEST,
        "connections",
        Kind.COUNTER,
        "Connections to the broker since the start; each after the first is a reconnection.",
        graph="increase(sgmp_ingest_connections_total[1h])",
    ),
    Metric(
        Service.INGEST,
        "broker_queued_messages",
        Kind.GAUGE,
        "Messages that the broker keeps, as Mosquitto reports. Absent with other brokers.",
        graph="max(sgmp_ingest_broker_queued_messages)",
    ),
    Metric(
        Service.INGEST,
        "broker_dropped_messages",
        Kind.COUNTER,
        "Messages that the broker dropped, as Mosquitto reports. Absent with other brokers.",
        graph="increase(sgmp_ingest_broker_dropped_messages_total[1h])",
    ),
    Metric(
        Service.INGEST,
        "alarm",
        Kind.GAUGE,
        "1 while ingest has this alarm, otherwise 0. docs/ingest.md says what each means.",
        label="alarm",
        graph="sum by (alarm) (sgmp_ingest_alarm)",
        alerts=(
            Alert(
                "SgmpIngestAlarm",
                "max by (alarm) (sgmp_ingest_alarm) == 1",
                "1m",
                "critical",
                "Ingest has the alarm {{ $labels.alarm }}. docs/ingest.md says what to do.",
            ),
        ),
    ),
    Metric(Service.WATCH, "turns", Kind.COUNTER, "Turns that this watch took."),
    Metric(
        Service.WATCH,
        "turn_seconds",
        Kind.COUNTER,
        "Time that its turns took; drawn as time of each.",
        graph="rate(sgmp_watch_turn_seconds_total[5m]) / rate(sgmp_watch_turns_total[5m])",
        unit="s",
    ),
    Metric(
        Service.WATCH,
        "failed_turns",
        Kind.COUNTER,
        "Turns that failed.",
        graph=_rate(Service.WATCH, "failed_turns"),
        unit="cps",
    ),
    Metric(
        Service.WATCH,
        "last_turn_timestamp_seconds",
        Kind.GAUGE,
        "End of the last turn that this watch took.",
        graph="time() - max(sgmp_watch_last_turn_timestamp_seconds)",
        unit="s",
        alerts=(
            Alert(
                "SgmpNobodyWatches",
                "time() - max(sgmp_watch_last_turn_timestamp_seconds) > 120 or absent(sgmp_watch_last_turn_timestamp_seconds)",
                "1m",
                "critical",
                "No watch has looked at the houses for two minutes: nobody would be notified of a fault.",
            ),
        ),
    ),
    Metric(
        Service.WATCH,
        "open_findings",
        Kind.GAUGE,
        "Open findings of all houses after this watch's last turn.",
        label="severity",
        graph="max by (severity) (sgmp_watch_open_findings)",
    ),
    Metric(
        Service.WATCH,
        "notifications",
        Kind.COUNTER,
        "Attempts to send a message.",
        label="outcome",
        graph="sum by (outcome) (rate(sgmp_watch_notifications_total[5m]))",
        unit="cps",
        alerts=(
            Alert(
                "SgmpNotificationsFail",
                'increase(sgmp_watch_notifications_total{outcome="failed"}[15m]) > 0 and '
                'increase(sgmp_watch_notifications_total{outcome="sent"}[15m]) == 0',
                "5m",
                "critical",
                "Messages about findings can't be sent. Look at the mail server and at the watch's log.",
            ),
        ),
    ),
)

Figures = Mapping[str, "float | Mapping[str, float]"]
"""By a metric's key: its value, or its values by label. A key that is missing is not published."""


class _Figures(Collector):
    def __init__(self, service: Service, read: Callable[[], Figures]) -> None:
        self._service = service
        self._read = read

    def collect(self) -> Iterator[Family]:
        figures = self._read()
        for metric in METRICS:
            if metric.service is self._service and metric.key in figures:
                yield _family(metric, figures[metric.key])


def _family(metric: Metric, figure: float | Mapping[str, float]) -> Family:
    name = f"sgmp_{metric.service}_{metric.key}"
    labels = [metric.label] if metric.label else []
    values = figure if isinstance(figure, Mapping) else {None: figure}
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind is Kind.COUNTER:
        family = CounterMetricFamily(name, metric.help, labels=labels)
    else:
        family = GaugeMetricFamily(name, metric.help, labels=labels)
    for label, value in values.items():
        family.add_metric([] if label is None else [label], value)
    return family


@contextmanager
def served(service: Service, port: int | None, read: Callable[[], Figures]) -> Iterator[None]:
    """Publish a service's figures at http://127.0.0.1:`port`/metrics; None: nowhere.

    `read` is called by other threads, at each question. Raises UserError where the port can't be used.
    """
    if port is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(_Figures(service, read))
    try:
        server, thread = start_http_server(port, _ADDRESS, registry)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"Metrics can't be published on port {port} of {_ADDRESS}: {_reason(error)}. Choose another --metrics port."
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _reason(error: OSError | OverflowError) -> str:
    if isinstance(error, socket.gaierror) or not isinstance(error, OSError):
        return str(error)
    return error.strerror or str(error)
