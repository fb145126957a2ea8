"""The connections of this computer, without a window."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from sgmp_console.commands import FAILED, OK
from sgmp_console.commands.arguments import Parsers, add_command, add_group, add_json
from sgmp_console.commands.opening import profile_named
from sgmp_console.environment import DATABASE_URL, SMTP_PASSWORD
from sgmp_console.errors import UserError


def add(parsers: Parsers) -> None:
    acts = add_group(
        parsers,
        "connections",
        "add, list and test connections",
        "As in the window under Connections, at the sign-in.",
    )
    parser = add_command(acts, "add", add_file, "add the connections of a file", "See `server init`.")
    parser.add_argument("file", type=Path, metavar="FILE")
    add_json(add_command(acts, "list", show, "all of them, with their addresses"))
    parser = add_command(
        acts,
        "test",
        test,
        "look at all that a connection needs",
        f"As `check deployment`. The database is entered where {DATABASE_URL} names a user.",
    )
    parser.add_argument("name", metavar="NAME")


def add_file(arguments: argparse.Namespace) -> int:
    from sgmp_console import settings

    folder = settings.configuration_folder()
    present = settings.load_profiles(folder)
    added = settings.import_profiles(arguments.file, folder)
    if not added:
        raise UserError(f"{arguments.file} holds no connection.")
    fresh = [profile for profile in added if profile not in present]
    taken = {profile.name for profile in present} & {profile.name for profile in fresh}
    if taken:
        raise UserError(
            f"There is another connection {min(taken)} already. Delete or rename it in {settings.profiles_file(folder)}, then "
            "try again."
        )
    if fresh:
        settings.save_profiles(folder, [*present, *fresh])
    for profile in added:
        print(f"{profile.name}: {'added' if profile in fresh else 'is there already'}")
    return OK


def show(arguments: argparse.Namespace) -> int:
    from sgmp_console import settings

    profiles = settings.load_profiles(settings.configuration_folder())
    if arguments.json:
        keys = ("name", "deployment", "database_url", "broker_host", "broker_port")
        print(json.dumps([{key: getattr(one, key) for key in keys} for one in profiles], indent=2))
    else:
        for one in profiles:
            print(f"{one.name}\t{one.deployment}\t{one.database_host}\t{one.broker_host or 'no broker'}")
    return OK


def test(arguments: argparse.Namespace) -> int:
    from sgmp_console import diagnosis

    steps = list(
        diagnosis.deployment(
            profile_named(arguments.name),
            os.environ.get(DATABASE_URL),
            smtp_password=os.environ.get(SMTP_PASSWORD, ""),
        )
    )
    print(diagnosis.as_text(steps))
    return FAILED if any(step.ok is False for step in steps) else OK
