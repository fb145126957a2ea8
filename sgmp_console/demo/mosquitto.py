"""The demo's own MQTT broker: Mosquitto on loopback, with mutual TLS, set up from the templates for real use."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.demo.folder import LOOPBACK
from sgmp_console.errors import SgmpError
from sgmp_console.server.broker import write_broker
from sgmp_console.server.certificates import ensure_server_files


class MosquittoMissing(SgmpError):
    def __init__(self) -> None:
        super().__init__(
            "The MQTT broker Mosquitto is not installed. Install it (Debian, Ubuntu: apt-get install mosquitto; "
            "macOS: brew install mosquitto; Windows: the installer from mosquitto.org), then start again."
        )


def find_mosquitto() -> Path:
    """The broker's program, also where the search path does not lead. Raises MosquittoMissing."""
    places = [os.environ.get("PATH", "")]
    if sys.platform == "win32":
        places += [
            rf"{os.environ[key]}\mosquitto" for key in ("ProgramFiles", "ProgramW6432") if key in os.environ
        ]
    else:
        places += ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/opt/local/sbin"]
    found = shutil.which("mosquitto", path=os.pathsep.join(places))
    if found is None:
        raise MosquittoMissing
    return Path(found)


def prepare_broker(
    folder: Path, authority: LocalAuthority, deployment: str, port: int, owner: tuple[int, int] | None
) -> list[str]:
    """Write what the broker needs into `folder` and return the command that runs it in the foreground.

    Its stored messages and its own certificate stay from run to run. `owner`: the user and group that it will run
    as, where that is not ours. Raises MosquittoMissing.
    """
    program = find_mosquitto()
    ensure_server_files(authority, folder, ["localhost", LOOPBACK], owner)
    write_broker(folder, authority, deployment, LOOPBACK, port, owner=owner)
    return [str(program), "-c", str(folder / "mosquitto.conf")]


def broker_store(folder: Path) -> Path:
    """Where the broker in `folder` keeps its messages; written each 15 s and when it stops."""
    return folder / "data" / "mosquitto.db"


def set_aside_store(folder: Path) -> Path:
    """Where `set_store_aside` leaves a damaged one."""
    return folder / "data" / "mosquitto.db.damaged"


def set_store_aside(folder: Path) -> bool:
    """Keep what the broker in `folder` stored under another name, so that it can start without; whether there was any.

    What was in it comes again: the edges have what was not acknowledged, and configurations are published at each start.
    """
    store = broker_store(folder)
    if not store.exists():
        return False
    store.replace(set_aside_store(folder))
    return True
