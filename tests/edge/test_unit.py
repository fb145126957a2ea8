"""The systemd unit that `sgmp-edge install` writes."""

from __future__ import annotations

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from sgmp_edge import command, service, unit


def parsed(text: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_it_restarts_for_ever_under_a_watchdog_as_a_user_of_its_own() -> None:
    found = parsed(unit.unit("sgmp-edge", Path("/var/lib/sgmp-edge")))
    assert found["Service"]["Type"] == "notify"
    assert found["Service"]["User"] == "sgmp-edge"
    assert found["Service"]["Restart"] == "always"
    assert found["Unit"]["StartLimitIntervalSec"] == "0"
    assert found["Service"]["WatchdogSec"] == str(service.WATCHDOG_S)
    assert found["Service"]["ExecStart"].endswith("Main_Publisher.py --home /var/lib/sgmp-edge")


def test_it_can_write_to_its_home_and_nowhere_else() -> None:
    found = parsed(unit.unit("sgmp-edge", Path("/var/lib/sgmp-edge")))
    assert found["Service"]["ProtectSystem"] == "strict"
    assert found["Service"]["ReadWritePaths"] == "/var/lib/sgmp-edge"
    assert parsed(unit.unit("pi", Path("/home/pi/sgmp_edge")))["Service"]["ProtectHome"] == "read-only"


def test_paths_with_blanks_and_percent_signs_arrive_whole() -> None:
    text = unit.unit("pi", Path("/srv/my 100% edge"))
    assert '--home "/srv/my 100%% edge"' in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("home", ["/var/lib/sgmp-edge", "/srv/my 100% edge"])
def test_systemd_understands_it(tmp_path: Path, home: str) -> None:
    file = tmp_path / "sgmp-edge.service"
    file.write_text(unit.unit("root", Path(home)))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if "sgmp-edge.service" in line] == []


def test_it_can_be_looked_at_without_installing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.run(["install", "--print", "--home", str(tmp_path)], {}, default_home=tmp_path) == 0
    assert f"--home {tmp_path}" in capsys.readouterr().out


def test_without_systemd_it_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit, "UNIT_FOLDER", tmp_path / "absent")
    assert unit.install([]) == 1
    assert "no systemd" in capsys.readouterr().err
