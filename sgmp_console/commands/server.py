"""What a server runs: migration of the database, ingest and the watch, and what monitors them."""

from __future__ import annotations

import argparse
import ipaddress
import json
from pathlib import Path

from sgmp_console.commands import OK
from sgmp_console.commands.arguments import (
    Parsers,
    add_command,
    add_database,
    add_deployment,
    integer,
    number,
)
from sgmp_console.commands.opening import database_url, refused_user
from sgmp_console.environment import DATABASE_URL, SHARE_GROUP, SMTP_PASSWORD
from sgmp_console.retention import RAW_RETENTION_DAYS

_DAYS_OF_A_CENTURY = 36_500


def add(parsers: Parsers) -> None:
    _add_migrate(parsers)
    _add_ingest(parsers)
    _add_watch(parsers)
    _add_monitoring(parsers)


def _add_migrate(parsers: Parsers) -> None:
    parser = add_command(
        parsers,
        "migrate",
        migrate,
        "make or update a deployment's database",
        "Make or update the tables, functions and roles of a deployment. Harmless when nothing is to be "
        "done. Uses TimescaleDB where the server has it.",
    )
    add_database(parser, deployment=False)
    add_deployment(parser)


def migrate(arguments: argparse.Namespace) -> int:
    from sgmp_console import store

    url = database_url(arguments)
    with refused_user():
        store.migrate(url, arguments.deployment)
    print(f"The database of deployment {arguments.deployment} is up to date.")
    return OK


def _add_ingest(parsers: Parsers) -> None:
    parser = add_command(
        parsers,
        "ingest",
        ingest,
        "receive what the edges publish and store it",
        "Receive what the edges of a deployment publish and store it; runs until it is stopped (SIGTERM, "
        f"Ctrl-C). The database's address, with ingest's user and password, is in {DATABASE_URL}.",
    )
    add_deployment(parser)
    parser.add_argument(
        "--broker", required=True, metavar="HOST[:PORT]", help="the MQTT broker; port 8883 if not given"
    )
    parser.add_argument(
        "--broker-ca",
        type=Path,
        metavar="FILE",
        help="PEM of the broker's authority; AWS IoT Core needs none",
    )
    parser.add_argument(
        "--broker-cert", type=Path, required=True, metavar="FILE", help="PEM of our certificate"
    )
    parser.add_argument("--broker-key", type=Path, required=True, metavar="FILE", help="PEM of our key")
    parser.add_argument(
        "--name", default="", help="MQTT client id, different for each ingest (<deployment>_ingest)"
    )
    parser.add_argument(
        "--share-group",
        default="",
        metavar="GROUP",
        help=f"share the messages with the other ingests of this group; better in the environment as {SHARE_GROUP}",
    )
    parser.add_argument(
        "--broker-acl",
        type=Path,
        metavar="FILE",
        help="Mosquitto's acl_file: a house that floods is refused there for a while",
    )
    parser.add_argument(
        "--broker-reload",
        default="",
        metavar="COMMAND",
        help='with --broker-acl: what makes the broker read it again, for example "systemctl reload mosquitto"',
    )
    parser.add_argument(
        "--keep-days",
        type=integer(7, _DAYS_OF_A_CENTURY),
        default=RAW_RETENTION_DAYS,
        metavar="N",
        help=f"keep raw readings for N days, aggregates for ever ({RAW_RETENTION_DAYS}; on TimescaleDB its retention policy "
        "decides)",
    )
    _add_metrics(parser)


def ingest(arguments: argparse.Namespace) -> int:
    from sgmp_console.ingest import command

    command.run_until_stopped(arguments)
    return OK


def _add_watch(parsers: Parsers) -> None:
    parser = add_command(
        parsers,
        "watch",
        watch,
        "open and close findings, and notify people of them",
        "Look at all houses every few seconds, open and close findings, and send messages to recipients; runs "
        "until it is stopped (SIGTERM, Ctrl-C). Two may run, and take turns. The database's address, with the watch's "
        f"user and password, is in {DATABASE_URL}; the mail server's password in {SMTP_PASSWORD}.",
    )
    add_deployment(parser)
    parser.add_argument(
        "--mail-server", default="", metavar="HOST[:PORT]", help="sends mail; port 587 if not given"
    )
    parser.add_argument("--mail-from", default="", metavar="ADDRESS", help="whom mail is from")
    parser.add_argument("--mail-user", default="", metavar="USER", help="signs in to the mail server")
    parser.add_argument(
        "--mail-ca",
        default="",
        metavar="FILE",
        help="PEM of the mail server's authority, if not of the system's",
    )
    parser.add_argument(
        "--certificate",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="PEM file that may expire (broker, ingest, authority); repeat for several",
    )
    parser.add_argument(
        "--every",
        type=number(0.1, 60),
        default=5.0,
        metavar="SECONDS",
        help="between two looks (%(default)s)",
    )
    parser.add_argument(
        "--webhook-network",
        type=_network,
        action="append",
        default=[],
        metavar="NETWORK",
        help="webhooks may also be in this network (192.168.1.0/24, 127.0.0.1), not at public addresses only; repeat for "
        "several",
    )
    _add_metrics(parser)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a network such as 192.168.1.0/24") from None


def watch(arguments: argparse.Namespace) -> int:
    from sgmp_console.watch import command

    command.run_until_stopped(arguments)
    return OK


def _add_metrics(service: argparse.ArgumentParser) -> None:
    service.add_argument(
        "--metrics",
        type=integer(1, 65_535),
        metavar="PORT",
        help="publish metrics for Prometheus at http://127.0.0.1:PORT/metrics",
    )


def _add_monitoring(parsers: Parsers) -> None:
    parser = add_command(
        parsers,
        "monitoring",
        monitoring,
        "print a Grafana dashboard or Prometheus alert rules",
        "Print what reads the services' metrics (--metrics): a Grafana dashboard, or alert rules for "
        "Prometheus (docs/monitoring.md).",
    )
    parser.add_argument("what", choices=("dashboard", "alerts"), help="which of them")


def monitoring(arguments: argparse.Namespace) -> int:
    from sgmp_console.monitoring import grafana

    document = grafana.dashboard() if arguments.what == "dashboard" else grafana.alert_rules()
    print(json.dumps(document, indent=2))
    return OK
