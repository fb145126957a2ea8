"""What this computer remembers: profiles without secrets, the window as it was left."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console import settings
from sgmp_console.settings import Profile, SettingsError, WindowSettings

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_PLAIN_VALUES = st.one_of(
    _TEXTS, st.integers(), st.booleans(), st.floats(), st.lists(st.integers(), max_size=2), st.none()
)


def _document(tables: object) -> str:
    """As TOML: what it has no form for is left out."""
    lines = []
    for key, value in tables.items() if isinstance(tables, dict) else ():
        if value is not None:
            lines.append(
                f"{json.dumps(key)} = {json.dumps(value)}".replace("NaN", "nan").replace("Infinity", "inf")
            )
    return "\n".join(lines)


@given(
    values=st.dictionaries(
        st.sampled_from([field.name for field in dataclasses.fields(Profile)]) | _TEXTS, _PLAIN_VALUES
    )
)
def test_whatever_a_profiles_file_holds_it_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("settings")
    settings.profiles_file(folder).write_text(f"[[profile]]\n{_document(values)}", "utf-8")
    try:
        profiles = settings.load_profiles(folder)
    except SettingsError as error:
        assert "profiles.toml" in str(error)  # noqa: PT017 - it may be raised or not
    else:
        assert len(profiles) == 1


@pytest.mark.expected_warnings("window.toml")
@given(content=st.binary())
def test_whatever_bytes_a_settings_file_holds_it_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("settings")
    settings.profiles_file(folder).write_bytes(content)
    (folder / "window.toml").write_bytes(content)
    settings.load_window(folder)
    with contextlib.suppress(SettingsError):
        settings.load_profiles(folder)


@pytest.mark.expected_warnings("window.toml")
@given(
    values=st.dictionaries(
        st.sampled_from([field.name for field in dataclasses.fields(WindowSettings)]), _PLAIN_VALUES
    )
)
def test_whatever_a_window_file_holds_the_window_starts(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("settings")
    (folder / "window.toml").write_text(_document(values), "utf-8")
    window = settings.load_window(folder)
    assert 1 <= window.width <= 32_767
    assert 1 <= window.height <= 32_767


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('database_url = "postgresql://[::1:5432/sgmp"', "database_url"),
        ('database_url = "postgresql://h/d"\naws_endpoint = "http://[::1"', "aws_endpoint"),
        ('database_url = "postgresql://h/d"\nbroker_port = 0', "broker_port"),
        ('database_url = "postgresql://h/d"\nbroker_port = "x"', "broker_port"),
        ('deployment = "x"', "database_url"),
        ('database_url = "postgresql://h/d"\ndeployment = "a/#"', "deployment"),
        ('database_url = "postgresql://h:99999/d"', "database_url"),
        ('database_url = "postgresql://h/d"\naws_endpoint = "http://h:0"', "aws_endpoint"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path: Path, line: str, key: str) -> None:
    settings.profiles_file(tmp_path).write_text(f'[[profile]]\nname = "Pilot"\n{line}\n', "utf-8")
    with pytest.raises(SettingsError, match=rf"{re.escape(str(tmp_path))}.*profiles\.toml.*`{key}`"):
        settings.load_profiles(tmp_path)


@pytest.mark.parametrize(
    "text", ["profile = 3", "profile = [1]", '[profile]\nname = "x"\ndatabase_url = "postgresql://h/d"']
)
def test_profiles_that_are_not_tables_are_named(tmp_path: Path, text: str) -> None:
    settings.profiles_file(tmp_path).write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=r"\[\[profile\]\]"):
        settings.load_profiles(tmp_path)


@given(name=st.text(st.characters(exclude_categories=["Cs"])), port=st.integers(1, 65535))
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


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ada@host/sgmp",
        "postgresql://ada:hunter2@host/sgmp",
        "postgresql://host/sgmp?user=ada&password=hunter2",
        "host=db.example.org password=hunter2",
    ],
)
def test_a_profile_takes_no_user_and_no_password(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Profile("Pilot", address)
    assert "hunter2" not in str(caught.value)
    assert "Remove it" in str(caught.value)


def test_an_address_may_name_several_hosts() -> None:
    several = "postgresql://one:5432,two:5433/sgmp"
    assert Profile("Pilot", several).database_host == "one:5432,two:5433"


@pytest.mark.parametrize("text", ["[[profile]\n", f"n = {'9' * 5000}", f"n = {'[' * 100_000}"])
def test_a_broken_profiles_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "profiles.toml").write_text(text, "utf-8")
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


@pytest.mark.expected_warnings("window.toml")
@pytest.mark.parametrize(
    "text",
    [
        "theme = 'pink'",
        "width = 'wide'",
        "]",
        "future_setting = 1",
        f"width = 1{'0' * 20}",
        f"width = {'9' * 5000}",
        "height = -5",
    ],
)
def test_a_window_file_that_cannot_be_used_is_forgotten(tmp_path: Path, text: str) -> None:
    (tmp_path / "window.toml").write_text(text, "utf-8")
    assert settings.load_window(tmp_path) == WindowSettings()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(SettingsError, match="can't be written"):
        settings.save_window(tmp_path / "file", WindowSettings())


def test_one_odd_width_of_a_column_costs_only_that_one(tmp_path: Path) -> None:
    (tmp_path / "window.toml").write_text(
        'house_id = 7\n[column_widths]\n"Devices/Name" = 300\n"Devices/Type" = "wide"\n"Devices/State" = -4\n',
        "utf-8",
    )
    window = settings.load_window(tmp_path)
    assert window.column_widths == {"Devices/Name": 300}
    assert window.house_id == 7
    settings.save_window(tmp_path, window)
    assert settings.load_window(tmp_path) == window


@pytest.mark.parametrize(
    ("address", "with_it"),
    [
        ("postgresql://ada@host/sgmp", "postgresql://ada@host/sgmp?sslrootcert=/a%20b/ca.crt"),
        (
            "postgresql://host/sgmp?connect_timeout=5",
            "postgresql://host/sgmp?connect_timeout=5&sslrootcert=/a%20b/ca.crt",
        ),
        ("postgresql://host/sgmp?sslrootcert=/own.crt", "postgresql://host/sgmp?sslrootcert=/own.crt"),
    ],
)
def test_an_address_without_an_authority_takes_that_of_its_connection(address: str, with_it: str) -> None:
    assert settings.with_authority(address, "/a b/ca.crt") == with_it
    assert settings.with_authority(address, "") == address
    assert settings.authority_of(with_it) in ("/a b/ca.crt", "/own.crt")
