"""The systemd unit that `sgmp-edge install` writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from sgmp_edge import command, systemd_notify
from sgmp_edge.installation import systemd_install


def parsed(text: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_it_restarts_for_ever_under_a_watchdog_as_a_user_of_its_own() -> None:
    found = parsed(systemd_install.unit("sgmp-edge", Path("/var/lib/sgmp-edge")))
    assert found["Service"]["Type"] == "notify"
    assert found["Service"]["User"] == "sgmp-edge"
    assert found["Service"]["Restart"] == "always"
    assert found["Unit"]["StartLimitIntervalSec"] == "0"
    assert found["Service"]["WatchdogSec"] == str(systemd_notify.WATCHDOG_S)
    assert found["Service"]["ExecStart"].endswith("Main_Publisher.py --home /var/lib/sgmp-edge")


def test_it_can_write_to_its_home_and_nowhere_else() -> None:
    found = parsed(systemd_install.unit("sgmp-edge", Path("/var/lib/sgmp-edge")))
    assert found["Service"]["ProtectSystem"] == "strict"
    assert found["Service"]["ReadWritePaths"] == "/var/lib/sgmp-edge"
    assert (
        parsed(systemd_install.unit("pi", Path("/home/pi/sgmp_edge")))["Service"]["ProtectHome"]
        == "read-only"
    )


def test_paths_with_blanks_and_percent_signs_arrive_whole() -> None:
    text = systemd_install.unit("pi", Path("/srv/my 100% edge"))
    assert '--home "/srv/my 100%% edge"' in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("home", ["/var/lib/sgmp-edge", "/srv/my 100% edge"])
def test_systemd_understands_it(tmp_path: Path, home: str) -> None:
    file = tmp_path / "sgmp-edge.service"
    file.write_text(systemd_install.unit("root", Path(home)))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if "sgmp-edge.service" in line] == []


def test_it_can_be_looked_at_without_installing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.run(["install", "--print", "--home", str(tmp_path)], {}, default_home=tmp_path) == 0
    assert f"--home {tmp_path}" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can install")
def test_installing_again_gives_away_no_file_that_the_home_only_points_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bin_, home, outside = tmp_path / "bin", tmp_path / "home", tmp_path / "shadow"
    bin_.mkdir()
    (bin_ / "systemctl").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(bin_))  # and no runuser: nobody else could read a test's folder
    monkeypatch.setattr(systemd_install, "UNIT_FOLDER", tmp_path)
    outside.touch()
    home.mkdir()
    (home / "config.py").touch()
    (home / "link").symlink_to(outside)
    assert systemd_install.install(["--user", "nobody", "--home", str(home)]) == 0
    assert "Written" in capsys.readouterr().out
    assert outside.stat().st_uid == 0
    assert (home / "config.py").owner() == "nobody"
    assert (tmp_path / "sgmp-edge.service").exists()


def test_without_systemd_it_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd_install, "UNIT_FOLDER", tmp_path / "absent")
    assert systemd_install.install([]) == 1
    assert "no systemd" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can install")
def test_it_names_only_the_steps_that_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bin_, home = tmp_path / "bin", tmp_path / "home"
    bin_.mkdir()
    (bin_ / "systemctl").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(bin_))
    monkeypatch.setattr(systemd_install, "UNIT_FOLDER", tmp_path)

    def steps() -> list[str]:
        assert systemd_install.install(["--user", "nobody", "--home", str(home)]) == 0
        return [line.split()[1] for line in capsys.readouterr().out.splitlines()[2:]]

    home.mkdir()
    assert len(steps()) == 3
    (home / "config.py").touch()
    assert len(steps()) == 2
    (home / "credentials.json").touch()
    assert steps() == ["systemctl"]
