"""What this computer remembers: profiles without secrets, the window as it was left."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console import settings
from sgmp_console.settings import Profile, SettingsError, WindowSettings


@given(name=st.text(st.characters(exclude_categories=("Cs",))), port=st.integers(1, 65535))
def test_profiles_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, name: str, port: int
) -> None:
    folder = tmp_path_factory.mktemp("settings")
    kept = [
        Profile(name, "postgresql://db.example.org/sgmp", broker_host="mqtt.example.org", broker_port=port),
        Profile("Test", "postgresql://localhost/sgmp", deployment="pilot"),
    ]
    settings.save_profiles(folder, kept)
    assert settings.load_profiles(folder) == kept


def test_without_a_file_there_are_no_profiles(tmp_path: Path) -> None:
    assert settings.load_profiles(tmp_path / "absent") == []


@pytest.mark.parametrize("address", ["postgresql://ada@host/sgmp", "postgresql://ada:hunter2@host/sgmp"])
def test_a_profile_takes_no_user_and_no_password(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Profile("Pilot", address)
    assert "hunter2" not in str(caught.value)
    assert "Remove it" in str(caught.value)


def test_a_broken_profiles_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text("[[profile]\n", "utf-8")
    with pytest.raises(SettingsError, match=r"profiles\.toml can't be read"):
        settings.load_profiles(tmp_path)


@pytest.mark.parametrize("line", ["name = 3\ndatabase_url = 'postgresql://h/d'", "name = 'x'"])
def test_a_profile_with_a_wrong_or_missing_setting_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "profiles.toml").write_text(f"[[profile]]\n{line}\n", "utf-8")
    with pytest.raises(SettingsError):
        settings.load_profiles(tmp_path)


def test_the_window_comes_back_as_it_was_left(tmp_path: Path) -> None:
    left = WindowSettings("dark", True, 1600, 900, True, "Pilot", "ada@example.org", 7)
    settings.save_window(tmp_path, left)
    assert settings.load_window(tmp_path) == left


@pytest.mark.parametrize("text", ["theme = 'pink'", "width = 'wide'", "]", "future_setting = 1"])
def test_a_window_file_that_cannot_be_used_is_forgotten(tmp_path: Path, text: str) -> None:
    (tmp_path / "window.toml").write_text(text, "utf-8")
    assert settings.load_window(tmp_path) == WindowSettings()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(SettingsError, match="can't be written"):
        settings.save_window(tmp_path / "file", WindowSettings())
