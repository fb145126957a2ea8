"""What the edge's home says about the present time."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sgmp_edge import contract, settings
from tests.edge.test_install_certs import AUTHORITY, credentials

LONG_AGO = 1_000_000_000


def put(home: Path, name: str, content: str = "", mtime_s: int = LONG_AGO) -> None:
    (home / name).write_text(content)
    os.utime(home / name, (mtime_s, mtime_s))


def test_an_empty_home_says_nothing_about_the_time(tmp_path: Path) -> None:
    assert settings.earliest_ms(tmp_path) == 0


@pytest.mark.parametrize("newest", ["config.py", "credentials.json", "devices.json"])
def test_the_newest_file_of_the_home_counts(tmp_path: Path, newest: str) -> None:
    for name in ("config.py", "credentials.json", "devices.json"):
        put(tmp_path, name, mtime_s=LONG_AGO + (1000 if name == newest else 0))
    put(tmp_path, "outbox.sqlite3", mtime_s=LONG_AGO + 5000)  # the edge's own, whatever clock it had
    assert settings.earliest_ms(tmp_path) == (LONG_AGO + 1000) * 1000


@pytest.mark.parametrize("year", [1995, 2024, 2061])
def test_the_begin_of_the_certificate_counts(tmp_path: Path, year: int) -> None:
    begin = datetime(year, 3, 1, 12, 30, 15, tzinfo=UTC)
    certificate, key = AUTHORITY.issue(begin=begin, end=begin + timedelta(days=400))
    text = contract.dump_credentials(credentials(certificate_pem=certificate, private_key_pem=key))
    put(tmp_path, "credentials.json", text, mtime_s=0)
    assert settings.earliest_ms(tmp_path) == int(begin.timestamp() * 1000)


def home_with(home: Path, config: str, **changed: object) -> Path:
    put(home, "config.py", config)
    put(home, "credentials.json", contract.dump_credentials(credentials(**changed)))
    return home


@pytest.mark.parametrize(
    "named",
    [
        {"deployment": "lab", "client_id": "lab_house_3"},
        {"deployment": None, "client_id": "lab_house_3"},
        {"deployment": "lab", "client_id": None},
    ],
)
def test_the_deployment_is_that_of_the_credentials(tmp_path: Path, named: dict[str, object]) -> None:
    home = home_with(tmp_path, "house_id = 3\n", **named)
    loaded = settings.load_settings(home)
    assert loaded.deployment == "lab"
    assert settings.load_identity(home, loaded).client_id == "lab_house_3"


@pytest.mark.parametrize(
    ("config", "named", "message"),
    [
        ('house_id = 3\ndeployment = "sgmp"\n', {"deployment": "lab"}, "belong to the deployment 'lab'"),
        ("house_id = 4\n", {}, "belong to house 3"),
        ("house_id = 4\n", {"house_id": None}, "are those of sgmp_house_3"),
        (
            'house_id = 3\ndeployment = "sgmp"\n',
            {"deployment": None, "client_id": "lab_house_3"},
            "are those of lab_house_3",
        ),
    ],
)
def test_credentials_that_disagree_with_config_py_are_reported(
    tmp_path: Path, config: str, named: dict[str, object], message: str
) -> None:
    home = home_with(tmp_path, config, **named)
    with pytest.raises(settings.SetupError, match=message):
        settings.load_identity(home, settings.load_settings(home))


def test_without_credentials_the_deployment_is_the_default(tmp_path: Path) -> None:
    put(tmp_path, "config.py", "house_id = 3\n")
    assert settings.load_settings(tmp_path).deployment == contract.DEFAULT_DEPLOYMENT


@pytest.mark.parametrize("name", ["\u00fc", "_lab", "a b", "a/b", "a+", "#", "x" * 33, "9", "", 7, "lab\n"])
def test_a_deployment_of_another_name_than_the_console_allows_is_refused(
    tmp_path: Path, name: object
) -> None:
    (tmp_path / "config.py").write_text(f"house_id = 3\ndeployment = {name!r}\n", "utf-8")
    with pytest.raises(settings.SetupError, match="deployment"):
        settings.load_settings(tmp_path)
