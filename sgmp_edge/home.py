"""The folder of one edge: one daemon in it at a time, and an outbox of one house."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import IO

from .delivery.outbox import Outbox
from .files import LockHeld, lock, move_aside
from .settings import CREDENTIALS_FILE, DEVICES_FILE, OUTBOX_FILE, Settings, SetupError

log = logging.getLogger(__name__)

LOCK_FILE = ".lock"
HOUSE_KEY = "house"
"""State of the outbox: the client id of the house whose messages are in it."""


def lock_home(home: Path) -> IO[bytes]:
    """Keep other daemons out of this home. Raises SetupError if one is in it."""
    try:
        return lock(home / LOCK_FILE)
    except LockHeld as error:
        raise SetupError(
            f"An edge (process {error}) already runs with {home}. Stop that one first."
        ) from None
    except OSError as error:
        raise SetupError(f"{home} can't be written: {error.strerror}.") from error


def keep_secrets_private(home: Path) -> None:
    """Close the files that hold a private key, passwords and tokens to others: copied from elsewhere, they may be open."""
    if os.name != "posix":
        return
    for name in (CREDENTIALS_FILE, DEVICES_FILE):
        file = home / name
        try:
            if not file.stat().st_mode & 0o077:
                continue
            file.chmod(0o600)
            log.warning("%s could be read by other users of this computer; closed to them now", file)
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("%s can be read by other users of this computer (%s)", file, error.strerror)


def open_outbox(home: Path, settings: Settings) -> tuple[Outbox, dict[str, str]]:
    """The outbox of this house and its texts of state.

    What another house left behind (the Pi was moved, or config.py corrected) must not be published as this one's:
    its readings and its devices are set aside.
    """
    file = home / OUTBOX_FILE
    max_bytes = int(settings.outbox_max_mb * 1_000_000)
    outbox = Outbox(file, max_bytes=max_bytes)
    states = outbox.states()
    owner = states.get(HOUSE_KEY, settings.client_id)
    # A text that is not a client id was damaged on the disk, and proves no move.
    if owner != settings.client_id and re.fullmatch(r"\w+_house_[0-9]+", owner):
        outbox.close()
        for left in (file, home / DEVICES_FILE):
            if left.exists():
                move_aside(left, owner)
        log.warning("This was the edge of %s; its readings and devices are kept under that name", owner)
        outbox = Outbox(file, max_bytes=max_bytes)
        states = {}
    if states.get(HOUSE_KEY) != settings.client_id:
        outbox.put([], {HOUSE_KEY: settings.client_id})
    return outbox, states
