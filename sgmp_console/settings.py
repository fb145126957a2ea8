"""What this computer remembers between runs: how to reach a deployment, and how the window was left.

Two TOML files in the user's configuration folder. Neither ever holds a password.
"""

from __future__ import annotations

import hashlib
import logging
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

import platformdirs

from sgmp_console.errors import UserError
from sgmp_console.files import write_atomic
from sgmp_edge import contract

ThemeChoice = Literal["system", "light", "dark"]

_TYPE_NAMES: Mapping[Any, str] = {
    "str": "a text",
    "int": "a whole number",
    "bool": "true or false",
    "dict[str, int]": "a table of whole numbers",
}
"""By the annotation of a setting."""

_MAX_SIZE_PX = 32_767
"""More than any screen has, and the most that X11 can tell a window."""

_MIN_COLUMN_PX = 24
"""Narrower, a column can't be seen, nor taken hold of to make it wider."""

log = logging.getLogger(__name__)


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
        for key, problem in profile_problems(vars(self)).items():
            raise SettingsError(f"Profile {self.name}, `{key}`: {problem}")

    @property
    def issues_credentials(self) -> bool:
        """Whether houses get credentials through it: from a local authority or from AWS."""
        return bool(self.authority or self.region)

    @property
    def database_host(self) -> str:
        """Host and port for people to read."""
        return self.database_url.partition("://")[2].partition("/")[0] or self.database_url


def profile_problems(values: Mapping[str, Any]) -> dict[str, str]:
    """Why a profile of these values can't work, by the name of the value; empty where it can."""
    found = {}
    if problem := _database_problem(values["database_url"]):
        found["database_url"] = problem
    if not contract.is_deployment(values["deployment"]):
        found["deployment"] = (
            "a deployment's name starts with a letter and holds at most 32 letters A-Z, digits and _."
        )
    region, pool = values["region"], values["user_pool_id"]
    if region and not re.fullmatch(r"[a-z]{2,}(-[a-z]+)+-[0-9]+", region):
        found["region"] = f"{region!r} is not an AWS region. It looks like eu-central-1."
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
        endpoint = _parsed(values["aws_endpoint"])
        if (
            endpoint is None
            or endpoint.scheme not in ("http", "https")
            or not endpoint.hostname
            or "@" in endpoint.netloc
        ):
            found["aws_endpoint"] = (
                "the AWS endpoint must be an address such as http://localhost:5000, without user and password."
            )
    if values["smtp_host"] and not re.fullmatch(r"[^@\s]+@[^@\s]+", values["smtp_sender"]):
        found["smtp_sender"] = "mail needs the address of its sender."
    for name, what in (("broker_port", "broker"), ("smtp_port", "mail server")):
        if not 1 <= values[name] <= 65535:
            found[name] = f"the port of the {what} must be between 1 and 65535."
    return found


def _database_problem(url: str) -> str | None:
    address = _parsed(url)
    if address is None or not url.strip():
        return "the database address can't be read. It looks like postgresql://host:5432/database."
    named = {name for name, _ in parse_qsl(address.query)} | set(_CONNINFO_SECRET.findall(url))
    if "@" in address.netloc or named & {"user", "password"}:
        return "the database address holds a user or password. Remove it: both are asked for at sign-in."
    return None


def _parsed(url: str) -> SplitResult | None:
    """None for what is not an address. Several hosts with commas between, as PostgreSQL takes them, are one."""
    try:
        address = urlsplit(url)
        if "," not in address.netloc and address.port == 0:
            return None
    except ValueError:
        return None
    return address


_CONNINFO_SECRET = re.compile(r"(?:^|\s)(user|password)\s*=")
"""libpq takes an address also as `host=... password=...`."""


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
    column_widths: dict[str, int] = field(default_factory=dict)
    """Of lists, as the operator chose them, by "table/column"."""
    desktop_notices: bool = True
    """Whether findings that open are shown by the desktop while another window is used."""


_Settings = TypeVar("_Settings", Profile, WindowSettings)


def configuration_folder() -> Path:
    return Path(platformdirs.user_config_dir("sgmp", appauthor=False))


def log_folder() -> Path:
    """Where the window's log and its reports of crashes are."""
    return Path(platformdirs.user_log_dir("sgmp", appauthor=False))


def profiles_file(folder: Path | None = None) -> Path:
    return (folder or configuration_folder()) / "profiles.toml"


def load_profiles(folder: Path) -> list[Profile]:
    """The profiles of `profiles.toml`, in its order; empty where there is none. Raises SettingsError."""
    return read_profiles(profiles_file(folder))


def read_profiles(file: Path) -> list[Profile]:
    """The same of any file of that form. Raises SettingsError."""
    tables = _read(file).get("profile", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingsError(
            f"{file}: profiles are written as [[profile]] tables. Correct or delete the file."
        )
    return [_typed(Profile, table, file) for table in tables]


def connection_file(profile: Profile, database_ca: str = "") -> bytes:
    """A file that another computer imports (`import_profiles`). Its certificates and key are in it, as PEM texts.

    `database_ca`: the authority of the database's certificate, as a PEM text; empty: one that computers trust anyway.
    """
    import tomli_w

    table = {key: value for key, value in asdict(profile).items() if value != ""}
    return tomli_w.dumps({"profile": [{**table, "database_ca": database_ca}]}).encode("utf-8")


def import_profiles(file: Path, folder: Path) -> list[Profile]:
    """The profiles of a file of another console, or of `connection_file`, whose PEM texts are put into files that only
    their owner reads, below the configuration folder `folder`. Raises SettingsError."""
    document = _read(file)
    if not document:
        raise SettingsError(f"{file} does not exist, or holds no connection.")
    profiles = []
    tables = document.get("profile", [])
    for profile, table in zip(read_profiles(file), tables, strict=True):
        name = hashlib.sha256(repr(sorted(table.items())).encode("utf-8")).hexdigest()[:16]
        kept = {key: _kept_pem(folder / "certificates" / name, key, table.get(key, "")) for key in _PEM_TEXTS}
        ca = kept.pop("database_ca")
        if ca:
            kept["database_url"] = with_authority(profile.database_url, ca)
        profiles.append(_typed(Profile, {**asdict(profile), **kept}, file))
    return profiles


def with_authority(database_url: str, file: str) -> str:
    """The address with the file of the authority that signed the database's certificate, unless it names one."""
    if not file or authority_of(database_url):
        return database_url
    separator = "&" if "?" in database_url else "?"
    return f"{database_url}{separator}sslrootcert={quote(file, safe='/')}"


def authority_of(database_url: str) -> str:
    """The file that an address names for it; empty where it names none."""
    return dict(parse_qsl(database_url.partition("?")[2])).get("sslrootcert", "")


_PEM_TEXTS = ("broker_ca", "broker_cert", "broker_key", "database_ca")


def _kept_pem(folder: Path, name: str, value: object) -> str:
    """The path of the text, once it is in a file; what is a path already stays. Raises SettingsError."""
    if not isinstance(value, str) or not value.startswith("-----BEGIN "):
        return value if isinstance(value, str) else ""
    file = folder / f"{name}.pem"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(file, value.encode("utf-8"))
    except OSError as error:
        raise SettingsError(f"{file} can't be written: {error.strerror}.") from error
    return str(file)


def save_profiles(folder: Path, profiles: Iterable[Profile]) -> None:
    """Raises SettingsError."""
    _write(profiles_file(folder), {"profile": [asdict(profile) for profile in profiles]})


def load_window(folder: Path) -> WindowSettings:
    """How the window was left; the defaults where that is not known or can't be used, since nothing is lost."""
    file = folder / "window.toml"
    try:
        settings = _typed(WindowSettings, _read(file), file)
    except SettingsError as error:
        log.warning("%s The window starts with its defaults.", error)
        return WindowSettings()
    fits = (
        settings.theme in get_args(ThemeChoice)
        and all(1 <= size <= _MAX_SIZE_PX for size in (settings.width, settings.height))
        and 0 <= settings.house_id < 2**31
    )
    if not fits:
        return WindowSettings()
    widths = settings.column_widths.items()
    return replace(settings, column_widths={key: px for key, px in widths if _is_width(px)})


def _is_width(px: object) -> bool:
    return type(px) is int and _MIN_COLUMN_PX <= px <= _MAX_SIZE_PX


def save_window(folder: Path, settings: WindowSettings) -> None:
    """Raises SettingsError."""
    _write(folder / "window.toml", asdict(settings))


def _read(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        reason: object = error.strerror if isinstance(error, OSError) else error
        if not isinstance(error, OSError | UnicodeDecodeError | tomllib.TOMLDecodeError):
            reason = "it holds a number of too many digits, or is nested too deeply"
        raise SettingsError(f"{file} can't be read: {reason}. Correct or delete the file.") from error


def _typed(type_: type[_Settings], table: Mapping[str, Any], file: Path) -> _Settings:
    """Unknown keys are left out, so that an older console reads what a newer one wrote."""
    known = {declared.name: declared for declared in fields(type_)}
    for key, declared in known.items():
        if key in table:
            expected = declared.type if declared.type in _TYPE_NAMES else "str"
            if type(table[key]).__name__ != expected.partition("[")[0]:
                raise SettingsError(f"{file}: `{key}` must be {_TYPE_NAMES[expected]}.")
        elif declared.default is MISSING and declared.default_factory is MISSING:
            raise SettingsError(f"{file}: `{key}` is missing.")
    try:
        return type_(**{key: value for key, value in table.items() if key in known})
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}") from error


def _write(file: Path, document: Mapping[str, Any]) -> None:
    import tomli_w

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, tomli_w.dumps(document).encode("utf-8"))
    except OSError as error:
        raise SettingsError(f"{file} can't be written: {error.strerror}.") from error
