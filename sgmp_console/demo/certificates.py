"""Certificates of the demo's own services, kept from run to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.files import write_atomic


@dataclass(frozen=True)
class ServiceFiles:
    """PEM files of one of our services: its certificate and key."""

    cert: Path
    key: Path


def service_files(folder: Path, deployment: str, service: str) -> ServiceFiles:
    """Where the files of `service` (`console`, `ingest`) are."""
    return ServiceFiles(folder / f"{deployment}_{service}.crt", folder / f"{deployment}_{service}.key")


def ensure_service_files(authority: LocalAuthority, folder: Path, deployment: str, service: str) -> None:
    """Issue what is not there yet; its common name is the user that the broker's access list knows."""
    files = service_files(folder, deployment, service)
    if files.key.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    credentials = authority.issue(f"{deployment}_{service}")
    files.cert.write_text(credentials.certificate_pem, "ascii")
    write_secret(files.key, credentials.private_key_pem)  # last: its presence says that both are there


def write_secret(path: Path, text: str) -> None:
    """Write a text readable by its owner only, whole or not at all."""
    write_atomic(path, text.encode("utf-8"))
