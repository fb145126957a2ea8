"""What this computer remembers between runs: how to reach a deployment, and how the window was left.

Two TOML files in the user's configuration folder. Neither ever holds a password.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

import platformdirs

from sgmp_console.errors import UserError

ThemeChoice = Literal["system", "light", "dark"]

_PLAIN = ("str", "int", "bool")


class SettingsError(UserError):
    """A settings file that can't be read as one."""


@dataclass(frozen=True)
class Profile:
    """Where a deployment lives. `database_url` has neither user nor password: these come from the sign-in.

    The `broker_*` files are PEM paths; empty where the console does not publish (no Synchronize Configuration).
    Credentials of houses come from the local authority in the folder `authority`, else, with a `region`, from AWS IoT
    Core. With a user pool, its users are kept like the accounts. `aws_endpoint` is a server in place of AWS's,
    `aws_profile` names one of this computer's sets of AWS credentials. Initial passwords are mailed through `smtp_host`;
    `smtp_ca` is a PEM path. The passwords of both are kept elsewhere.
    """

    name: str
    database_url: str
    deployment: str = "sgmp"
    broker_host: str = ""
    broker_port: int = 8883
    broker_ca: str = ""
    broker_cert: str = ""
    broker_key: str = ""
    authority: str = ""
    region: str = ""
    aws_endpoint: str = ""
    aws_profile: str = ""
    user_pool_id: str = ""
    user_pool_client_id: str = ""
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_sender: str = ""
    smtp_user: str = ""
    smtp_ca: str = ""

    def __post_init__(self) -> None:
        if found := profile_problems(vars(self)):
            raise SettingsError(f"Profile {self.name}: {next(iter(found.values()))}")

    @property
    def database_host(self) -> str:
        """Host and port for people to read."""
        return self.database_url.partition("://")[2].partition("/")[0] or self.database_url


def profile_problems(values: Mapping[str, Any]) -> dict[str, str]:
    """Why a profile of these values can't work, by the name of the value; empty where it can."""
    found = {}
    address = urlsplit(values["database_url"])
    if address.username is not None or address.password is not None:
        found["database_url"] = (
            "the database address holds a user or password. Remove it: both are asked for at sign-in."
        )
    region, pool = values["region"], values["user_pool_id"]
    if region and not re.fullmatch(r"[a-z]{2,}(-[a-z]+)+-[0-9]+", region):
        found["region"] = f"{region!r} is no AWS region. It looks like eu-central-1."
    if pool:
        if not region:
            found["region"] = "a user pool needs its AWS region."
        elif not re.fullmatch(re.escape(region) + r"_[0-9A-Za-z]+", pool):
            found["user_pool_id"] = (
                f"the user pool's id must begin with its region, as in {region}_Ab12Cd34E."
            )
        if not values["user_pool_client_id"]:
            found["user_pool_client_id"] = "a user pool needs the id of its app client."
    if values["aws_endpoint"]:
        endpoint = urlsplit(values["aws_endpoint"])
        if endpoint.scheme not in ("http", "https") or not endpoint.hostname or "@" in endpoint.netloc:
            found["aws_endpoint"] = (
                "the AWS endpoint must be an address such as http://localhost:5000, without user and password."
            )
    if values["smtp_host"] and not re.fullmatch(r"[^@\s]+@[^@\s]+", values["smtp_sender"]):
        found["smtp_sender"] = "mail needs the address of its sender."
    for name, what in (("broker_port", "broker"), ("smtp_port", "mail server")):
        if not 1 <= values[name] <= 65535:
            found[name] = f"the port of the {what} must be between 1 and 65535."
    return found


@dataclass(frozen=True)
class WindowSettings:
    """How the window was left. Sizes in logical pixels."""

    theme: ThemeChoice = "system"
    rail_collapsed: bool = False
    width: int = 1280
    height: int = 800
    maximized: bool = False
    profile: str = ""
    email: str = ""
    house_id: int = 0


_Settings = TypeVar("_Settings", Profile, WindowSettings)


def configuration_folder() -> Path:
    return Path(platformdirs.user_config_dir("sgmp", appauthor=False))


def log_folder() -> Path:
    """Where the window's log and its reports of crashes are."""
    return Path(platformdirs.user_log_dir("sgmp", appauthor=False))


def load_profiles(folder: Path) -> list[Profile]:
    """The profiles of `profiles.toml`, in its order; empty where there is none. Raises SettingsError."""
    document = _read(folder / "profiles.toml")
    return [_typed(Profile, table, "profiles.toml") for table in document.get("profile", [])]


def save_profiles(folder: Path, profiles: Iterable[Profile]) -> None:
    blocks = ["[[profile]]\n" + _toml(asdict(profile)) for profile in profiles]
    _write(folder / "profiles.toml", "\n".join(blocks))


def load_window(folder: Path) -> WindowSettings:
    """How the window was left; the defaults where that is not known or can't be read, since nothing is lost."""
    try:
        settings = _typed(WindowSettings, _read(folder / "window.toml"), "window.toml")
    except SettingsError:
        return WindowSettings()
    return settings if settings.theme in get_args(ThemeChoice) else WindowSettings()


def save_window(folder: Path, settings: WindowSettings) -> None:
    _write(folder / "window.toml", _toml(asdict(settings)))


def _read(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file} can't be read: {error}. Correct or delete the file.") from error


def _typed(kind: type[_Settings], table: Mapping[str, Any], where: str) -> _Settings:
    """Unknown keys are left out, so that an older console reads what a newer one wrote."""
    known = {field.name: field.type for field in fields(kind)}
    values = {key: value for key, value in table.items() if key in known}
    wrong = [
        key for key, value in values.items() if known[key] in _PLAIN and type(value).__name__ != known[key]
    ]
    if wrong:
        raise SettingsError(f"{where}: `{wrong[0]}` must be a value of type {known[wrong[0]]}.")
    try:
        return kind(**values)
    except TypeError as error:
        raise SettingsError(f"{where} lacks a setting: {error}.") from error


def _toml(table: Mapping[str, Any]) -> str:
    # TOML's basic strings, integers and booleans are written as JSON's, but for one character.
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in table.items())
    return "".join(lines).replace("\x7f", "\\u007f")


def _write(file: Path, text: str) -> None:
    """Whole or not at all: a power cut leaves the old file."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            Path(name).replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise SettingsError(f"{file} can't be written: {error.strerror}.") from error
