"""Who is notified of findings, and when nobody is."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sgmp_console.commands import OK
from sgmp_console.commands.arguments import (
    Command,
    Parsers,
    add_command,
    add_database,
    add_group,
    integer,
    number,
)
from sgmp_console.commands.opening import open_database
from sgmp_console.errors import UserError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sgmp_console.store import House
    from sgmp_console.store.findings import Recipient


def add(parsers: Parsers) -> None:
    _add_notify(parsers)
    _add_maintenance(parsers)


def _add_notify(parsers: Parsers) -> None:
    acts = add_group(
        parsers,
        "notify",
        "who gets messages about findings",
        "List, add, remove and test who is notified of findings: mail addresses, and webhooks (https), which get "
        "signed JSON (docs/findings.md).",
    )
    parser = _add_recipients(
        acts, "list", _list_recipients, "those who are notified, and what keeps messages from them"
    )
    add_database(parser)
    parser = _add_recipients(
        acts, "add", _add_recipient, "notify an address from now on; prints the secret of a webhook"
    )
    parser.add_argument(
        "--severity",
        choices=["info", "warning", "critical"],
        default="warning",
        help="at least (%(default)s)",
    )
    add_database(parser)
    add_database(_add_recipients(acts, "remove", _remove_recipient, "notify an address no more"))
    parser = _add_recipients(
        acts, "test", _test_recipient, "have the watch send a test message, and say what became of it"
    )
    parser.add_argument(
        "--wait", type=number(1, 600), default=60.0, metavar="SECONDS", help="at most (%(default)s)"
    )
    add_database(parser)


def _add_recipients(acts: Parsers, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    parser = add_command(acts, name, command, text)
    parser.add_argument("--house", metavar="NAME", help="of this house only")
    if name != "list":
        parser.add_argument("address", metavar="ADDRESS", help="name@example.org or https://example.org/path")
    return parser


def _list_recipients(arguments: argparse.Namespace) -> int:
    from sgmp_console.store import findings, houses

    with open_database(arguments) as database, database.begin() as connection:
        _house(connection, arguments)
        names = {house.house_id: house.name for house in houses.list_all(connection)}
        for recipient in findings.recipients(connection):
            house = (
                "all houses"
                if recipient.house_id is None
                else names.get(recipient.house_id, "a deleted house")
            )
            print(f"{recipient.address}\t{house}\t{recipient.least_severity}\t{recipient.problem or 'ok'}")
    return OK


def _add_recipient(arguments: argparse.Namespace) -> int:
    from sgmp_console.store import findings
    from sgmp_console.watch import recipients

    secret = recipients.new_secret()
    with open_database(arguments) as database, database.begin() as connection:
        house = _house(connection, arguments)
        channel = recipients.add(
            connection,
            arguments.address,
            secret=secret,
            house_id=house.house_id if house else None,
            least_severity=findings.Severity(arguments.severity),
        )
    print(f"{arguments.address} is notified from now on.")
    if channel is findings.Channel.WEBHOOK:
        print(f"The secret that signs its messages, shown only now:\n{secret}")
    return OK


def _remove_recipient(arguments: argparse.Namespace) -> int:
    from sgmp_console.store import findings

    with open_database(arguments) as database, database.begin() as connection:
        recipient = _recipient(connection, arguments)
        findings.remove_recipient(connection, recipient.recipient_id)
    print(f"{recipient.address} is notified no more.")
    return OK


def _test_recipient(arguments: argparse.Namespace) -> int:
    from sgmp_console.watch import recipients

    with open_database(arguments) as database:
        with database.begin() as connection:
            recipient = _recipient(connection, arguments)
        outcome = recipients.send_test(database, recipient.recipient_id, arguments.wait)
    if outcome.failed:
        raise UserError(outcome.problem)
    print(f"{recipient.address} has taken a test message.")
    return OK


def _house(connection: Connection, arguments: argparse.Namespace) -> House | None:
    """What --house names; None for all houses."""
    from sgmp_console.store import houses

    return houses.by_name(connection, arguments.house) if arguments.house else None


def _recipient(connection: Connection, arguments: argparse.Namespace) -> Recipient:
    from sgmp_console.watch import recipients

    house = _house(connection, arguments)
    return recipients.by_address(connection, arguments.address, house.house_id if house else None)


def _add_maintenance(parsers: Parsers) -> None:
    acts = add_group(
        parsers,
        "maintenance",
        "times in which nobody is notified",
        "List, add and remove times of maintenance of all houses, a house or a device: once, or on days by the "
        "clock of the house. What is still wrong afterwards is sent then.",
    )
    add_database(add_command(acts, "list", _list_windows, "all of them"))
    parser = add_command(acts, "add", _add_window, "add one; prints its number")
    parser.add_argument("--house", metavar="NAME", help="all houses if not given; times are UTC then")
    parser.add_argument("--device", default="", metavar="NAME", help="all devices if not given")
    parser.add_argument("--days", default="", metavar="DAYS", help="mon,tue,... or daily: it recurs")
    parser.add_argument(
        "--start", required=True, metavar="TIME", help="22:00 with --days, else 2026-06-01 22:00"
    )
    parser.add_argument("--end", required=True, metavar="TIME", help="likewise; overnight if it is not later")
    parser.add_argument("--note", default="", metavar="TEXT")
    add_database(parser)
    parser = add_command(acts, "remove", _remove_window, "remove one")
    parser.add_argument("number", type=integer(1, 2**31 - 1), metavar="NUMBER")
    add_database(parser)


def _list_windows(arguments: argparse.Namespace) -> int:
    from sgmp_console.store import findings, houses
    from sgmp_console.watch import recipients

    with open_database(arguments) as database, database.begin() as connection:
        known = {house.house_id: house for house in houses.list_all(connection)}
        for window in findings.windows(connection):
            house = known.get(window.house_id or 0)
            when = recipients.window_text(window.when, house.time_zone if house else "UTC")
            of = "all houses" if window.house_id is None else house.name if house else "a deleted house"
            print(f"{window.window_id}\t{of}\t{window.device or 'all devices'}\t{when}\t{window.note}")
    return OK


def _add_window(arguments: argparse.Namespace) -> int:
    from sgmp_console.store import devices, findings
    from sgmp_console.watch import recipients

    with open_database(arguments) as database, database.begin() as connection:
        house = _house(connection, arguments)
        if house is not None and arguments.device:
            known = [device.name for device in devices.list_all(connection, house.house_id)]
            if arguments.device not in known:
                raise UserError(f"{house.name} has no device {arguments.device}.")
        window_id = findings.add_window(
            connection,
            recipients.parse_window(
                arguments.start, arguments.end, arguments.days, house.time_zone if house else "UTC"
            ),
            house_id=house.house_id if house else None,
            device=arguments.device,
            note=arguments.note,
        )
    print(window_id)
    return OK


def _remove_window(arguments: argparse.Namespace) -> int:
    from sgmp_console.store import findings

    with open_database(arguments) as database, database.begin() as connection:
        if not findings.remove_window(connection, arguments.number):
            raise UserError(f"There is no time of maintenance {arguments.number}.")
    print("It is removed.")
    return OK
