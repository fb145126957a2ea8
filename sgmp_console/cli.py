"""`sgmp-console`: runs the command that its arguments name (`commands`), and turns failures into exit codes."""

from __future__ import annotations

import argparse
import gc
import io
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sgmp_console.commands import (
    FAILED,
    USAGE,
    Usage,
    admin,
    check,
    connections,
    data,
    demo,
    notes,
    notices,
    own_server,
    revocation,
    server,
)
from sgmp_console.commands.arguments import Command
from sgmp_console.errors import SgmpError
from sgmp_edge import VERSION

_INTERRUPTED = 130

_OBJECTS_PER_COLLECTION = 20_000
"""New objects until the garbage collector looks at them; 700 by itself."""

_OPTION = re.compile(r"-h|--([a-z][a-z-]*(=.*)?)?")

_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]*(?=@)")
"""In an address."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 done, 1 failed (with a sentence), 2 wrong usage."""
    _start_quickly()
    _print_anything()
    arguments = _parser().parse_args(_with_formula(list(sys.argv[1:] if argv is None else argv)))
    _read_as_utf8(arguments)
    if arguments.verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    command: Command = arguments.command
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


def _start_quickly() -> None:
    """A third of the processor's time of a start, before the libraries of a command are loaded."""
    # What is loaded stays: the garbage collector would go through it again and again.
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    # NumPy's linear algebra starts a thread for each processor, which keeps it busy for a while. Ours is tiny.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


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


class _Parser(argparse.ArgumentParser):
    """Quotes no password of an address that it does not understand."""

    def error(self, message: str) -> NoReturn:
        super().error(_PASSWORD.sub(r"\1***", message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sgmp-console",
        description="Smart Grid Management Platform. Without a command: the window.",
        epilog="Exit codes: 0 done, 1 failed (the sentence is on standard error), 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"sgmp-console {VERSION}")
    parser.add_argument("--profile", metavar="NAME", help="use this connection profile")
    parser.add_argument("--verbose", action="store_true", help="log progress to standard error")
    parser.set_defaults(command=demo.window, extra="console")
    parsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for group in (demo, own_server, server, notices, notes, revocation, connections, check, data, admin):
        group.add(parsers)
    return parser


def _with_formula(argv: list[str]) -> list[str]:
    """A formula may begin with a minus sign, and would be taken for an option; nothing with a blank in it is."""
    if argv[:2] != ["check", "formula"]:
        return argv
    return [f"{text} " if text.startswith("-") and not _OPTION.fullmatch(text) else text for text in argv]
