"""What each command of `sgmp-console` does: `cli` parses the arguments, a function here returns the exit code.

Each imports what it needs when it is run, so that `--help` and small commands are quick.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgmp_console.environment import DATABASE_URL, SMTP_PASSWORD
from sgmp_console.errors import UserError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sgmp_console.cloud.directory import Directory
    from sgmp_console.cloud.mail import Mailer
    from sgmp_console.fleet.accounts import NewAccount
    from sgmp_console.settings import Profile
    from sgmp_console.store import Database

OK, FAILED, USAGE = 0, 1, 2
"""Exit codes."""

DEFAULT_DEPLOYMENT = "sgmp"


class Usage(Exception):
    """Invalid arguments, or an invalid combination of them; the text says which."""


def window(arguments: argparse.Namespace) -> int:
    from sgmp_console import app

    if arguments.profile is None:
        return app.run(app.Launch())
    return app.run(app.Launch(profile=_profile(arguments.profile)))


def _profile(name: str) -> Profile:
    from sgmp_console import settings

    profiles = {profile.name: profile for profile in settings.load_profiles(settings.configuration_folder())}
    if name not in profiles:
        known = f" There are {', '.join(profiles)}." if profiles else ""
        raise UserError(
            f"There is no connection profile {name}.{known} Create one in the window (Connections, on the sign-in page), "
            f"or in {settings.profiles_file()}."
        )
    return profiles[name]


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


def migrate(arguments: argparse.Namespace) -> int:
    from sgmp_console import store

    url = _database_url(arguments)
    with _refused_user():
        store.migrate(url, arguments.deployment)
    print(f"The database of deployment {arguments.deployment} is up to date.")
    return OK


def ingest(arguments: argparse.Namespace) -> int:
    from sgmp_console.ingest import command

    command.run_until_stopped(arguments)
    return OK


def watch(arguments: argparse.Namespace) -> int:
    from sgmp_console.watch import command

    command.run_until_stopped(arguments)
    return OK


def monitoring(arguments: argparse.Namespace) -> int:
    from sgmp_console.monitoring import grafana

    document = grafana.dashboard() if arguments.what == "dashboard" else grafana.alert_rules()
    print(json.dumps(document, indent=2))
    return OK


def notify(arguments: argparse.Namespace) -> int:
    from sgmp_console.store import findings, houses
    from sgmp_console.watch import recipients

    with _database(arguments) as database:
        with database.begin() as connection:
            names = {house.house_id: house.name for house in houses.list_all(connection)}
            house_id = houses.by_name(connection, arguments.house).house_id if arguments.house else None
            if arguments.act == "list":
                for one in findings.recipients(connection):
                    of = "all houses" if one.house_id is None else names.get(one.house_id, "a deleted house")
                    print(f"{one.address}\t{of}\t{one.least_severity}\t{one.problem or 'ok'}")
                return OK
            if arguments.act == "add":
                secret = recipients.new_secret()
                channel = recipients.add(
                    connection,
                    arguments.address,
                    secret=secret,
                    house_id=house_id,
                    least_severity=findings.Severity(arguments.severity),
                )
                print(f"{arguments.address} is notified from now on.")
                if channel is findings.Channel.WEBHOOK:
                    print(f"The secret that signs its messages, shown only now:\n{secret}")
                return OK
            recipient = recipients.by_address(connection, arguments.address, house_id)
            if arguments.act == "remove":
                findings.remove_recipient(connection, recipient.recipient_id)
                print(f"{recipient.address} is notified no more.")
                return OK
        became = recipients.send_test(database, recipient.recipient_id, arguments.wait)
    if became.failed:
        raise UserError(became.problem)
    print(f"{recipient.address} has taken a test message.")
    return OK


def maintenance(arguments: argparse.Namespace) -> int:
    from sgmp_console.store import findings, houses
    from sgmp_console.watch import recipients

    with _database(arguments) as database, database.begin() as connection:
        known = {house.house_id: house for house in houses.list_all(connection)}
        if arguments.act == "list":
            for window in findings.windows(connection):
                house = known.get(window.house_id or 0)
                when = recipients.window_text(window.when, house.time_zone if house else "UTC")
                of = "all houses" if window.house_id is None else house.name if house else "a deleted house"
                print(f"{window.window_id}\t{of}\t{window.device or 'all devices'}\t{when}\t{window.note}")
            return OK
        if arguments.act == "remove":
            if not findings.remove_window(connection, arguments.number):
                raise UserError(f"There is no time of maintenance {arguments.number}.")
            print("It is removed.")
            return OK
        house = houses.by_name(connection, arguments.house) if arguments.house else None
        chosen = recipients.parse_window(
            arguments.start, arguments.end, arguments.days, house.time_zone if house else "UTC"
        )
        number = findings.add_window(
            connection,
            chosen,
            house_id=house.house_id if house else None,
            device=arguments.device,
            note=arguments.note,
        )
        print(f"{number}")
    return OK


def revocation_watch(arguments: argparse.Namespace) -> int:
    import logging
    import signal
    import threading

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


def check_formula(arguments: argparse.Namespace) -> int:
    from sgmp_console.formula import check

    text = arguments.text.removesuffix(" ")  # see cli._with_formula
    if arguments.house is not None:
        result = _check_on_house(text, arguments)
    elif arguments.data is None:
        result = check.check(text)
    else:
        from sgmp_console.fleet import formula_data

        readings, rejected = formula_data.read(arguments.data)
        result = {**check.check(text, readings=readings), "rejected": rejected}
    if arguments.json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        print(check.as_text(result, all_values=arguments.values or arguments.data is not None))
    return OK if result["ok"] else FAILED


def _check_on_house(text: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The formula on the last hours of a house's own readings and events."""
    from sgmp_console import store
    from sgmp_console.fleet import analytics
    from sgmp_console.formula import FormulaError, check, parse
    from sgmp_console.reports.item_reader import ItemReader

    with _database(arguments) as database, database.begin() as connection:
        house = store.houses.by_name(connection, arguments.house)
        try:
            formulas = [parse(text)]
        except FormulaError:
            formulas = []
        known = analytics.catalogue(connection, house.house_id, *formulas)
        end_ms = time.time_ns() // 1_000_000
        start_ms = end_ms - round(arguments.hours * 3_600_000)
        reader = ItemReader(connection, house.house_id)
        result = check.check_on_house(text, known, start_ms, end_ms, reader.load)
        for formula in formulas:
            texts = analytics.text_fields(connection, house.house_id, formula, start_ms, end_ms)
            result["warnings"] += [
                check.warning(f"`{name}` is text, and only numbers are values of a formula") for name in texts
            ]
        return result


def check_config(arguments: argparse.Namespace) -> int:
    from sgmp_console.fleet import config_check

    payload = sys.stdin.buffer.read() if str(arguments.file) == "-" else _bytes(arguments.file)
    if arguments.type is None:
        result = config_check.check_document(payload)
    else:
        result = config_check.check_device(payload, arguments.type)
    print(
        json.dumps(result, indent=2, ensure_ascii=False) if arguments.json else config_check.as_text(result)
    )
    return OK if result["ok"] else FAILED


def check_deployment(arguments: argparse.Namespace) -> int:
    from sgmp_console import diagnosis

    profile = _profile(arguments.of_profile)
    url = arguments.database_url or os.environ.get(DATABASE_URL)
    if arguments.remove_leftovers:
        with _database(arguments, profile.deployment) as database:
            removed = diagnosis.remove_leftovers(database, profile)
        for one in removed:
            print(f"Removed: {one}")
        return OK
    steps = list(diagnosis.deployment(profile, url, smtp_password=os.environ.get(SMTP_PASSWORD, "")))
    ok = all(one.ok is not False for one in steps)
    if arguments.json:
        print(json.dumps({"ok": ok, "steps": [one.as_json() for one in steps]}, indent=2, ensure_ascii=False))
    else:
        print(diagnosis.as_text(steps))
    return OK if ok else FAILED


def report(arguments: argparse.Namespace) -> int:
    from sgmp_console.reports import command

    drawn = None
    if arguments.together and arguments.pdf is None:
        raise Usage("--together goes with --pdf")
    if arguments.pdf or arguments.png:
        arguments.extra = "console"  # what is missing if Qt can't be loaded
        from sgmp_console.ui import report_paper

        drawn = report_paper.headless(arguments.size)
    with _database(arguments) as database:
        show = _progress(quiet=arguments.json)
        return command.run(database, arguments, time.time_ns() // 1_000_000, drawn, show)


def export(arguments: argparse.Namespace) -> int:
    from sgmp_console.reports import export_command

    to_standard_output = str(arguments.out) == "-"
    if to_standard_output and arguments.json:
        raise Usage("--json needs a file: standard output has the rows")
    if export_command.format_of(arguments) == "parquet":
        if to_standard_output:
            raise Usage("Parquet can't be written to standard output: give a file")
        arguments.extra = "parquet"  # what is missing if it can't be loaded
        import pyarrow  # noqa: F401

    with _database(arguments) as database:
        show = _progress(quiet=arguments.json)
        return export_command.run(database, arguments, time.time_ns() // 1_000_000, show)


def _progress(*, quiet: bool = False) -> Callable[[float], None]:
    """Shows the share that is done on standard error, where a person looks at it."""
    watched = sys.stderr.isatty() and not quiet

    def show(done: float) -> None:
        if watched:
            print(f"\r{done:4.0%}", end="" if done < 1 else "\n", file=sys.stderr, flush=True)

    return show


def import_readings(arguments: argparse.Namespace) -> int:
    from sgmp_console import store
    from sgmp_console.fleet import imports

    with _database(arguments) as database:
        with database.begin() as connection:
            house = store.houses.by_name(connection, arguments.house)
        report = imports.import_file(
            database,
            house.house_id,
            arguments.file,
            dry_run=arguments.dry_run,
            progress=_progress(quiet=arguments.json),
        )
    print(json.dumps(report.as_json(), indent=2, ensure_ascii=False) if arguments.json else report.as_text())
    return FAILED if report.rejected else OK


def admin_create(arguments: argparse.Namespace) -> int:
    from sgmp_console.fleet import accounts

    directory, mailer = _users(arguments)
    with _database(arguments) as database:
        made = accounts.create_first_admin(
            database, email=arguments.email, name=arguments.name, directory=directory, mailer=mailer
        )
    _show_password(made, as_json=arguments.json)
    return OK


def admin_reset(arguments: argparse.Namespace) -> int:
    from sgmp_console import store
    from sgmp_console.fleet import accounts

    directory, mailer = _users(arguments)
    with _database(arguments) as database:
        with database.begin() as connection:
            known = {account.email: account for account in store.accounts.list_all(connection)}
        if arguments.email.lower() not in known:
            raise UserError(f"There is no account {arguments.email}.")
        account_id = known[arguments.email.lower()].account_id
        made = accounts.reset_password(database, account_id, directory=directory, mailer=mailer)
    _show_password(made, as_json=arguments.json)
    return OK


def _users(arguments: argparse.Namespace) -> tuple[Directory, Mailer | None]:
    """Where users are kept beside the accounts, and how they are mailed: what --profile names."""
    from sgmp_console.cloud.directory import LocalDirectory

    if arguments.profile is None:
        return LocalDirectory(), None
    from sgmp_console.cloud import services

    profile = _profile(arguments.profile)
    mailer = services.mailer(profile, os.environ.get(SMTP_PASSWORD, ""))
    return services.user_pool(profile) or LocalDirectory(), mailer


def admin_ingest(arguments: argparse.Namespace) -> int:
    from sgmp_console import store

    return _service_password(arguments, "Ingest", store.ingest_role, store.set_ingest_password)


def admin_watch(arguments: argparse.Namespace) -> int:
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
    with _database(arguments) as database:
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


def _show_password(made: NewAccount, *, as_json: bool) -> None:
    email = made.account.email
    if as_json:
        shown = {} if made.mailed else {"initial_password": made.initial_password}
        print(json.dumps({"email": email, "mailed": made.mailed, **shown}))
    elif made.mailed:
        print(f"{email} was mailed a password to sign in with, and then chooses another.")
    else:
        print(
            f"{email} signs in with this password, and then chooses another. It is shown only now:\n"
            f"{made.initial_password}"
        )


@contextmanager
def _database(arguments: argparse.Namespace, deployment: str = "") -> Iterator[Database]:
    """The database that the arguments name, which belongs to the deployment that they name, or `deployment`, if any."""
    from sgmp_console import store

    expected = deployment or arguments.deployment
    url = _database_url(arguments)
    with _refused_user():
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
        yield database
    finally:
        database.dispose()


@contextmanager
def _refused_user() -> Iterator[None]:
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


def _database_url(arguments: argparse.Namespace) -> str:
    url = arguments.database_url or os.environ.get(DATABASE_URL)
    if not url:
        raise UserError(
            f"Which database? Set {DATABASE_URL}, or give --database-url (without a password: others can see it)."
        )
    return str(url)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}.") from error
