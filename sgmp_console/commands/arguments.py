"""How commands declare their arguments, and the arguments that several have."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TypeAlias

from sgmp_console.environment import DATABASE_URL

Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

DEFAULT_DEPLOYMENT = "sgmp"

PERIODS = (
    "24h, 7d, today, yesterday, month, last-month, year, 2025-05-13, 2025-05, 2025, 2025-05-01..2025-05-15"
)
"""As `reports.periods.EXAMPLES`, whose module needs NumPy: help needs nothing but Python."""

Command = Callable[[argparse.Namespace], int]


def add_command(
    parsers: Parsers, name: str, command: Command, text: str, description: str = "", *, extra: str = "server"
) -> argparse.ArgumentParser:
    """`text`: its line in the help of its group; `extra`: what it needs installed (pyproject.toml)."""
    parser = parsers.add_parser(name, help=text, description=description or None)
    parser.set_defaults(command=command, extra=extra)
    return parser


def add_group(
    parsers: Parsers,
    name: str,
    text: str,
    description: str = "",
    *,
    title: str = "what to do",
    metavar: str = "ACT",
) -> Parsers:
    parser = parsers.add_parser(name, help=text, description=description or None)
    return parser.add_subparsers(title=title, metavar=metavar, required=True)


def add_deployment(parser: argparse.ArgumentParser) -> None:
    """For what says to which deployment the database belongs, or is to belong."""
    parser.add_argument(
        "--deployment", default=DEFAULT_DEPLOYMENT, help="name of the deployment (%(default)s)"
    )


def add_database(parser: argparse.ArgumentParser, *, deployment: bool = True) -> None:
    """For `commands.database`. `deployment`: also which deployment's database is expected."""
    parser.add_argument(
        "--database-url",
        metavar="URL",
        help=f"postgresql://owner@host:port/database; better in the environment as {DATABASE_URL}, with the password. "
        "An account is named by its email, with %%40 for @",
    )
    if deployment:
        parser.add_argument(
            "--deployment",
            help=f"name of the deployment, which must be the database's; for an account, {DEFAULT_DEPLOYMENT} if not given",
        )


def add_json(parser: argparse._ActionsContainer, text: str = "the result as JSON") -> None:
    parser.add_argument("--json", action="store_true", help=text)


def integer(minimum: int, maximum: int) -> Callable[[str], int]:
    """Reads an option's whole number."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        _require_range(value, minimum, maximum)
        return value

    return read


def number(minimum: float, maximum: float) -> Callable[[str], float]:
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
