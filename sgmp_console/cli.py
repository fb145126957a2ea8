"""`sgmp-console`: the window, and what is done without it.

Each command imports what it needs when it is run, so that `--help` and small commands are quick.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from sgmp_console.errors import SgmpError, UserError

OK, FAILED, USAGE = 0, 1, 2
_INTERRUPTED = 130

DATABASE_URL = "SGMP_DATABASE_URL"
"""Environment variable: an address with its password, which would be seen by all on a command line."""

SMTP_PASSWORD = "SGMP_SMTP_PASSWORD"  # noqa: S105 - the name of an environment variable
"""Environment variable: the password of the mail server."""

_OPTION = re.compile(r"-h|--([a-z]+(=.*)?)?")

_Number = TypeVar("_Number", int, float)
_Command = Callable[[argparse.Namespace], int]
if TYPE_CHECKING:
    from sgmp_console.cloud.directory import Directory
    from sgmp_console.cloud.mail import Mailer
    from sgmp_console.fleet.accounts import NewAccount
    from sgmp_console.settings import Profile

    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]


class _Usage(Exception):
    """Words that do not go together; the text says which."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 done, 1 failed (with a sentence), 2 wrong usage."""
    arguments = _parser().parse_args(_with_formula(list(sys.argv[1:] if argv is None else argv)))
    if arguments.verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    command: _Command = arguments.command
    try:
        return command(arguments)
    except _Usage as error:
        print(f"sgmp-console: {error}", file=sys.stderr)
        return USAGE
    except SgmpError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED


def _window(arguments: argparse.Namespace) -> int:
    from sgmp_console import app

    if arguments.profile is None:
        return app.run(app.Launch())
    return app.run(app.Launch(profile=_profile(arguments.profile)))


def _profile(name: str) -> Profile:
    from sgmp_console import settings

    profiles = {profile.name: profile for profile in settings.load_profiles(settings.configuration_folder())}
    if name not in profiles:
        known = f" There are {', '.join(profiles)}." if profiles else ""
        raise UserError(f"There is no connection profile {name}.{known}")
    return profiles[name]


def _demo(arguments: argparse.Namespace) -> int:
    from sgmp_console.demo import command

    if not arguments.check and (arguments.screenshot or arguments.json):
        raise _Usage("--screenshot and --json go with --check")
    options = command.StackOptions(arguments.data, arguments.reset, arguments.history_days, arguments.poll)
    if arguments.check:
        result = command.check(options, arguments.screenshot)
        print(json.dumps(result, indent=2) if arguments.json else command.as_text(result))
        return OK if result["ok"] else FAILED
    if arguments.supervise:
        return command.supervise(options)
    return command.headless(options) if arguments.headless else command.window(options)


def _migrate(arguments: argparse.Namespace) -> int:
    from sgmp_console import store

    store.migrate(_database_url(arguments), arguments.deployment)
    print(f"The database of deployment {arguments.deployment} is up to date.")
    return OK


def _ingest(arguments: argparse.Namespace) -> int:
    from sgmp_console.ingest import command

    command.run_until_stopped(arguments)
    return OK


def _check_formula(arguments: argparse.Namespace) -> int:
    from sgmp_console.formula import check

    text = arguments.text.removesuffix(" ")  # see _with_formula
    if arguments.house is not None:
        result = _check_on_house(text, arguments)
    elif arguments.data is None:
        result = check.check(text)
    else:
        with _opened(arguments.data) as readings:
            result = check.check(text, readings=readings)
    print(json.dumps(result, indent=2, ensure_ascii=False) if arguments.json else check.as_text(result))
    return OK if result["ok"] else FAILED


def _check_on_house(text: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The formula on the last hours of a house's own readings and events."""
    from sgmp_console import store
    from sgmp_console.fleet import analytics
    from sgmp_console.formula import FormulaError, check, parse
    from sgmp_console.reports.plan import ItemReader

    database = store.Database.connect(_database_url(arguments))
    try:
        with database.begin() as connection:
            house = store.houses.by_name(connection, arguments.house)
            try:
                formulas = [parse(text)]
            except FormulaError:
                formulas = []
            known = analytics.catalogue(connection, house.house_id, *formulas)
            end_ms = time.time_ns() // 1_000_000
            start_ms = end_ms - round(arguments.hours * 3_600_000)
            reader = ItemReader(connection, house.house_id)
            return check.check_on_house(text, known, start_ms, end_ms, reader.load)
    finally:
        database.dispose()


def _check_deployment(arguments: argparse.Namespace) -> int:
    from sgmp_console import store
    from sgmp_console.fleet import deployment

    profile = _profile(arguments.of_profile)
    url = arguments.database_url or os.environ.get(DATABASE_URL)
    if arguments.remove_leftovers:
        database = store.Database.connect(_database_url(arguments))
        try:
            removed = deployment.remove_leftovers(database, profile)
        finally:
            database.dispose()
        for one in removed:
            print(f"Removed: {one}")
        return OK
    steps = list(deployment.check(profile, url, smtp_password=os.environ.get(SMTP_PASSWORD, "")))
    ok = all(one.ok is not False for one in steps)
    if arguments.json:
        print(json.dumps({"ok": ok, "steps": [one.as_json() for one in steps]}, indent=2, ensure_ascii=False))
    else:
        print(deployment.as_text(steps))
    return OK if ok else FAILED


def _import(arguments: argparse.Namespace) -> int:
    from sgmp_console import store
    from sgmp_console.fleet import imports

    watched = sys.stderr.isatty() and not arguments.json

    def progress(done: float) -> None:
        if watched:
            print(f"\r{done:4.0%}", end="" if done < 1 else "\n", file=sys.stderr, flush=True)

    database = store.Database.connect(_database_url(arguments))
    try:
        with database.begin() as connection:
            house = store.houses.by_name(connection, arguments.house)
        report = imports.import_file(
            database, house.house_id, arguments.file, dry_run=arguments.dry_run, progress=progress
        )
    finally:
        database.dispose()
    print(json.dumps(report.as_json(), indent=2, ensure_ascii=False) if arguments.json else report.as_text())
    return FAILED if report.rejected else OK


def _admin_create(arguments: argparse.Namespace) -> int:
    from sgmp_console import store
    from sgmp_console.fleet import accounts

    directory, mailer = _users(arguments)
    database = store.Database.connect(_database_url(arguments))
    try:
        made = accounts.create_first_admin(
            database, email=arguments.email, name=arguments.name, directory=directory, mailer=mailer
        )
    finally:
        database.dispose()
    _show_password(made, as_json=arguments.json)
    return OK


def _admin_reset(arguments: argparse.Namespace) -> int:
    from sgmp_console import store
    from sgmp_console.fleet import accounts

    directory, mailer = _users(arguments)
    database = store.Database.connect(_database_url(arguments))
    try:
        with database.begin() as connection:
            known = {account.email: account for account in store.accounts.list_all(connection)}
        if arguments.email.lower() not in known:
            raise UserError(f"There is no account {arguments.email}.")
        account_id = known[arguments.email.lower()].account_id
        made = accounts.reset_password(database, account_id, directory=directory, mailer=mailer)
    finally:
        database.dispose()
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


def _admin_ingest(arguments: argparse.Namespace) -> int:
    from urllib.parse import quote

    from sgmp_console import store
    from sgmp_console.fleet import accounts
    from sgmp_console.store import access

    password = accounts.initial_password()
    database = store.Database.connect(_database_url(arguments))
    try:
        with database.begin() as connection:
            access.set_ingest_password(connection, arguments.deployment, password)
    finally:
        database.dispose()
    user = access.ingest_role(arguments.deployment)
    if arguments.json:
        print(json.dumps({"user": user, "password": password}))
    else:
        address = f"postgresql://{quote(user)}:{password}@{database.address}"
        print(f"Ingest reaches the database with this, shown only now:\n{DATABASE_URL}={address}")
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


def _database_url(arguments: argparse.Namespace) -> str:
    url = arguments.database_url or os.environ.get(DATABASE_URL)
    if not url:
        raise UserError(
            f"Which database? Set {DATABASE_URL}, or give --database-url (without a password: others can see it)."
        )
    return str(url)


def _opened(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}.") from error


# --- The command line --------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sgmp-console",
        description="Smart Grid Management Platform. Without a command: the window.",
        epilog="Exit codes: 0 done, 1 failed (the sentence is on standard error), 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"sgmp-console {version('sgmp')}")
    parser.add_argument("--profile", metavar="NAME", help="use this connection profile")
    parser.add_argument("--verbose", action="store_true", help="tell on standard error what is being done")
    parser.set_defaults(command=_window)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_demo(commands)
    _add_migrate(commands)
    _add_ingest(commands)
    _add_check(commands)
    _add_import(commands)
    _add_admin(commands)
    return parser


def _add_demo(commands: _Commands) -> None:
    demo = commands.add_parser(
        "demo",
        help="the whole system on simulated houses",
        description="Two simulated houses, their edges, an MQTT broker, ingest and a database, all on this computer, and "
        "the window on them. What they gather stays; closing the window stops everything.",
    )
    demo.set_defaults(command=_demo)
    what = demo.add_mutually_exclusive_group()
    what.add_argument("--headless", action="store_true", help="no window; runs until Ctrl-C")
    what.add_argument(
        "--check",
        action="store_true",
        help="no window on screen: wait until both houses are live, say so, and end with 0 (or 1 and what is missing)",
    )
    what.add_argument("--supervise", action="store_true", help=argparse.SUPPRESS)
    demo.add_argument("--data", type=Path, metavar="DIR", help="where its data are (a folder of its own)")
    demo.add_argument(
        "--reset", action="store_true", help="begin anew: deletes the data of the demo in that folder"
    )
    demo.add_argument(
        "--screenshot",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="with --check: pictures of the window, 1280x800 light, dark, 1920x1080 light, dark; or a folder for all",
    )
    demo.add_argument("--json", action="store_true", help="with --check: the result as JSON")
    demo.add_argument(
        "--history-days",
        type=_at_least(int, 0),
        default=30,
        metavar="N",
        help="days of history in a new demo (%(default)s)",
    )
    demo.add_argument(
        "--poll",
        type=_at_least(float, 0.2),
        default=2.0,
        metavar="S",
        help="seconds between two reads of a device (%(default)s)",
    )


def _at_least(kind: type[_Number], minimum: _Number) -> Callable[[str], _Number]:
    def read(text: str) -> _Number:
        value = kind(text)
        if not value >= minimum:
            raise argparse.ArgumentTypeError(f"{text} is less than {minimum}")
        return value

    return read


def _add_migrate(commands: _Commands) -> None:
    migrate = commands.add_parser(
        "migrate",
        help="make or update a deployment's database",
        description="Make or update the tables, functions and roles of a deployment. Harmless when nothing is to be "
        "done. Uses TimescaleDB where the server has it.",
    )
    migrate.set_defaults(command=_migrate)
    _add_database(migrate)


def _add_ingest(commands: _Commands) -> None:
    ingest = commands.add_parser(
        "ingest",
        help="receive what the edges publish and store it",
        description="Receive what the edges of a deployment publish and store it; runs until it is told to stop (SIGTERM, "
        f"Ctrl-C). The database's address, with ingest's user and password, is in {DATABASE_URL}.",
    )
    ingest.set_defaults(command=_ingest)
    ingest.add_argument("--deployment", default="sgmp", help="name of the deployment (%(default)s)")
    ingest.add_argument(
        "--broker", required=True, metavar="HOST[:PORT]", help="the MQTT broker; port 8883 if not given"
    )
    ingest.add_argument(
        "--broker-ca",
        type=Path,
        metavar="FILE",
        help="PEM of the broker's authority; AWS IoT Core needs none",
    )
    ingest.add_argument(
        "--broker-cert", type=Path, required=True, metavar="FILE", help="PEM of our certificate"
    )
    ingest.add_argument("--broker-key", type=Path, required=True, metavar="FILE", help="PEM of our key")
    ingest.add_argument(
        "--name", default="", help="MQTT client id, which tells several ingests apart (<deployment>_ingest)"
    )
    ingest.add_argument(
        "--share-group",
        default="",
        metavar="GROUP",
        help="share the messages with the other ingests of this group",
    )
    ingest.add_argument(
        "--keep-days",
        type=_at_least(int, 7),
        default=31,
        metavar="N",
        help="keep raw readings for N days, aggregates for ever (31; on TimescaleDB its retention policy decides)",
    )


def _add_check(commands: _Commands) -> None:
    check = commands.add_parser("check", help="check a formula, or what a deployment needs")
    kinds = check.add_subparsers(title="what to check", metavar="KIND", required=True)
    formula = kinds.add_parser(
        "formula",
        help="check a formula, and evaluate it over readings",
        description="Say whether a formula is in order, and what it means.",
    )
    formula.set_defaults(command=_check_formula)
    formula.add_argument("text", metavar="FORMULA")
    over = formula.add_mutually_exclusive_group()
    over.add_argument(
        "--data", type=Path, metavar="FILE.csv", help="evaluate it over readings: timestamp,identifier,value"
    )
    over.add_argument("--house", metavar="NAME", help="check it against a house, and evaluate it there")
    formula.add_argument(
        "--hours", type=float, default=24.0, metavar="N", help="with --house: over the last N hours (24)"
    )
    _add_database(formula, deployment=False)
    formula.add_argument("--json", action="store_true", help="the result as JSON")
    deployment = kinds.add_parser(
        "deployment",
        help="look at all that a deployment needs",
        description="Look at the database, broker, certificates, mail and AWS of a connection profile, step by step, and "
        f"say what is missing and how to mend it. Nothing is changed. The database's schema is looked at where {DATABASE_URL} "
        f"or --database-url names a user, an administrator's or the owner; the mail server's password is in {SMTP_PASSWORD}.",
    )
    deployment.set_defaults(command=_check_deployment)
    deployment.add_argument("of_profile", metavar="PROFILE", help="name of the connection profile")
    _add_database(deployment, deployment=False)
    what = deployment.add_mutually_exclusive_group()
    what.add_argument("--json", action="store_true", help="the result as JSON")
    what.add_argument(
        "--remove-leftovers",
        action="store_true",
        help="instead, remove credentials of houses that do not exist in this database",
    )


def _with_formula(argv: list[str]) -> list[str]:
    """A formula may begin with a minus sign, and would be taken for an option; nothing with a blank in it is."""
    if argv[:2] != ["check", "formula"]:
        return argv
    return [f"{text} " if text.startswith("-") and not _OPTION.fullmatch(text) else text for text in argv]


def _add_import(commands: _Commands) -> None:
    importing = commands.add_parser(
        "import",
        help="store readings from a CSV file",
        description="Store the readings of a CSV file with the columns timestamp,device,field,value, as the database's "
        "owner. Timestamps are UTC milliseconds or ISO 8601 with an offset. What is stored already is left as it is, so "
        "an import that was cut off can be repeated. Lines that can't be read are told, and the exit code is 1 then; "
        "all others are stored.",
    )
    importing.set_defaults(command=_import)
    importing.add_argument("file", type=Path, metavar="FILE.csv")
    importing.add_argument("--house", required=True, metavar="NAME", help="the house whose devices these are")
    importing.add_argument("--dry-run", action="store_true", help="store nothing, only tell what would be")
    importing.add_argument("--json", action="store_true", help="the report as JSON")
    _add_database(importing)


def _add_admin(commands: _Commands) -> None:
    admin = commands.add_parser(
        "admin",
        help="first administrator, new passwords",
        description="With `sgmp-console --profile NAME admin ...` users are also made in that profile's user pool, and "
        f"passwords mailed through its mail server, whose password is in {SMTP_PASSWORD}.",
    )
    acts = admin.add_subparsers(title="what to do", metavar="ACT", required=True)
    create = acts.add_parser(
        "create",
        help="make the first administrator",
        description="Make the administrator that a new deployment begins with, as the database's owner, and print the "
        "initial password where it is not mailed.",
    )
    create.set_defaults(command=_admin_create)
    create.add_argument("email")
    create.add_argument("--name", required=True, help="name of the person")
    create.add_argument("--json", action="store_true", help="the result as JSON")
    _add_database(create, deployment=False)
    reset = acts.add_parser(
        "reset",
        help="give an account a new password",
        description="Give an account a new initial password, as the database's owner, and print it.",
    )
    reset.set_defaults(command=_admin_reset)
    reset.add_argument("email")
    reset.add_argument("--json", action="store_true", help="the result as JSON")
    _add_database(reset, deployment=False)
    ingest = acts.add_parser(
        "ingest",
        help="give ingest a new database password",
        description="Give ingest a new password for the database, as the database's owner, and print its address.",
    )
    ingest.set_defaults(command=_admin_ingest)
    ingest.add_argument("--json", action="store_true", help="the result as JSON")
    _add_database(ingest)


def _add_database(command: argparse.ArgumentParser, *, deployment: bool = True) -> None:
    command.add_argument(
        "--database-url",
        metavar="URL",
        help=f"postgresql://owner@host:port/database; better in the environment as {DATABASE_URL}, with the password",
    )
    if deployment:
        command.add_argument("--deployment", default="sgmp", help="name of the deployment (%(default)s)")
