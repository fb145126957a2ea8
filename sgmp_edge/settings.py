"""What is set on the edge itself: its `config.py` and its credentials, both in its home folder.

The home of a copied folder is that folder; several edges on one machine share the code and have a home each.
"""

from __future__ import annotations

import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from . import contract
from .delivery.publisher import Identity

CONFIG_FILE = "config.py"
CREDENTIALS_FILE = "credentials.json"
OUTBOX_FILE = "outbox.sqlite3"
DEVICES_FILE = "devices.json"


class SetupError(Exception):
    """The edge can't start as it is set up; `str(error)` says what to do, without secrets."""


@dataclass(frozen=True)
class Settings:
    """The names that `config.py` may set. Only `house_id` must be."""

    house_id: int
    deployment: str = contract.DEFAULT_DEPLOYMENT
    """Where it is not set: that of the credentials."""
    endpoint: str | None = None
    """Broker, `host` or `host:port`; None: the one that came with the credentials."""
    poll_interval_s: float = 4.0
    allow_control: bool = False
    status_interval_s: float = 60.0
    outbox_max_mb: float = 1024.0
    publishes_per_s: float = 100.0
    kilobytes_per_s: float = 512.0
    backlog_spread_s: float = 30.0
    """The longest random wait before the backlog of an outage is sent, so that a fleet does not return at once."""
    resend_s: float = 60.0
    """How long an acknowledged message is kept, to be sent again should the connection break."""
    log_level: str = "INFO"

    @property
    def client_id(self) -> str:
        return contract.client_id(self.deployment, self.house_id)


_BOUNDS = {
    "house_id": (1, 10**18 - 1),
    "poll_interval_s": (0.2, 3600),
    "status_interval_s": (1, 3600),
    "outbox_max_mb": (1, 1_000_000),
    "publishes_per_s": (1, 10_000),
    "kilobytes_per_s": (1, 1_000_000),
    "backlog_spread_s": (0, 86_400),
    "resend_s": (0, 86_400),
}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def load_settings(home: Path) -> Settings:
    """Read `config.py`. Raises SetupError."""
    file = home / CONFIG_FILE
    if not file.exists():
        raise SetupError(f"{file} is missing. Copy config_example.py to it and set house_id.")
    try:
        module: dict[str, Any] = {"__file__": str(file), "__name__": "config"}
        exec(compile(file.read_bytes(), str(file), "exec"), module)  # noqa: S102 - it is the operator's own file
    except (Exception, SystemExit) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise SetupError(f"{file}{line} can't be read: {type(error).__name__}: {error}") from error
    names = [field.name for field in fields(Settings)]
    values = {
        key: value for key, value in module.items() if not key.startswith("_") and not _is_import(value)
    }
    for key in values:
        if key not in names:
            import difflib

            close = difflib.get_close_matches(key, names, 1)
            hint = f"; did you mean {close[0]}?" if close else f". Known are {', '.join(names)}."
            raise SetupError(f"{file}: unknown setting {key}{hint}")
    if values.get("deployment") is None:
        values["deployment"] = _deployment_of_credentials(home)
    if "house_id" not in values:
        raise SetupError(f"{file}: set house_id to the ID of this edge's house, shown in House Settings.")
    for key, value in values.items():
        problem = _problem(key, value)
        if problem:
            raise SetupError(f"{file}: {key} {problem}")
    return Settings(**values)


def load_identity(home: Path, settings: Settings) -> Identity:
    """Read the credentials that install_certs.py stored. Raises SetupError."""
    file = home / CREDENTIALS_FILE
    try:
        credentials = contract.parse_credentials(file.read_text("utf-8"))
    except FileNotFoundError:
        raise SetupError(
            f"{file} is missing. Run install_certs.py and paste the house's credentials."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{file} can't be read: {error}") from error
    except contract.ContractError as error:
        raise SetupError(f"{file}: {error}. Run install_certs.py again.") from None
    if credentials.house_id is not None and credentials.house_id != settings.house_id:
        raise SetupError(
            f"The credentials belong to house {credentials.house_id}, but {CONFIG_FILE} says house_id ="
            f" {settings.house_id}. Correct house_id, or install the credentials of that house."
        )
    if credentials.deployment is not None and credentials.deployment != settings.deployment:
        raise SetupError(
            f"The credentials belong to the deployment {credentials.deployment!r}, but {CONFIG_FILE} says"
            f" {settings.deployment!r}. Remove deployment from it, or install the credentials of that deployment."
        )
    if credentials.client_id is not None and credentials.client_id != settings.client_id:
        raise SetupError(
            f"The credentials are those of {credentials.client_id}, but {CONFIG_FILE} makes this edge"
            f" {settings.client_id}. Correct {CONFIG_FILE}, or install the credentials of that house."
        )
    endpoint = settings.endpoint or credentials.endpoint
    if not endpoint:
        raise SetupError(
            f"The credentials name no broker. Set endpoint in {CONFIG_FILE}, such as 'broker.lan:8883'."
        )
    host, port = contract.endpoint_of(endpoint)
    return Identity(
        client_id=settings.client_id,
        host=host,
        port=port,
        certificate_pem=credentials.certificate_pem,
        private_key_pem=credentials.private_key_pem,
        root_ca_pem=credentials.root_ca_pem,
    )


def _deployment_of_credentials(home: Path) -> str:
    """What the installed credentials say, else the default; what is wrong with them is for `load_identity`."""
    try:
        credentials = contract.parse_credentials((home / CREDENTIALS_FILE).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, contract.ContractError):
        return contract.DEFAULT_DEPLOYMENT
    named = re.fullmatch(r"(\w+)_house_[0-9]+", credentials.client_id or "")
    return credentials.deployment or (named[1] if named else contract.DEFAULT_DEPLOYMENT)


def earliest_ms(home: Path) -> int:
    """What a clock that is set can't be behind: the newest file that people and console put into the home, and the
    begin of the certificate. UTC ms; 0 if there is none."""
    known_s = [0.0]
    for name in (CONFIG_FILE, CREDENTIALS_FILE, DEVICES_FILE):
        with suppress(OSError):
            known_s.append((home / name).stat().st_mtime)
    with suppress(OSError, UnicodeDecodeError, contract.ContractError):
        text = (home / CREDENTIALS_FILE).read_text("utf-8")
        known_s.append(_not_before_s(contract.parse_credentials(text).certificate_pem))
    return int(max(known_s) * 1000)


def _not_before_s(certificate_pem: str) -> float:
    """Begin of a certificate's validity, UTC seconds; 0 if it can't be read.

    Its first time in DER: UTCTime (two digits of the year) or GeneralizedTime (RFC 5280, 4.1.2.5). A library for
    certificates would cost the daemon 10 MB.
    """
    try:
        der = ssl.PEM_cert_to_DER_cert(certificate_pem)
        time = re.search(rb"\x17\x0d([0-9]{12})Z|\x18\x0f([0-9]{14})Z", der)
        if time is None:
            return 0.0
        digits = (time[2] or (b"20" if time[1] < b"5" else b"19") + time[1]).decode()
        return datetime.strptime(f"{digits}+0000", "%Y%m%d%H%M%S%z").timestamp()
    except ValueError:
        return 0.0


def _problem(key: str, value: Any) -> str | None:
    if key == "endpoint":
        if value is None or value == "":
            return None
        try:
            contract.endpoint_of(value if isinstance(value, str) else "")
        except contract.ContractError as error:
            return f"is wrong: {error}"
        return None
    if key == "deployment":
        return (
            None
            if contract.is_deployment(value)
            else "must be a name such as 'sgmp': a letter, then letters A-Z, digits and underscores, 32 in all"
        )
    if key == "log_level":
        return None if value in _LEVELS else f"must be one of {', '.join(_LEVELS)}"
    if key == "allow_control":
        return None if isinstance(value, bool) else "must be True or False"
    low, high = _BOUNDS[key]
    whole = key == "house_id"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return "must be a whole number" if whole else "must be a number"
    return None if low <= value <= high else f"must be from {low:g} to {high:g}"


def _is_import(value: Any) -> bool:
    return callable(value) or type(value).__name__ == "module"
