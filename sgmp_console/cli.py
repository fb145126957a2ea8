"""`sgmp-console`: argument parsing; what the commands do is in `commands`."""

from __future__ import annotations

import argparse
import io
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sgmp_console import commands
from sgmp_console.commands import DEFAULT_DEPLOYMENT, FAILED, USAGE, Usage
from sgmp_console.environment import DATABASE_URL, SMTP_PASSWORD
from sgmp_console.errors import SgmpError
from sgmp_console.retention import RAW_RETENTION_DAYS
from sgmp_edge import VERSION

_INTERRUPTED = 130

_OPTION = re.compile(r"-h|--([a-z]+(=.*)?)?")

_PERIODS = (
    "24h, 7d, today, yesterday, month, last-month, year, 2025-05-13, 2025-05, 2025, 2025-05-01..2025-05-15"
)
"""As `reports.periods.EXAMPLES`, whose module needs NumPy: help needs nothing but Python."""

_HOURS_OF_TEN_YEARS = 87_600.0
_DAYS_OF_TEN_YEARS = 3_650
_DAYS_OF_A_CENTURY = 36_500

_Command = Callable[[argparse.Namespace], int]
if TYPE_CHECKING:
    _Parsers = argparse._SubParsersAction[argparse.ArgumentParser]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 done, 1 failed (with a sentence), 2 wrong usage."""
    _print_anything()
    arguments = _parser().parse_args(_with_formula(list(sys.argv[1:] if argv is None else argv)))
    _read_as_utf8(arguments)
    if arguments.verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    command: _Command = arguments.command
    try:
        _require_text(arguments)
        exit_code = command(arguments)
        sys.stdout.flush()
        return exit_code
    except Usage as error:
        print(f"sgmp-console: {error}", file=sys.stderr)
        return USAGE
    except SgmpError as error:
        print(error, file=sys.stderr)
        return FAILED
    except ImportError as error:
        if not _is_foreign(error):
            raise
        logging.getLogger(__name__).info("import failed", exc_info=True)
        print(_missing_part(error, arguments.extra), file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has read enough (`| head`). The rest goes nowhere, without a complaint at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _print_anything() -> None:
    """Characters that a terminal or a redirect can't encode are escaped: not a reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _read_as_utf8(arguments: argparse.Namespace) -> None:
    """Texts that Python took for ASCII (a locale C that it may not change) are UTF-8. Names of files are not touched."""
    if sys.getfilesystemencoding() != "utf-8":
        for name, value in vars(arguments).items():
            if isinstance(value, str):
                setattr(arguments, name, os.fsencode(value).decode("utf-8", "surrogateescape"))


def _require_text(arguments: argparse.Namespace) -> None:
    """Raises Usage for what no text or path can hold; files may have names that are not UTF-8."""
    for name, value in vars(arguments).items():
        if isinstance(value, (str, Path)) and "\0" in str(value):
            raise Usage(f"--{name.replace('_', '-')} holds a NUL character")
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Usage(f"--{name.replace('_', '-')} is not valid UTF-8") from None


def _is_foreign(error: ImportError) -> bool:
    """Whether a library is at fault, and not a module of ours."""
    return error.name is not None and error.name.partition(".")[0] not in ("sgmp_console", "sgmp_edge")


def _missing_part(error: ImportError, extra: str) -> str:
    if isinstance(error, ModuleNotFoundError):
        return (
            f"This needs the library {error.name}, which is not installed. Install SGMP with what this command needs: "
            f"pip install 'sgmp[{extra}]'."
        )
    return (
        f"The library {error.name} can't be loaded: {error}. Install the system library that it names: ./run setup "
        "does so on Debian and Ubuntu."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sgmp-console",
        description="Smart Grid Management Platform. Without a command: the window.",
        epilog="Exit codes: 0 done, 1 failed (the sentence is on standard error), 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"sgmp-console {VERSION}")
    parser.add_argument("--profile", metavar="NAME", help="use this connection profile")
    parser.add_argument("--verbose", action="store_true", help="log progress to standard error")
    parser.set_defaults(command=commands.window, extra="console")
    parsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_demo(parsers)
    _add_migrate(parsers)
    _add_ingest(parsers)
    _add_watch(parsers)
    _add_monitoring(parsers)
    _add_notify(parsers)
    _add_maintenance(parsers)
    _add_revocation(parsers)
    _add_check(parsers)
    _add_report(parsers)
    _add_export(parsers)
    _add_import(parsers)
    _add_admin(parsers)
    return parser


def _add_demo(parsers: _Parsers) -> None:
    demo = parsers.add_parser(
        "demo",
        help="the whole system on simulated houses",
        description="Two simulated houses, their edges, an MQTT broker, ingest and a database, all on this computer, and "
        "the window on them. What they gather stays; closing the window stops everything.",
    )
    demo.set_defaults(command=commands.demo, extra="demo")
    what = demo.add_mutually_exclusive_group()
    what.add_argument("--headless", action="store_true", help="no window; runs until Ctrl-C")
    what.add_argument(
        "--check",
        action="store_true",
        help="no window on screen: wait until both houses are live, report it, and exit with 0 (or 1 and what is missing)",
    )
    what.add_argument("--supervise", action="store_true", help=argparse.SUPPRESS)
    demo.add_argument("--data", type=Path, metavar="DIR", help="where its data are (a folder of its own)")
    demo.add_argument(
        "--reset", action="store_true", help="start afresh: deletes the data of the demo in that folder"
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
        type=_integer(0, _DAYS_OF_TEN_YEARS),
        default=30,
        metavar="N",
        help="days of history in a new demo (%(default)s)",
    )
    demo.add_argument(
        "--poll",
        type=_number(0.2, 3600.0),
        default=2.0,
        metavar="S",
        help="seconds between two reads of a device (%(default)s)",
    )


def _integer(minimum: int, maximum: int) -> Callable[[str], int]:
    """Reads an option's whole number."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        _require_range(value, minimum, maximum)
        return value

    return read


def _number(minimum: float, maximum: float) -> Callable[[str], float]:
    """Reads an option's number, which is finite."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not math.isfinite(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
        _require_range(value, minimum, maximum)
        return value

    return read


def _require_range(value: float, minimum: float, maximum: float) -> None:
    if not minimum <= value <= maximum:
        raise argparse.ArgumentTypeError(f"it must be between {minimum:g} and {maximum:g}")


def _add_migrate(parsers: _Parsers) -> None:
    migrate = parsers.add_parser(
        "migrate",
        help="make or update a deployment's database",
        description="Make or update the tables, functions and roles of a deployment. Harmless when nothing is to be "
        "done. Uses TimescaleDB where the server has it.",
    )
    migrate.set_defaults(command=commands.migrate, extra="server")
    _add_database(migrate, deployment=False)
    migrate.add_argument(
        "--deployment", default=DEFAULT_DEPLOYMENT, help="name of the deployment (%(default)s)"
    )


def _add_ingest(parsers: _Parsers) -> None:
    ingest = parsers.add_parser(
        "ingest",
        help="receive what the edges publish and store it",
        description="Receive what the edges of a deployment publish and store it; runs until it is stopped (SIGTERM, "
        f"Ctrl-C). The database's address, with ingest's user and password, is in {DATABASE_URL}.",
    )
    ingest.set_defaults(command=commands.ingest, extra="server")
    ingest.add_argument(
        "--deployment", default=DEFAULT_DEPLOYMENT, help="name of the deployment (%(default)s)"
    )
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
        "--name", default="", help="MQTT client id, different for each ingest (<deployment>_ingest)"
    )
    ingest.add_argument(
        "--share-group",
        default="",
        metavar="GROUP",
        help="share the messages with the other ingests of this group",
    )
    ingest.add_argument(
        "--broker-acl",
        type=Path,
        metavar="FILE",
        help="Mosquitto's acl_file: a house that floods is refused there for a while",
    )
    ingest.add_argument(
        "--broker-reload",
        default="",
        metavar="COMMAND",
        help='with --broker-acl: what makes the broker read it again, for example "systemctl reload mosquitto"',
    )
    ingest.add_argument(
        "--keep-days",
        type=_integer(7, _DAYS_OF_A_CENTURY),
        default=RAW_RETENTION_DAYS,
        metavar="N",
        help=f"keep raw readings for N days, aggregates for ever ({RAW_RETENTION_DAYS}; on TimescaleDB its retention policy "
        "decides)",
    )
    _add_metrics(ingest)


def _add_metrics(service: argparse.ArgumentParser) -> None:
    service.add_argument(
        "--metrics",
        type=_integer(1, 65_535),
        metavar="PORT",
        help="publish metrics for Prometheus at http://127.0.0.1:PORT/metrics",
    )


def _add_monitoring(parsers: _Parsers) -> None:
    monitoring = parsers.add_parser(
        "monitoring",
        help="print a Grafana dashboard or Prometheus alert rules",
        description="Print what reads the services' metrics (--metrics): a Grafana dashboard, or alert rules for "
        "Prometheus (docs/monitoring.md).",
    )
    monitoring.set_defaults(command=commands.monitoring, extra="server")
    monitoring.add_argument("what", choices=("dashboard", "alerts"), help="which of them")


def _add_watch(parsers: _Parsers) -> None:
    watch = parsers.add_parser(
        "watch",
        help="open and close findings, and notify people of them",
        description="Look at all houses every few seconds, open and close findings, and send messages to recipients; runs "
        "until it is stopped (SIGTERM, Ctrl-C). Two may run, and take turns. The database's address, with the watch's "
        f"user and password, is in {DATABASE_URL}; the mail server's password in {SMTP_PASSWORD}.",
    )
    watch.set_defaults(command=commands.watch, extra="server")
    watch.add_argument(
        "--deployment", default=DEFAULT_DEPLOYMENT, help="name of the deployment (%(default)s)"
    )
    watch.add_argument(
        "--mail-server", default="", metavar="HOST[:PORT]", help="sends mail; port 587 if not given"
    )
    watch.add_argument("--mail-from", default="", metavar="ADDRESS", help="whom mail is from")
    watch.add_argument("--mail-user", default="", metavar="USER", help="signs in to the mail server")
    watch.add_argument(
        "--mail-ca",
        default="",
        metavar="FILE",
        help="PEM of the mail server's authority, if not of the system's",
    )
    watch.add_argument(
        "--certificate",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="PEM file that may expire (broker, ingest, authority); repeat for several",
    )
    watch.add_argument(
        "--every",
        type=_number(0.1, 60),
        default=5.0,
        metavar="SECONDS",
        help="between two looks (%(default)s)",
    )
    _add_metrics(watch)


def _add_notify(parsers: _Parsers) -> None:
    notify = parsers.add_parser(
        "notify",
        help="who gets messages about findings",
        description="List, add, remove and test who is notified of findings: mail addresses, and webhooks (https), which get "
        "signed JSON (docs/findings.md).",
    )
    acts = notify.add_subparsers(title="what to do", metavar="ACT", dest="act", required=True)
    for name, what in (
        ("list", "those who are notified, and what keeps messages from them"),
        ("add", "notify an address from now on; prints the secret of a webhook"),
        ("remove", "notify an address no more"),
        ("test", "have the watch send a test message, and say what became of it"),
    ):
        act = acts.add_parser(name, help=what)
        act.set_defaults(command=commands.notify, extra="server")
        act.add_argument("--house", metavar="NAME", help="of this house only")
        if name != "list":
            act.add_argument(
                "address", metavar="ADDRESS", help="name@example.org or https://example.org/path"
            )
        if name == "add":
            act.add_argument(
                "--severity",
                choices=["info", "warning", "critical"],
                default="warning",
                help="at least (%(default)s)",
            )
        if name == "test":
            act.add_argument(
                "--wait", type=_number(1, 600), default=60.0, metavar="SECONDS", help="at most (%(default)s)"
            )
        _add_database(act)


def _add_maintenance(parsers: _Parsers) -> None:
    maintenance = parsers.add_parser(
        "maintenance",
        help="times in which nobody is notified",
        description="List, add and remove times of maintenance of all houses, a house or a device: once, or on days by the "
        "clock of the house. What is still wrong afterwards is sent then.",
    )
    acts = maintenance.add_subparsers(title="what to do", metavar="ACT", dest="act", required=True)
    for name, what in (
        ("list", "all of them"),
        ("add", "add one; prints its number"),
        ("remove", "remove one"),
    ):
        act = acts.add_parser(name, help=what)
        act.set_defaults(command=commands.maintenance, extra="server")
        if name == "remove":
            act.add_argument("number", type=_integer(1, 2**31 - 1), metavar="NUMBER")
        if name == "add":
            act.add_argument("--house", metavar="NAME", help="all houses if not given; times are UTC then")
            act.add_argument("--device", default="", metavar="NAME", help="all devices if not given")
            act.add_argument("--days", default="", metavar="DAYS", help="mon,tue,... or daily: it recurs")
            act.add_argument(
                "--start", required=True, metavar="TIME", help="22:00 with --days, else 2026-06-01 22:00"
            )
            act.add_argument(
                "--end", required=True, metavar="TIME", help="likewise; overnight if it is not later"
            )
            act.add_argument("--note", default="", metavar="TEXT")
        _add_database(act)


def _add_revocation(parsers: _Parsers) -> None:
    revocation = parsers.add_parser("revocation", help="make a broker of your own follow the revocation list")
    acts = revocation.add_subparsers(title="commands", metavar="COMMAND", required=True)
    watch = acts.add_parser(
        "watch",
        help="restart the broker when a certificate is revoked",
        description="Watch the authority's revocation list, copy it to Mosquitto's folder when it changes, and restart "
        "Mosquitto, which ends the connections of revoked edges. Runs until it is stopped (SIGTERM, Ctrl-C).",
    )
    watch.set_defaults(command=commands.revocation_watch)
    watch.add_argument(
        "--list",
        type=Path,
        required=True,
        metavar="FILE",
        help="revoked.pem in the folder of the authority",
    )
    watch.add_argument("--broker-list", type=Path, required=True, metavar="FILE", help="Mosquitto's crlfile")
    watch.add_argument(
        "--restart",
        default="systemctl restart mosquitto",
        metavar="COMMAND",
        help="what restarts Mosquitto (%(default)s)",
    )


def _add_check(parsers: _Parsers) -> None:
    check = parsers.add_parser("check", help="check a formula, a configuration, or what a deployment needs")
    kinds = check.add_subparsers(title="what to check", metavar="KIND", required=True)
    formula = kinds.add_parser(
        "formula",
        help="check a formula, and evaluate it over readings",
        description="Report whether a formula is valid, and what it means.",
    )
    formula.set_defaults(command=commands.check_formula, extra="server")
    formula.add_argument("text", metavar="FORMULA")
    over = formula.add_mutually_exclusive_group()
    over.add_argument(
        "--data", type=Path, metavar="FILE.csv", help="evaluate it over readings: timestamp,identifier,value"
    )
    over.add_argument("--house", metavar="NAME", help="check it against a house, and evaluate it there")
    formula.add_argument(
        "--hours",
        type=_number(0.01, _HOURS_OF_TEN_YEARS),
        default=24.0,
        metavar="N",
        help="with --house: over the last N hours (24)",
    )
    formula.add_argument("--values", action="store_true", help="with --house: print all values")
    _add_database(formula)
    formula.add_argument("--json", action="store_true", help="the result as JSON")
    config = kinds.add_parser(
        "config",
        help="check the configuration of an edge's devices",
        description="Report whether an edge would accept a document with a house's devices, or, with --type, whether a device "
        "of that type could be created with a config.",
    )
    config.set_defaults(command=commands.check_config, extra="server")
    config.add_argument("file", type=Path, metavar="FILE.json", help="- reads standard input")
    config.add_argument("--type", metavar="TYPE", help="FILE is the config of one device of this type")
    config.add_argument("--json", action="store_true", help="the result as JSON")
    deployment = kinds.add_parser(
        "deployment",
        help="look at all that a deployment needs",
        description="Look at the database, broker, certificates, mail and AWS of a connection profile, step by step, and "
        f"report what is missing and what to do. Nothing is changed. The database's schema is looked at where {DATABASE_URL} "
        f"or --database-url names a user, an administrator's or the owner; the mail server's password is in {SMTP_PASSWORD}.",
    )
    deployment.set_defaults(command=commands.check_deployment, extra="server")
    deployment.add_argument("of_profile", metavar="PROFILE", help="name of the connection profile")
    _add_database(deployment, deployment=False)
    what = deployment.add_mutually_exclusive_group()
    what.add_argument("--json", action="store_true", help="the result as JSON")
    what.add_argument(
        "--remove-leftovers",
        action="store_true",
        help="instead, remove credentials of houses that do not exist in this database",
    )


def _add_report(parsers: _Parsers) -> None:
    report = parsers.add_parser(
        "report",
        help="reports of houses as CSV, XLSX, PDF and PNG files",
        description="Compute reports of houses over a period and write them to files; needs no display. With several "
        "houses, reports or ranges each file gets their names. Nothing is overwritten without --force.",
    )
    report.set_defaults(command=commands.report, extra="server")
    report.add_argument(
        "--house", action="append", required=True, metavar="NAME", help="repeat for several; `all`"
    )
    report.add_argument(
        "--report",
        action="append",
        required=True,
        choices=["energy", "solar", "battery", "ev", "load", "heat-map", "all"],
        help="repeat for several; `all` without heat map",
    )
    report.add_argument(
        "--item",
        metavar="NAME",
        help="of a heat map: an analytic item, or a device field as in formulas (default: load, else what there is)",
    )
    report.add_argument(
        "--range",
        action="append",
        required=True,
        metavar="PERIOD",
        help=f"by the clock of the house, repeat for several: {_PERIODS}",
    )
    report.add_argument("--compare", metavar="PERIOD", help="a second period; `previous` or `year-before`")
    report.add_argument("--csv", type=Path, metavar="FILE", help="write CSV")
    report.add_argument("--xlsx", type=Path, metavar="FILE", help="write a workbook")
    report.add_argument("--pdf", type=Path, metavar="FILE", help="write a PDF (A4)")
    report.add_argument("--together", action="store_true", help="one PDF of all reports")
    report.add_argument("--png", type=Path, metavar="FILE", help="write a picture")
    report.add_argument(
        "--size", default="1280x800", metavar="WxH", help="of the picture, in pixels (default: 1280x800)"
    )
    report.add_argument("--force", action="store_true", help="overwrite files")
    report.add_argument("--json", action="store_true", help="the figures as JSON on standard output")
    _add_database(report)


def _with_formula(argv: list[str]) -> list[str]:
    """A formula may begin with a minus sign, and would be taken for an option; nothing with a blank in it is."""
    if argv[:2] != ["check", "formula"]:
        return argv
    return [f"{text} " if text.startswith("-") and not _OPTION.fullmatch(text) else text for text in argv]


def _add_export(parsers: _Parsers) -> None:
    export = parsers.add_parser(
        "export",
        help="readings, items or events of a house as a CSV or Parquet file",
        description="Write all readings, analytic items (means of five minutes) or events of a house in a period to a "
        "file, in order of time, with timestamps in UTC. Memory does not grow with the period. A file that was cut off "
        "goes on where it ended when the same command is repeated. `import` reads readings exported as CSV. Parquet needs "
        "the extra `parquet`. The exit code is 1 if there was nothing in the period.",
    )
    export.set_defaults(command=commands.export, extra="server")
    export.add_argument("what", choices=["readings", "items", "events"])
    export.add_argument("--house", required=True, metavar="NAME")
    export.add_argument(
        "--range", required=True, metavar="PERIOD", help=f"by the clock of the house: {_PERIODS}"
    )
    export.add_argument("--out", required=True, type=Path, metavar="FILE", help="`-` for standard output")
    export.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="NAME",
        help="of readings and events; repeat for several",
    )
    export.add_argument(
        "--field", action="append", default=[], metavar="NAME", help="of readings; repeat for several"
    )
    export.add_argument(
        "--item", action="append", default=[], metavar="NAME", help="of items; repeat for several"
    )
    export.add_argument("--raw", action="store_true", help="items at each reading instead of means")
    export.add_argument(
        "--format", choices=["csv", "parquet"], help="by the ending of the file, if not given"
    )
    export.add_argument(
        "--force", action="store_true", help="overwrite the file, and begin again one that was cut off"
    )
    export.add_argument("--json", action="store_true", help="what was written as JSON on standard output")
    _add_database(export)


def _add_import(parsers: _Parsers) -> None:
    importing = parsers.add_parser(
        "import",
        help="store readings from a CSV file",
        description="Store the readings of a CSV file with the columns timestamp,device,field,value, as the database's "
        "owner. Timestamps are UTC milliseconds or ISO 8601 with an offset. What is stored already is left as it is, so "
        "an import that was cut off can be repeated. Lines that can't be read are reported, and the exit code is 1 then; "
        "all others are stored.",
    )
    importing.set_defaults(command=commands.import_readings, extra="server")
    importing.add_argument("file", type=Path, metavar="FILE.csv")
    importing.add_argument("--house", required=True, metavar="NAME", help="the house whose devices these are")
    importing.add_argument(
        "--dry-run", action="store_true", help="store nothing, only report what would be stored"
    )
    importing.add_argument("--json", action="store_true", help="the report as JSON")
    _add_database(importing)


def _add_admin(parsers: _Parsers) -> None:
    admin = parsers.add_parser(
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
    create.set_defaults(command=commands.admin_create, extra="server")
    create.add_argument("email")
    create.add_argument("--name", required=True, help="name of the person")
    create.add_argument("--json", action="store_true", help="the result as JSON")
    _add_database(create)
    reset = acts.add_parser(
        "reset",
        help="give an account a new password",
        description="Give an account a new initial password, as the database's owner or as an administrator, and print "
        "it.",
    )
    reset.set_defaults(command=commands.admin_reset, extra="server")
    reset.add_argument("email")
    reset.add_argument("--json", action="store_true", help="the result as JSON")
    _add_database(reset)
    ingest = acts.add_parser(
        "ingest",
        help="give ingest a new database password",
        description="Give ingest a new password for the database, as the database's owner, and print its address.",
    )
    ingest.set_defaults(command=commands.admin_ingest, extra="server")
    ingest.add_argument("--json", action="store_true", help="the result as JSON")
    _add_database(ingest)
    watch = acts.add_parser(
        "watch",
        help="give the watch a new database password",
        description="Give the watch a new password for the database, as the database's owner, and print its address.",
    )
    watch.set_defaults(command=commands.admin_watch, extra="server")
    watch.add_argument("--json", action="store_true", help="the result as JSON")
    _add_database(watch)


def _add_database(command: argparse.ArgumentParser, *, deployment: bool = True) -> None:
    command.add_argument(
        "--database-url",
        metavar="URL",
        help=f"postgresql://owner@host:port/database; better in the environment as {DATABASE_URL}, with the password. "
        "An account is named by its email, with %%40 for @",
    )
    if deployment:
        command.add_argument(
            "--deployment",
            help=f"name of the deployment, which must be the database's; for an account, {DEFAULT_DEPLOYMENT} if not given",
        )
