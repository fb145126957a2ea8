"""The configuration of Mosquitto, from the templates in `resources/mosquitto`."""

from __future__ import annotations

import os
import string
import sys
from collections.abc import Sequence
from pathlib import Path

from sgmp_console.cloud import revocation
from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.files import write_atomic
from sgmp_console.resources import resource


def write_broker(
    folder: Path,
    authority: LocalAuthority,
    deployment: str,
    address: str,
    port: int,
    *,
    services: Sequence[str] = ("ingest", "console"),
    owner: tuple[int, int] | None = None,
) -> bool:
    """Write configuration, access list, authority and revocation list into `folder`; whether something changed.

    `services`: who has a certificate; what follows `ingest_` or `console_` may do what that service may. Stored messages
    stay. `owner`: the user and group that the broker runs as, where that is not ours.
    """
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    places = {"deployment": deployment, "address": address, "port": str(port), "folder": folder.as_posix()}
    texts = {name: resource(f"mosquitto/{name}").read_text("utf-8") for name in ("mosquitto.conf", "acl")}
    texts["acl"] = _with_services(texts["acl"], services)
    changed = False
    for name, text in texts.items():
        content = string.Template(text).safe_substitute(places).encode("utf-8")
        changed |= replace_text(folder / name, content, mode=0o644)
    changed |= replace_text(folder / "ca.crt", authority.certificate_file.read_bytes(), mode=0o644)
    changed |= revocation.install(authority.revocation_file, folder / "revoked.pem")
    if owner is not None and sys.platform != "win32":
        for path in (folder, data, *folder.iterdir(), *data.iterdir()):
            os.chown(path, *owner)
    return changed


def replace_text(file: Path, content: bytes, *, mode: int = 0o600) -> bool:
    """Write the file unless it holds exactly this already; whether it did."""
    if file.is_file() and file.read_bytes() == content and file.stat().st_mode & 0o777 == mode:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, content, mode=mode)
    return True


def _with_services(access_list: str, services: Sequence[str]) -> str:
    """Further ingests and consoles may do what the first may."""
    paragraphs = access_list.rstrip("\n").split("\n\n")
    for service in services:
        kind, _, name = service.partition("_")
        if name:
            user = f"user ${{deployment}}_{kind}"
            same = next(one for one in paragraphs if user in one.splitlines())
            paragraphs.append(same.replace(user, f"user ${{deployment}}_{service}"))
    return "\n\n".join(paragraphs) + "\n"
