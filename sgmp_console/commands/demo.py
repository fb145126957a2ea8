"""The window, and the demo with everything that it needs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sgmp_console.commands import FAILED, OK, Usage
from sgmp_console.commands.arguments import Parsers, add_command, add_json, integer, number
from sgmp_console.commands.opening import profile_named

_DAYS_OF_TEN_YEARS = 3_650


def add(parsers: Parsers) -> None:
    parser = add_command(
        parsers,
        "demo",
        demo,
        "the whole system on simulated houses",
        "Two simulated houses, their edges, an MQTT broker, ingest and a database, all on this computer, and "
        "the window on them. What they gather stays; closing the window stops everything.",
        extra="demo",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--headless", action="store_true", help="no window; runs until Ctrl-C")
    what.add_argument(
        "--check",
        action="store_true",
        help="no window on screen: wait until both houses are live, report it, and exit with 0 (or 1 and what is missing)",
    )
    what.add_argument("--supervise", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, metavar="DIR", help="where its data are (a folder of its own)")
    parser.add_argument(
        "--reset", action="store_true", help="start afresh: deletes the data of the demo in that folder"
    )
    parser.add_argument(
        "--screenshot",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="with --check: pictures of the window, 1280x800 light, dark, 1920x1080 light, dark; or a folder for all",
    )
    add_json(parser, "with --check: the result as JSON")
    parser.add_argument(
        "--history-days",
        type=integer(0, _DAYS_OF_TEN_YEARS),
        default=30,
        metavar="N",
        help="days of history in a new demo (%(default)s)",
    )
    parser.add_argument(
        "--poll",
        type=number(0.2, 3600.0),
        default=2.0,
        metavar="S",
        help="seconds between two reads of a device (%(default)s)",
    )


def window(arguments: argparse.Namespace) -> int:
    from sgmp_console import app

    if arguments.profile is None:
        return app.run(app.Launch())
    return app.run(app.Launch(profile=profile_named(arguments.profile)))


def demo(arguments: argparse.Namespace) -> int:
    from sgmp_console.demo import command

    if not arguments.check and (arguments.screenshot or arguments.json):
        raise Usage("--screenshot and --json go with --check")
    options = command.StackOptions(arguments.data, arguments.reset, arguments.history_days, arguments.poll)
    if arguments.check:
        result = command.check(options, arguments.screenshot)
        print(json.dumps(result, indent=2) if arguments.json else command.as_text(result))
        return OK if result["ok"] else FAILED
    if arguments.supervise:
        return command.supervise(options)
    return command.headless(options) if arguments.headless else command.window(options)
