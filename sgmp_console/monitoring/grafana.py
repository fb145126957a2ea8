"""A Grafana dashboard and Prometheus alert rules, made from the list of metrics."""

from __future__ import annotations

from typing import Any

from sgmp_console.monitoring.metrics import METRICS, Alert, Metric, Service

_COLUMNS = 24
"""Of a Grafana dashboard."""
_PANEL_WIDTH, _PANEL_HEIGHT = 8, 7

_TITLES = {Service.INGEST: "Ingest", Service.WATCH: "Watch"}
_SERVICE_AWAY = Alert(
    "SgmpServiceAway",
    'up{job=~"sgmp.*"} == 0',
    "2m",
    "critical",
    "{{ $labels.job }} on {{ $labels.instance }} does not answer.",
)


def dashboard() -> dict[str, Any]:
    """As Grafana imports it; it asks which Prometheus to read."""
    panels: list[dict[str, Any]] = []
    top = 0
    for service in Service:
        drawn = [metric for metric in METRICS if metric.service is service and metric.graph]
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": _TITLES[service],
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": top, "w": _COLUMNS, "h": 1},
            }
        )
        top += 1
        for place, metric in enumerate(drawn):
            x = place * _PANEL_WIDTH % _COLUMNS
            y = top + place * _PANEL_WIDTH // _COLUMNS * _PANEL_HEIGHT
            panels.append(_panel(metric, len(panels) + 1, x, y))
        top += -(-len(drawn) * _PANEL_WIDTH // _COLUMNS) * _PANEL_HEIGHT
    return {
        "__inputs": [
            {
                "name": "DS_PROMETHEUS",
                "label": "Prometheus",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "uid": "sgmp-services",
        "title": "SGMP services",
        "tags": ["sgmp"],
        "timezone": "browser",
        "refresh": "30s",
        "schemaVersion": 39,
        "time": {"from": "now-6h", "to": "now"},
        "panels": panels,
    }


def _panel(metric: Metric, number: int, x: int, y: int) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
    return {
        "id": number,
        "type": "timeseries",
        "title": metric.key.replace("_", " ").capitalize(),
        "description": metric.help,
        "datasource": source,
        "gridPos": {"x": x, "y": y, "w": _PANEL_WIDTH, "h": _PANEL_HEIGHT},
        "fieldConfig": {"defaults": {"unit": metric.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": "A",
                "datasource": source,
                "expr": metric.graph,
                "legendFormat": f"{{{{{metric.label or 'instance'}}}}}",
            }
        ],
    }


def alert_rules() -> dict[str, Any]:
    """As Prometheus reads them. JSON is YAML, so the text needs no other form."""
    alerts = [_SERVICE_AWAY, *(alert for metric in METRICS for alert in metric.alerts)]
    return {
        "groups": [
            {
                "name": "sgmp",
                "rules": [
                    {
                        "alert": alert.name,
                        "expr": alert.expression,
                        "for": alert.hold,
                        "labels": {"severity": alert.severity},
                        "annotations": {"summary": alert.summary},
                    }
                    for alert in alerts
                ],
            }
        ]
    }
