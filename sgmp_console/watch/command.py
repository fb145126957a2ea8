"""`sgmp-console watch`: from the command line's words to a run that a signal ends."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading

from sgmp_console.cloud.mail import SmtpMailer, submission
from sgmp_console.environment import DATABASE_URL, SMTP_PASSWORD
from sgmp_console.errors import UserError
from sgmp_console.watch.service import WatchSettings, run


def run_until_stopped(arguments: argparse.Namespace) -> None:
    """Until SIGINT or SIGTERM. Raises SgmpError."""
    url = os.environ.get(DATABASE_URL)
    if not url:
        raise UserError(
            f"Which database? Set {DATABASE_URL} to the watch's address, with its user and password "
            "(sgmp-console admin watch)."
        )
    mailer = _mailer(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    run(
        WatchSettings(
            arguments.deployment,
            url,
            mailer,
            arguments.certificate,
            arguments.every,
            arguments.metrics,
            arguments.webhook_network,
        ),
        stop,
    )


def _mailer(arguments: argparse.Namespace) -> SmtpMailer | None:
    if not arguments.mail_server:
        if arguments.mail_from or arguments.mail_user or arguments.mail_ca:
            raise UserError("--mail-from, --mail-user and --mail-ca go with --mail-server.")
        return None
    host, port = submission(arguments.mail_server, arguments.mail_from)
    mailer = SmtpMailer(
        host,
        arguments.mail_from,
        port,
        arguments.mail_user,
        os.environ.get(SMTP_PASSWORD, ""),
        arguments.mail_ca,
    )
    mailer.ready()
    return mailer
