"""The services of a server, and how systemd and Docker Compose run them: one list for both."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sgmp_console.resources import resource

_KEY = "${CREDENTIALS_DIRECTORY}/key.pem"
"""Where systemd puts the copy of a key that only the service reads."""

BROKER_IMAGE = "eclipse-mosquitto:2.0.22"
DATABASE_IMAGE = "timescale/timescaledb:2.26.4-pg17"


@dataclass(frozen=True)
class Service:
    """One program. `arguments` of sgmp-console; of a program of its own where `program` names one."""

    name: str
    description: str
    arguments: tuple[str, ...]
    key: Path | None = None
    """A private key, whose path follows the arguments."""
    environment: Path | None = None
    """The file with its secrets, which only root reads."""
    after: str = ""
    settings: tuple[str, ...] = ("Type=exec", "Restart=always", "RestartSec=5", "DynamicUser=yes")
    program: str = ""
    in_compose: bool = field(default=True)
    calendar: str = ""
    """When a timer starts it, in systemd's form; one without is started with the machine."""


def unit(service: Service, console: str) -> str:
    """The systemd unit. `console`: path of sgmp-console."""
    lines = list(service.settings)
    if service.environment is not None:
        lines.append(f"EnvironmentFile={service.environment}")
    key = []
    if service.key is not None:
        lines.append(f"LoadCredential=key.pem:{service.key}")
        key = ["--broker-key", _KEY]
    command = " ".join([service.program or console, *map(_quoted, service.arguments), *key])
    after = f"network-online.target {service.after}".strip()
    return string.Template(resource("systemd/sgmp.service").read_text("utf-8")).substitute(
        description=service.description,
        after=f"After={after}\nWants=network-online.target",
        service="\n".join(lines),
        command=command,
        install="" if service.calendar else "\n[Install]\nWantedBy=multi-user.target\n",
    )


def timer(service: Service) -> str:
    """The systemd timer of a service with a calendar."""
    return string.Template(resource("systemd/sgmp.timer").read_text("utf-8")).substitute(
        description=service.description, calendar=service.calendar
    )


def _quoted(argument: str) -> str:
    return f'"{argument}"' if " " in argument else argument


def compose(
    services: Sequence[Service], folder: Path, database_environment: Path, owner: tuple[int, int]
) -> str:
    """The same services in containers, on the host's network: addresses, files and arguments are those of the units.

    `owner`: who runs the broker. JSON is YAML, and needs no library and no rules of quoting.
    """
    hardening = {
        "network_mode": "host",
        "restart": "unless-stopped",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "read_only": True,
    }
    own = {"image": "sgmp-server", "tmpfs": ["/tmp"]}  # noqa: S108 - a private one, of the container
    certificates = folder / "database"
    parts: dict[str, object] = {
        "database": {
            "image": DATABASE_IMAGE,
            "network_mode": "host",
            "restart": "unless-stopped",
            "env_file": [str(database_environment)],
            "entrypoint": ["sh", "-c"],
            # PostgreSQL refuses a key that is not its own.
            "command": [
                "install -d -o postgres -m 700 /tls && install -o postgres -m 600 /certificates/server.* /tls/ && "
                "exec docker-entrypoint.sh postgres -c shared_preload_libraries=timescaledb -c ssl=on "
                "-c ssl_cert_file=/tls/server.crt -c ssl_key_file=/tls/server.key"
            ],
            "volumes": [f"{certificates}:/certificates:ro", "database:/var/lib/postgresql/data"],
        },
        "broker": {
            **hardening,
            "image": BROKER_IMAGE,
            "user": f"{owner[0]}:{owner[1]}",
            "entrypoint": ["mosquitto", "-c", f"{folder}/broker/mosquitto.conf"],
            "volumes": [f"{folder}/broker:{folder}/broker"],
        },
    }
    for service in services:
        if not service.in_compose:
            continue
        key = ["--broker-key", str(service.key)] if service.key is not None else []
        parts[service.name] = {
            **hardening,
            **own,
            **({"restart": "on-failure"} if service.name == "migrate" else {}),
            "command": ["sgmp-console", *service.arguments, *key],
            "env_file": [str(service.environment)],
            # Its own files only, at the paths that they have here.
            "volumes": [f"{part}:{part}:ro" for part in (*service.arguments, *key) if part.startswith("/")],
            "depends_on": ["database", "broker"],
        }
    parts["migrate"] = {
        **dict(parts["migrate"]),  # type: ignore[call-overload]
        "build": {
            "context": str(folder / "image"),
            "dockerfile_inline": "FROM python:3.12-slim\nCOPY *.whl /tmp/\n"
            'RUN pip install --no-cache-dir "$(ls /tmp/sgmp-*.whl)[server]" && rm /tmp/*.whl\n',
        },
    }
    return json.dumps({"name": "sgmp", "services": parts, "volumes": {"database": {}}}, indent=2) + "\n"
