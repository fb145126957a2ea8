"""Make a broker of our own follow the list of revoked certificates."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from pathlib import Path

from sgmp_console.commands import OK, Usage
from sgmp_console.commands.arguments import Parsers, add_command, add_group


def add(parsers: Parsers) -> None:
    group = add_group(
        parsers,
        "revocation",
        "make a broker of your own follow the revocation list",
        title="commands",
        metavar="COMMAND",
    )
    parser = add_command(
        group,
        "watch",
        watch,
        "restart the broker when a certificate is revoked",
        "Watch the authority's revocation list, copy it to Mosquitto's folder when it changes, and restart "
        "Mosquitto, which ends the connections of revoked edges. Runs until it is stopped (SIGTERM, Ctrl-C).",
        extra="console",
    )
    parser.add_argument(
        "--list", type=Path, required=True, metavar="FILE", help="revoked.pem in the folder of the authority"
    )
    parser.add_argument("--broker-list", type=Path, required=True, metavar="FILE", help="Mosquitto's crlfile")
    parser.add_argument(
        "--restart",
        default="systemctl restart mosquitto",
        metavar="COMMAND",
        help="what restarts Mosquitto (%(default)s)",
    )


def watch(arguments: argparse.Namespace) -> int:
    from sgmp_console.cloud import revocation

    if not arguments.restart.strip():
        raise Usage("--restart needs the command that restarts the broker")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        restart = revocation.restarting_by(arguments.restart)
    except ValueError as error:
        raise Usage(f"--restart can't be read: {error}") from None
    revocation.watch(arguments.list, arguments.broker_list, restart, stop)
    return OK
