"""The database and connection profile of a command."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sgmp_console.commands.arguments import DEFAULT_DEPLOYMENT
from sgmp_console.environment import DATABASE_URL
from sgmp_console.errors import Refused, UserError

if TYPE_CHECKING:
    from sgmp_console.settings import Profile
    from sgmp_console.store import Database


@contextmanager
def open_database(arguments: argparse.Namespace, deployment: str = "") -> Iterator[Database]:
    """The database that the arguments name, which belongs to the deployment that they name, or `deployment`, if any."""
    from sgmp_console import store

    expected = deployment or arguments.deployment
    url = database_url(arguments)
    with refused_user():
        database = store.accounts.connect(url, expected or DEFAULT_DEPLOYMENT)
    try:
        with database.begin() as connection:
            state = store.migrations.state(connection)
        if state is None:
            raise UserError(
                f"The database {database.address} has no tables of SGMP. Run `sgmp-console migrate` as its owner first."
            )
        if expected and state.deployment != expected:
            raise UserError(
                f"The database {database.address} belongs to deployment {state.deployment}, not {expected}. Correct --deployment or "
                "the database's address."
            )
        if not state.has_our_tables:
            raise store.OtherSchema()
        yield database
    finally:
        database.dispose()


@contextmanager
def refused_user() -> Iterator[None]:
    """Here user and password stand in an address, and not in the fields of a sign-in."""
    from sgmp_console.store import SignInRefused

    try:
        yield
    except SignInRefused as error:
        if type(error) is not SignInRefused:
            raise
        raise UserError(
            f"The database refused the sign-in. Check user and password in its address ({DATABASE_URL} or --database-url)."
        ) from error


@contextmanager
def as_owner(acts: str) -> Iterator[None]:
    """What the block does needs rights that only the database's owner has. `acts`: a verb, for the sentence."""
    try:
        yield
    except Refused as error:
        raise Refused(
            f"Only the database's owner {acts}: its address, with user and password, is to be in {DATABASE_URL}."
        ) from error


def database_url(arguments: argparse.Namespace) -> str:
    url = arguments.database_url or os.environ.get(DATABASE_URL)
    if not url:
        raise UserError(
            f"Which database? Set {DATABASE_URL}, or give --database-url (without a password: others can see it)."
        )
    return str(url)


def profile_named(name: str) -> Profile:
    from sgmp_console import settings

    profiles = {profile.name: profile for profile in settings.load_profiles(settings.configuration_folder())}
    if name not in profiles:
        known = f" There are {', '.join(profiles)}." if profiles else ""
        raise UserError(
            f"There is no connection profile {name}.{known} Create one in the window (Connections, on the sign-in page), "
            f"or in {settings.profiles_file()}."
        )
    return profiles[name]
