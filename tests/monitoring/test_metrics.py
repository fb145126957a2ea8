"""What the services publish for Prometheus, and what is made from the list of metrics."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

from sgmp_console.cli import main
from sgmp_console.errors import UserError
from sgmp_console.monitoring import grafana
from sgmp_console.monitoring.metrics import METRICS, Kind, Metric, Service, served
from sgmp_console.store.findings import Severity
from sgmp_console.store.ingest_state import Alarm
from tests.mosquitto import free_port


def published(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode("utf-8")
    return text


def expressions() -> list[str]:
    panels = [
        target["expr"] for panel in grafana.dashboard()["panels"] for target in panel.get("targets", ())
    ]
    rules = [rule["expr"] for group in grafana.alert_rules()["groups"] for rule in group["rules"]]
    return panels + rules


def test_figures_are_published_with_type_and_help() -> None:
    port = free_port()
    with served(Service.INGEST, port, lambda: {"readings": 3, "receiving": 1, "alarm": {"flood": 1.0}}):
        text = published(port)
    assert "# HELP sgmp_ingest_readings_total New readings that were stored." in text
    assert "# TYPE sgmp_ingest_readings_total counter" in text
    assert "sgmp_ingest_readings_total 3.0" in text
    assert "sgmp_ingest_receiving 1.0" in text
    assert 'sgmp_ingest_alarm{alarm="flood"} 1.0' in text


def test_what_is_not_known_is_absent() -> None:
    port = free_port()
    with served(Service.INGEST, port, lambda: {"readings": 3}):
        assert "broker_queued" not in published(port)


def test_the_port_is_free_again_afterwards() -> None:
    port = free_port()
    for _ in range(2):
        with served(Service.WATCH, port, lambda: {"turns": 1}):
            assert "sgmp_watch_turns_total 1.0" in published(port)


def test_other_computers_are_not_answered() -> None:
    port = free_port()
    with served(Service.WATCH, port, dict), socket.socket() as other:
        # Were it bound to all addresses, this one would be taken.
        other.bind(("127.0.0.2", port))


def test_a_port_in_use_is_an_error_with_a_remedy() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with (
            pytest.raises(UserError, match="Choose another --metrics port"),
            served(Service.INGEST, other.getsockname()[1], dict),
        ):
            pass


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_follows_the_conventions_of_prometheus(metric: Metric) -> None:
    assert re.fullmatch(r"sgmp_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert metric.help.endswith(".")


def test_dashboard_and_rules_use_only_metrics_that_exist() -> None:
    names = {metric.name for metric in METRICS}
    used = {name for text in expressions() for name in re.findall(r"sgmp_(?:ingest|watch)_\w+", text)}
    assert used <= names
    assert {metric.name for metric in METRICS if metric.graph} <= used


def test_every_alarm_and_severity_fits_a_label() -> None:
    for label in [*Alarm, *Severity]:
        assert re.fullmatch(r"[a-z_]+", label.value)


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    numbers = set()
    for panel in grafana.dashboard()["panels"]:
        numbers.add(panel["id"])
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert max(column for column, _ in cells) < 24
        assert not cells & taken
        taken |= cells
    assert len(numbers) == len(grafana.dashboard()["panels"])


@pytest.mark.parametrize(("what", "key"), [("dashboard", "panels"), ("alerts", "groups")])
def test_the_command_prints_json(what: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitoring", what]) == 0
    assert json.loads(capsys.readouterr().out)[key]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (of Prometheus) is not installed")
def test_prometheus_accepts_the_rules(tmp_path: Path) -> None:
    rules = tmp_path / "sgmp.yml"
    rules.write_text(json.dumps(grafana.alert_rules(), indent=2), "utf-8")
    checked = subprocess.run(["promtool", "check", "rules", str(rules)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    port = free_port()
    with served(Service.INGEST, port, lambda: {"readings": 3, "alarm": {"flood": 1.0}}):
        text = published(port)
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
