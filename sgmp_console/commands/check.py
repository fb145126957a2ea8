"""Check a formula, a configuration, a house, or what a deployment needs."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from sgmp_console.commands import FAILED, OK
from sgmp_console.commands.arguments import Parsers, add_command, add_database, add_group, add_json, number
from sgmp_console.commands.opening import open_database, profile_named
from sgmp_console.environment import DATABASE_URL, SMTP_PASSWORD
from sgmp_console.errors import UserError

_HOURS_OF_TEN_YEARS = 87_600.0


def add(parsers: Parsers) -> None:
    kinds = add_group(
        parsers,
        "check",
        "check a formula, a configuration, a house, or what a deployment needs",
        title="what to check",
        metavar="KIND",
    )
    _add_formula(kinds)
    _add_config(kinds)
    _add_house(kinds)
    _add_deployment(kinds)


def _add_formula(kinds: Parsers) -> None:
    parser = add_command(
        kinds,
        "formula",
        formula,
        "check a formula, and evaluate it over readings",
        "Report whether a formula is valid, and what it means.",
    )
    parser.add_argument("text", metavar="FORMULA")
    over = parser.add_mutually_exclusive_group()
    over.add_argument(
        "--data", type=Path, metavar="FILE.csv", help="evaluate it over readings: timestamp,identifier,value"
    )
    over.add_argument("--house", metavar="NAME", help="check it against a house, and evaluate it there")
    parser.add_argument(
        "--hours",
        type=number(0.01, _HOURS_OF_TEN_YEARS),
        default=24.0,
        metavar="N",
        help="with --house: over the last N hours (24)",
    )
    parser.add_argument("--values", action="store_true", help="with --house: print all values")
    add_database(parser)
    add_json(parser)


def _add_config(kinds: Parsers) -> None:
    parser = add_command(
        kinds,
        "config",
        config,
        "check the configuration of an edge's devices",
        "Report whether an edge would accept a document with a house's devices, or, with --type, whether a device "
        "of that type could be created with a config.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.json", help="- reads standard input")
    parser.add_argument("--type", metavar="TYPE", help="FILE is the config of one device of this type")
    add_json(parser)


def _add_house(kinds: Parsers) -> None:
    parser = add_command(
        kinds,
        "house",
        house,
        "say what is wrong in a house, and what to do",
        "Look at the edge, the configuration, each device, the analytic items and the findings of a house, as the database "
        "holds them. The first line says the likeliest cause. Exit code 1 where something is wrong.",
    )
    parser.add_argument("house", metavar="NAME")
    add_database(parser)
    add_json(parser)


def _add_deployment(kinds: Parsers) -> None:
    parser = add_command(
        kinds,
        "deployment",
        deployment,
        "look at all that a deployment needs",
        "Look at the database, broker, certificates, mail and AWS of a connection profile, step by step, and "
        f"report what is missing and what to do. Nothing is changed. The database's schema is looked at where {DATABASE_URL} "
        f"or --database-url names a user, an administrator's or the owner; the mail server's password is in {SMTP_PASSWORD}.",
    )
    parser.add_argument("of_profile", metavar="PROFILE", help="name of the connection profile")
    add_database(parser, deployment=False)
    what = parser.add_mutually_exclusive_group()
    add_json(what)
    what.add_argument(
        "--remove-leftovers",
        action="store_true",
        help="instead, remove credentials of houses that do not exist in this database",
    )


def formula(arguments: argparse.Namespace) -> int:
    from sgmp_console.formula import check

    text = arguments.text.removesuffix(" ")  # see cli._with_formula
    if arguments.house is not None:
        result = _on_house(text, arguments)
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


def _on_house(text: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The formula on the last hours of a house's own readings and events."""
    from sgmp_console import store
    from sgmp_console.fleet import analytics
    from sgmp_console.formula import FormulaError, check, parse
    from sgmp_console.reports.item_reader import ItemReader

    with open_database(arguments) as database, database.begin() as connection:
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


def config(arguments: argparse.Namespace) -> int:
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


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}.") from error


def house(arguments: argparse.Namespace) -> int:
    from sgmp_console import diagnosis

    with open_database(arguments) as database, database.begin() as connection:
        found = diagnosis.house(connection, arguments.house, time.time_ns() // 1_000_000)
    if arguments.json:
        steps = [step.as_json() for step in found.steps]
        print(json.dumps({"cause": found.cause, "steps": steps}, indent=2, ensure_ascii=False))
    else:
        print(found.cause or "Nothing is wrong.")
        print()
        print(diagnosis.as_text(found.steps, "WRONG"))
    return FAILED if found.cause else OK


def deployment(arguments: argparse.Namespace) -> int:
    from sgmp_console import diagnosis

    profile = profile_named(arguments.of_profile)
    url = arguments.database_url or os.environ.get(DATABASE_URL)
    if arguments.remove_leftovers:
        with open_database(arguments, profile.deployment) as database:
            removed = diagnosis.remove_leftovers(database, profile)
        for credential in removed:
            print(f"Removed: {credential}")
        return OK
    steps = list(diagnosis.deployment(profile, url, smtp_password=os.environ.get(SMTP_PASSWORD, "")))
    ok = all(step.ok is not False for step in steps)
    if arguments.json:
        print(
            json.dumps({"ok": ok, "steps": [step.as_json() for step in steps]}, indent=2, ensure_ascii=False)
        )
    else:
        print(diagnosis.as_text(steps))
    return OK if ok else FAILED
