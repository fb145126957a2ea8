"""The command line of the edge."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import VERSION

if TYPE_CHECKING:
    from .delivery.outbox import Message

FAILED, USAGE = 1, 2
PRIVATE_UMASK = 0o077
"""Readings, logs and credentials are for the edge's own user; the systemd unit says the same."""

log = logging.getLogger(__name__)


def run(arguments: Sequence[str], device_types: Mapping[str, type], *, default_home: Path) -> int:
    """`arguments` without the program's name; `device_types` the map of Main_Publisher.py. Returns the exit code."""
    if arguments and arguments[0] == "install":
        from .installation.systemd_install import install

        return install(arguments[1:])
    os.umask(PRIVATE_UMASK)
    if arguments and arguments[0] == "install-certs":
        from .install_certs import main

        return main(arguments[1:], default_home)
    parser = _parser(default_home)
    options = parser.parse_args(list(arguments))
    from .memory import save_memory
    from .settings import SetupError, load_settings

    home: Path = options.home.expanduser().resolve()
    save_memory()
    try:
        settings = load_settings(home)
        _start_log(options.log_level or settings.log_level, options.log_file)
        from .daemon import Daemon
        from .polling.drivers import Catalogue

        daemon = Daemon(
            home,
            settings,
            Catalogue(device_types),
            on_stored=_print if options.print or options.dry_run else lambda message: None,
            connect=not options.dry_run,
            once=options.once,
        )
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    daemon.run()
    return 0


def _parser(default_home: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sgmp-edge",
        description="Polls the devices of a house and publishes what they say.",
        epilog="Besides: `install` (run as a systemd service), `install-certs` (install the house's credentials); each"
        " has --help. Exit codes: 0 stopped on request, 1 failed, 2 not set up or wrong arguments.",
    )
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get("SGMP_EDGE_HOME", default_home)),
        metavar="DIR",
        help="folder of config.py, the credentials and the outbox (default: $SGMP_EDGE_HOME, else %(default)s)",
    )
    parser.add_argument(
        "--once", action="store_true", help="poll each device once, send what came of it, and end"
    )
    parser.add_argument(
        "--print", action="store_true", help="print each message, one JSON object a line, once stored"
    )
    parser.add_argument("--dry-run", action="store_true", help="connect to no broker; print instead")
    parser.add_argument(
        "--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="default: as in config.py"
    )
    parser.add_argument("--log-file", type=Path, metavar="FILE", help="log there; reopened after rotation")
    parser.add_argument("--version", action="version", version=f"sgmp-edge {VERSION}")
    return parser


def _print(message: Message) -> None:
    line = {
        "device": message.device_name,
        "timestamp_ms": message.timestamp_ms,
        "kind": message.kind,
        "payload": json.loads(message.payload),
    }
    try:
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has left; the edge goes on.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process's life


_JOURNAL_PREFIX = {logging.DEBUG: "<7>", logging.INFO: "<6>", logging.WARNING: "<4>", logging.ERROR: "<3>"}


class _JournalFormatter(logging.Formatter):
    """systemd's journal reads the level from a prefix and adds the time by itself."""

    def format(self, record: logging.LogRecord) -> str:
        return _JOURNAL_PREFIX.get(record.levelno, "<3>") + super().format(record)


def _start_log(level: str, file: Path | None) -> None:
    handler: logging.Handler
    if file is not None:
        from logging.handlers import WatchedFileHandler

        try:
            handler = WatchedFileHandler(file, encoding="utf-8")
        except OSError as error:
            from .settings import SetupError

            raise SetupError(f"{file} can't be written: {error.strerror}.") from error
    else:
        handler = logging.StreamHandler()
    if file is None and "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    # It announces each request at DEBUG, with addresses that may hold a token, and at WARNING each answer of a device
    # whose headers are odd.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
