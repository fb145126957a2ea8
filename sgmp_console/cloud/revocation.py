"""Make a broker of our own follow the authority's revocation list.

Mosquitto reads the list when it starts or on SIGHUP, and even then leaves connections that are open. So a revoked edge
stays connected until the broker restarts; what the broker keeps for ingest survives that, and edges connect again.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cryptography import x509

from sgmp_console.errors import SgmpError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
_RETRY_S = 10.0
_COMMAND_TIMEOUT_S = 120.0


class ListUnusable(SgmpError):
    """There is no revocation list, or it is damaged. A broker with such a list would refuse everybody."""


class RestartFailed(SgmpError):
    """The broker still has the old list in force."""


def install(source: Path, target: Path) -> bool:
    """Copy the list, whole or not at all, keeping the owner that `target` has; whether it is another than before.

    Raises ListUnusable, also for one with which the broker would let nobody in (expired, of another authority than that of
    `ca.crt` beside `target`), or let in again whom it refuses now (an older list, of a restored authority).
    """
    try:
        latest = source.read_bytes()
        if target.exists() and target.read_bytes() == latest:
            return False
        revoked = x509.load_pem_x509_crl(latest)
    except OSError as error:
        raise ListUnusable(
            f"The revocation list {source} can't be read ({error.strerror}). It is in the folder of the certificate authority."
        ) from error
    except ValueError as error:
        raise ListUnusable(
            f"{source} is not a revocation list in PEM. The broker keeps the one it has."
        ) from error
    _require_usable(source, revoked, target)
    try:
        temporary = target.with_name(target.name + ".new")
        temporary.write_bytes(latest)
        if target.exists():
            shutil.copymode(target, temporary)
            _copy_owner(target, temporary)
        temporary.replace(target)
    except OSError as error:
        raise ListUnusable(f"The broker's list {target} can't be written ({error.strerror}).") from error
    return True


def _require_usable(source: Path, revoked: x509.CertificateRevocationList, target: Path) -> None:
    """Raises ListUnusable."""
    until = revoked.next_update_utc
    if until is not None and until <= datetime.datetime.now(datetime.UTC):
        raise ListUnusable(
            f"{source} was valid until {until:%Y-%m-%d}: with it the broker would let nobody in. It keeps the one it has."
        )
    authority = _certificate(target.with_name("ca.crt"))
    if authority is not None and not _is_of(revoked, authority):
        raise ListUnusable(
            f"{source} is a list of another certificate authority than the broker's ({target.with_name('ca.crt')}). The "
            "broker keeps the one it has."
        )
    try:
        before = x509.load_pem_x509_crl(target.read_bytes())
    except (OSError, ValueError):
        return
    if before.issuer != revoked.issuer:
        return
    missing = {row.serial_number for row in before} - {row.serial_number for row in revoked}
    if missing:
        raise ListUnusable(
            f"{source} does not name {len(missing)} of the certificates that the broker refuses: it is older. Restore a newer "
            f"copy of the authority; to let them in again, delete {target}. The broker keeps the list it has."
        )


def _certificate(file: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return None


def _is_of(revoked: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    return revoked.is_signature_valid(cast("CertificateIssuerPublicKeyTypes", authority.public_key()))


def watch(source: Path, target: Path, restart: Callable[[], None], stop: threading.Event) -> None:
    """Until `stop`: bring each new list to the broker and restart it, again and again until that works.

    Which list is in force is kept beside `target`, so that one that was copied just before we ended is not forgotten.
    """
    in_force = target.with_name(target.name + ".in-force")
    said = ""
    while not stop.is_set():
        wait_s = LOOK_EVERY_S
        try:
            install(source, target)
            fingerprint = hashlib.sha256(target.read_bytes()).hexdigest()
            if not in_force.exists() or in_force.read_text("ascii", "replace") != fingerprint:
                restart()
                in_force.write_text(fingerprint, "ascii")
                _log.info("the broker restarted with the present revocation list")
            said = ""
        except (SgmpError, OSError) as error:
            if str(error) != said:
                said = str(error)
                _log.error("%s", error)
            wait_s = _RETRY_S
        stop.wait(wait_s)


def restarting_by(command: str) -> Callable[[], None]:
    """What runs `command` (its words split as a shell does, without a shell). Raises RestartFailed."""
    words = shlex.split(command)

    def restart() -> None:
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RestartFailed(
                f"The broker could not be restarted by {words[0]}: {type(error).__name__}."
            ) from error
        if done.returncode != 0:
            raise RestartFailed(
                f"The broker could not be restarted: {words[0]} ended with {done.returncode}. {done.stderr.strip()[:300]}"
            )

    return restart


def _copy_owner(source: Path, target: Path) -> None:
    """Where we may: the broker's own user must be able to read it."""
    if hasattr(os, "chown") and os.geteuid() == 0:
        status = source.stat()
        os.chown(target, status.st_uid, status.st_gid)
