"""Certificates of a deployment's own services, kept from run to run: the demo's and a server's."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

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


def ensure_service_files(authority: LocalAuthority, folder: Path, deployment: str, service: str) -> bool:
    """Issue what is not there yet; its common name is the user that the broker's access list knows. Whether it did."""
    files = service_files(folder, deployment, service)
    if files.key.exists():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    credentials = authority.issue(f"{deployment}_{service}")
    write_atomic(files.cert, credentials.certificate_pem.encode("ascii"), mode=0o644)
    write_secret(files.key, credentials.private_key_pem)  # last: its presence says that both are there
    return True


def ensure_server_files(
    authority: LocalAuthority, folder: Path, names: Sequence[str], owner: tuple[int, int] | None = None
) -> bool:
    """`server.crt` and `server.key` for these host names and addresses; issued where they are missing or for others.

    `owner`: the user and group of the server, where that is not ours. Whether something was issued.
    """
    certificate, key = folder / "server.crt", folder / "server.key"
    issued = not (key.exists() and _is_for(certificate, names))
    if issued:
        folder.mkdir(parents=True, exist_ok=True)
        server = authority.issue_server(names)
        write_atomic(certificate, server.certificate_pem.encode("ascii"), mode=0o644)
        write_secret(key, server.private_key_pem)
    if owner is not None and sys.platform != "win32":
        for path in (folder, certificate, key):
            os.chown(path, *owner)
    return issued


def _is_for(certificate: Path, names: Sequence[str]) -> bool:
    try:
        extensions = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions
        alternatives = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    return {str(name.value) for name in alternatives} == set(names)


def write_secret(path: Path, text: str) -> None:
    """Write a text readable by its owner only, whole or not at all."""
    write_atomic(path, text.encode("utf-8"))
