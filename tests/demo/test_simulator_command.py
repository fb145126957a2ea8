"""`python -m sgmp_console.demo.simulator` as the demo starts it."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from defusedxml.ElementTree import fromstring

ROOT = Path(__file__).resolve().parents[2]
ALL_PORTS = ["--egauge-port", "0", "--sonnen-port", "0", "--powerflex-port", "0"]


@contextmanager
def simulator(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The process, and what its ready line says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sgmp_console.demo.simulator", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield process, json.loads(line) if line else {}
    finally:
        process.kill()
        process.wait(10)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def test_it_says_where_its_devices_are(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    with simulator(*ALL_PORTS, "--ready-file", str(ready_file)) as (process, said):
        assert said == json.loads(ready_file.read_text("utf-8"))
        assert said["pid"] == process.pid
        egauge, sonnen, powerflex = (said["ready"][name] for name in ("egauge", "sonnen", "powerflex"))
        meter = requests.get(f"http://{egauge}/cgi-bin/egauge?inst", timeout=5)
        assert len(list(fromstring(meter.content).iter("r"))) == 10
        assert "Pac_total_W" in requests.get(f"http://{sonnen}/api/v2/status", timeout=5).json()
        credentials = {"username": "user@domain.name", "password": "mysuperstrongpassword"}
        assert requests.post(f"http://{powerflex}/login", json=credentials, timeout=5).status_code == 200


def test_it_has_the_devices_that_were_given_a_port() -> None:
    with simulator("--sonnen-port", "0") as (_, said):
        assert set(said["ready"]) == {"sonnen"}


def test_it_ends_when_its_standard_input_does() -> None:
    with simulator(*ALL_PORTS, "--until-stdin-closes") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(5) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_it_ends_at_a_signal_even_while_a_device_hangs() -> None:
    with simulator(*ALL_PORTS) as (process, said):
        address = said["ready"]["egauge"]
        requests.post(f"http://{address}/_simulator/misbehave", json={"mode": "hang"}, timeout=5)
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"http://{address}/cgi-bin/egauge", timeout=0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def test_a_port_that_is_taken_is_told_in_a_sentence() -> None:
    with simulator("--sonnen-port", "0") as (_, said):
        port = said["ready"]["sonnen"].rpartition(":")[2]
        with simulator("--egauge-port", port) as (second, _):
            assert second.wait(10) == 1
            assert second.stderr is not None
            told = second.stderr.read()
            assert "port" in told
            assert "Traceback" not in told


@pytest.mark.parametrize(
    "arguments", [["--zone", "Moon/Crater", "--egauge-port", "0"], [], ["--speed", "0", "--egauge-port", "0"]]
)
def test_a_house_that_can_not_be_is_told_in_a_sentence(arguments: list[str]) -> None:
    with simulator(*arguments) as (process, _):
        assert process.wait(10) == 2
        assert process.stderr is not None
        assert process.stderr.read().startswith("This house can't be simulated: ")


def test_a_house_costs_little_memory() -> None:
    with simulator(*ALL_PORTS) as (process, said):
        for _ in range(3):
            requests.get(f"http://{said['ready']['egauge']}/cgi-bin/egauge?inst&tot", timeout=5)
        assert psutil.Process(process.pid).memory_info().rss < 45e6


def test_it_needs_the_standard_library_only() -> None:
    for path in (ROOT / "sgmp_edge" / "simulator").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                known = name.split(".")[0] in sys.stdlib_module_names
                assert known or name.startswith(("sgmp_console.demo.simulator", "sgmp_edge.contract")), (
                    path,
                    name,
                )
