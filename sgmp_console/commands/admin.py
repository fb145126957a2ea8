"""The first administrator, and new passwords."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from sgmp_console.commands import OK
from sgmp_console.commands.arguments import Parsers, add_command, add_database, add_group, add_json
from sgmp_console.commands.opening import open_database, profile_named
from sgmp_console.environment import DATABASE_URL, SMTP_PASSWORD
from sgmp_console.errors import UserError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sgmp_console.cloud.directory import Directory
    from sgmp_console.cloud.mail import Mailer
    from sgmp_console.fleet.accounts import NewAccount


def add(parsers: Parsers) -> None:
    acts = add_group(
        parsers,
        "admin",
        "first administrator, new passwords",
        "With `sgmp-console --profile NAME admin ...` users are also made in that profile's user pool, and "
        f"passwords mailed through its mail server, whose password is in {SMTP_PASSWORD}.",
    )
    parser = add_command(
        acts,
        "create",
        create,
        "make the first administrator",
        "Make the administrator that a new deployment begins with, as the database's owner, and print the "
        "initial password where it is not mailed.",
    )
    parser.add_argument("email")
    parser.add_argument("--name", required=True, help="name of the person")
    add_json(parser)
    add_database(parser)
    parser = add_command(
        acts,
        "reset",
        reset,
        "give an account a new password",
        "Give an account a new initial password, as the database's owner or as an administrator, and print "
        "it.",
    )
    parser.add_argument("email")
    add_json(parser)
    add_database(parser)
    for name, command, service in (("ingest", ingest, "ingest"), ("watch", watch, "the watch")):
        parser = add_command(
            acts,
            name,
            command,
            f"give {service} a new database password",
            f"Give {service} a new password for the database, as the database's owner, and print its address.",
        )
        add_json(parser)
        add_database(parser)


def create(arguments: argparse.Namespace) -> int:
    from sgmp_console.fleet import accounts

    directory, mailer = _users(arguments)
    with open_database(arguments) as database:
        new = accounts.create_first_admin(
            database, email=arguments.email, name=arguments.name, directory=directory, mailer=mailer
        )
    _show_password(new, as_json=arguments.json)
    return OK


def reset(arguments: argparse.Namespace) -> int:
    from sgmp_console import store
    from sgmp_console.fleet import accounts

    directory, mailer = _users(arguments)
    with open_database(arguments) as database:
        with database.begin() as connection:
            known = {account.email: account for account in store.accounts.list_all(connection)}
        if arguments.email.lower() not in known:
            raise UserError(f"There is no account {arguments.email}.")
        account_id = known[arguments.email.lower()].account_id
        new = accounts.reset_password(database, account_id, directory=directory, mailer=mailer)
    _show_password(new, as_json=arguments.json)
    return OK


def _users(arguments: argparse.Namespace) -> tuple[Directory, Mailer | None]:
    """Where users are kept beside the accounts, and how they are mailed: what --profile names."""
    from sgmp_console.cloud.directory import LocalDirectory

    if arguments.profile is None:
        return LocalDirectory(), None
    from sgmp_console.cloud import services

    profile = profile_named(arguments.profile)
    mailer = services.mailer(profile, os.environ.get(SMTP_PASSWORD, ""))
    return services.user_pool(profile) or LocalDirectory(), mailer


def ingest(arguments: argparse.Namespace) -> int:
    from sgmp_console import store

    return _service_password(arguments, "Ingest", store.ingest_role, store.set_ingest_password)


def watch(arguments: argparse.Namespace) -> int:
    from sgmp_console import store

    return _service_password(arguments, "The watch", store.watch_role, store.set_watch_password)


def _service_password(
    arguments: argparse.Namespace,
    name: str,
    role: Callable[[str], str],
    set_password: Callable[[Connection, str, str], None],
) -> int:
    from urllib.parse import quote

    from sgmp_console import store
    from sgmp_console.fleet import accounts

    password = accounts.initial_password()
    with open_database(arguments) as database:
        with database.begin() as connection:
            deployment = store.deployment_name(connection)
            set_password(connection, deployment, password)
        address = database.address
    user = role(deployment)
    if arguments.json:
        print(json.dumps({"user": user, "password": password}))
    else:
        address = f"postgresql://{quote(user)}:{password}@{address}"
        print(f"{name} reaches the database with this, shown only now:\n{DATABASE_URL}={address}")
    return OK


def _show_password(new: NewAccount, *, as_json: bool) -> None:
    email = new.account.email
    if as_json:
        shown = {} if new.mailed else {"initial_password": new.initial_password}
        print(json.dumps({"email": email, "mailed": new.mailed, **shown}))
    elif new.mailed:
        print(f"{email} was mailed a password to sign in with, and then chooses another.")
    else:
        print(
            f"{email} signs in with this password, and then chooses another. It is shown only now:\n"
            f"{new.initial_password}"
        )
