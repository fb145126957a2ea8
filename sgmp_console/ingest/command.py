"""`sgmp-console ingest`: from the command line's words to a run that a signal ends."""

from __future__ import annotations

import argparse
import logging
import os
import re
import secrets
import shlex
import signal
import threading

from sgmp_console.cloud.mqtt import BrokerSettings
from sgmp_console.environment import DATABASE_URL, SHARE_GROUP
from sgmp_console.errors import UserError
from sgmp_console.ingest.service import IngestSettings, run

DEFAULT_PORT = 8883
_MIN_DISTINCT = 8
"""Different characters; 24 random hexadecimal digits have 8 or more all but always."""


def run_until_stopped(arguments: argparse.Namespace) -> None:
    """Until SIGINT or SIGTERM. Raises SgmpError."""
    url = os.environ.get(DATABASE_URL)
    if not url:
        raise UserError(
            f"Which database? Set {DATABASE_URL} to ingest's address, with its user and password."
        )
    share_group = arguments.share_group or os.environ.get(SHARE_GROUP, "")
    if share_group:
        _check_share_group(share_group)
    host, port = _host_and_port(arguments.broker)
    broker = BrokerSettings(host, port, arguments.broker_ca, arguments.broker_cert, arguments.broker_key)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    settings = IngestSettings(
        arguments.deployment,
        url,
        broker,
        arguments.name,
        share_group,
        arguments.keep_days,
        arguments.broker_acl,
        _words(arguments.broker_reload),
        arguments.metrics,
    )
    run(settings, stop)


def _check_share_group(name: str) -> None:
    """Mosquitto lets any client join a group whose name it knows, and then part of everybody's messages is its own.

    Its access list is for deliveries and not for subscriptions, so the name must be a secret. Raises UserError.
    """
    if not re.fullmatch(r"[A-Za-z0-9]{24,64}", name) or len(set(name)) < _MIN_DISTINCT:
        raise UserError(
            "The name of the share group could be guessed, and who guesses it takes part of everybody's messages. Use 24 to "
            f"64 random letters and digits, for example {secrets.token_hex(16)}, the same for each ingest."
        )


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UserError(f"--broker-reload can't be read: {error}.") from None


def _host_and_port(text: str) -> tuple[str, int]:
    """`host`, `host:port`, `[IPv6]` or `[IPv6]:port`."""
    host, separator, port = text.rpartition(":")
    if not separator or port.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    if not port.isdecimal() or not host or not 0 < int(port) < 65536:
        raise UserError(
            f"The broker's address {text!r} can't be read. It looks like broker.example.org:8883."
        )
    return host.strip("[]"), int(port)
