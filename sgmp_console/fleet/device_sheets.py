"""The devices of a house from a CSV file, and into one.

| column | |
|---|---|
| `name` | must be there; says which device a line is about |
| `type` | for a new device |
| `description` | |
| `config` | the whole config as JSON |
| `config.ip`, ... | one setting: a text as it is, all else as JSON; an empty cell takes it away, unless `config` is filled. Of a list of texts each on a line of its own, or as JSON |
| `same_meter` | `yes`: a new device continues the history of the deleted one that had its name |

A setting or column that the file does not have stays as it is stored. `***` stands for a secret as it is stored: secrets
are never written to a file. Texts that a spreadsheet would take for numbers (`03`) are in quotes.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sgmp_console.errors import Refused, UserError
from sgmp_console.fleet import sheets
from sgmp_console.fleet.devices import MASK, with_its_secrets
from sgmp_console.fleet.editing import editing
from sgmp_console.fleet.sheets import Action, Existing, ImportRefused, LineProblem, Plan, Progress, Row, Step
from sgmp_console.store import Database, Device, devices, savepoint
from sgmp_edge import contract

CONFIG = "config"
SETTING = "config."
COLUMNS = ("name", "type", "description", CONFIG, "same_meter")
COLUMNS_FOR_PEOPLE = "name, type, description, config, config.ip and the like, same_meter"

_NUMBER_LIKE = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)[+-]?[0-9][0-9.,:/eE+-]*|true|false|null", re.IGNORECASE)

_SPOILT = re.compile(
    r"[+-]?[0-9]([.,][0-9]+)?[eE][+-]?[0-9]{1,4}|[0-9]{15}0+|#{3,}|#([A-ZÄÖÜ]+(/[A-Z0-9]+)?[?!]|N/A|NV)"
)
"""What spreadsheets make of texts: numbers that are too long for a cell (1.23457E+62) or for 15 digits, columns that are too
narrow (####), and formulas that are none (#NAME?)."""
_NUMBER_KINDS = ("integer", "number", "boolean")
_WAS_SPOILT = (
    "A spreadsheet took this text for a number or a formula, and rounded or replaced it. Format the column as text and "
    "enter it again; a text that does look like this goes in quotes."
)
_SEVERAL_IN_ONE = re.compile(r"(?!\")[^\n]*[,;\t][^\n]*|\[.*", re.DOTALL)
"""Of a list that is not valid JSON."""


def import_devices(
    database: Database,
    house_id: int,
    path: Path,
    *,
    existing: Existing,
    dry_run: bool,
    progress: Progress = lambda _done, _all: None,
) -> Plan:
    """Make and change devices as a file says, all or none; `dry_run` finds out what that would be, and does nothing.

    Raises SheetError (the file can't be read), ImportRefused (not in a dry run, whose plan has the problems),
    Cancelled, Refused, DatabaseUnavailable: nothing was changed then.
    """
    sheet = sheets.read(path, _is_column, needed="name", columns=COLUMNS_FOR_PEOPLE)
    with editing(database, house_id) as connection:
        run = _Run(connection, house_id, existing)
        for done, row in enumerate(sheet.rows):
            progress(done, len(sheet.rows))
            run.take(row)
        problems = sorted([*sheet.problems, *run.problems], key=lambda one: one.line)
        plan = Plan(tuple(run.steps), tuple(problems))
        if problems and not dry_run:
            raise ImportRefused(plan)
        if dry_run:
            connection.get_transaction().rollback()  # type: ignore[union-attr]  # `editing` began one
    return plan


def export_devices(connection: sa.Connection, house_id: int, path: Path, *, delimiter: str = ",") -> int:
    """Write the devices of a house, secrets masked; how many. Raises UserError where the file can't be written."""
    found = devices.list_all(connection, house_id)
    settings: dict[str, None] = {}
    rows: list[dict[str, str]] = []
    for device in found:
        kind = contract.device_types().get(device.type)
        row = {"name": device.name, "type": device.type, "description": device.description}
        if kind is not None and kind.declared:
            declared = [one.key for one in kind.fields]
            for key in sorted(device.config, key=lambda key: (key not in declared, key)):
                settings.setdefault(SETTING + key)
                row[SETTING + key] = _written(device.config[key])
        else:
            row[CONFIG] = json.dumps(dict(device.config), ensure_ascii=False)
        rows.append(row)
    whole = [CONFIG] if any(CONFIG in row for row in rows) else []
    sheets.write(path, ["name", "type", "description", *whole, *settings], rows, delimiter=delimiter)
    return len(found)


class _Run:
    """One pass over a file inside a transaction: each line that can be done is done, the others are reported."""

    def __init__(self, connection: sa.Connection, house_id: int, existing: Existing) -> None:
        self.steps: list[Step] = []
        self.problems: list[LineProblem] = []
        self._connection = connection
        self._house_id = house_id
        self._existing = existing
        self._stored = {device.name: device for device in devices.list_all(connection, house_id)}
        self._lines: dict[str, int] = {}

    def take(self, row: Row) -> None:
        name = row.get("name")
        if problem := contract.name_problem(name):
            self._refuse(row, "name", f"{name[:80]!r} can't be used: {problem}.")
            return
        if name in self._lines:
            self._refuse(row, "name", f"{name} stands in line {self._lines[name]} already.")
            return
        self._lines[name] = row.line
        before = self._stored.get(name)
        if before is not None and self._existing is Existing.REFUSE:
            self._refuse(
                row,
                "name",
                f"This house has a device {name} already, and existing ones shall not be changed.",
            )
            return
        kind = row.get("type") or (before.type if before else "")
        types = contract.device_types()
        if kind not in types:
            words = f"There is no type {kind[:40]!r}" if kind else "A new device needs a type"
            self._refuse(row, "type", f"{words}; there are {', '.join(sorted(types))}.")
            return
        same_meter = _yes_or_no(row.get("same_meter"))
        if same_meter is None:
            self._refuse(row, "same_meter", "It must be yes, no or empty.")
            return
        config = self._config(row, types[kind], before)
        if config is None:
            return
        description = row.cells.get("description", before.description if before else "")
        wanted = Device(
            before.device_id if before else 0,
            self._house_id,
            name,
            kind,
            description,
            config,
            before.revision if before else 1,
        )
        self._store(row, wanted, before, same_meter=same_meter)

    def _store(self, row: Row, wanted: Device, before: Device | None, *, same_meter: bool) -> None:
        try:
            with savepoint(self._connection):
                if before is not None:
                    changed = wanted != before
                    if changed:
                        with_its_secrets(wanted, devices.update(self._connection, wanted))
                    self._step(row, Action.UPDATE if changed else Action.NOTHING)
                    return
                former = devices.deleted(self._connection, self._house_id, wanted.name)
                if former is not None and same_meter:
                    wanted = replace(
                        former, type=wanted.type, config=wanted.config, description=wanted.description
                    )
                    with_its_secrets(wanted, devices.restore(self._connection, wanted))
                    self._step(
                        row, Action.CREATE, "It continues the history of the deleted device of this name."
                    )
                    return
                devices.create(
                    self._connection,
                    self._house_id,
                    wanted.name,
                    wanted.type,
                    wanted.config,
                    description=wanted.description,
                )
                remark = (
                    "A deleted device had this name. This one is taken for another meter and starts new series; "
                    "same_meter = yes continues the old history."
                    if former is not None
                    else ""
                )
                self._step(row, Action.CREATE, remark)
        except Refused:
            raise  # it holds for every line
        except UserError as error:
            self._refuse(row, "", str(error))

    def _config(self, row: Row, kind: contract.DeviceType, before: Device | None) -> dict[str, Any] | None:
        """The config that a line asks for; None where a problem was reported instead."""
        already = len(self.problems)
        config: dict[str, Any] = dict(before.config) if before else {}
        if row.get(CONFIG):
            try:
                whole = contract.parse_json(row.get(CONFIG), "It is")
            except contract.ContractError as error:
                self._refuse(row, CONFIG, f"{error}.")
                return None
            if not isinstance(whole, dict):
                self._refuse(row, CONFIG, "It must be a JSON object: {...}.")
                return None
            config = whole
        kinds = {one.key: one.kind for one in kind.fields}
        for column, cell in row.cells.items():
            if not column.startswith(SETTING):
                continue
            key = column.removeprefix(SETTING)
            if _SPOILT.fullmatch(cell) and kinds.get(key) not in _NUMBER_KINDS:
                self._refuse(row, column, _WAS_SPOILT)
                continue
            value = _read_value(cell, kinds.get(key, ""))
            if kinds.get(key) == "text_list" and value == [cell] and _SEVERAL_IN_ONE.fullmatch(cell):
                self._refuse(
                    row,
                    column,
                    "Several in one entry: put each on a line of its own within the cell, or write a list such as "
                    '["A.Load", "A.Solar"]; one that does hold a comma goes into such a list, too.',
                )
            elif cell:
                config[key] = value
            elif not row.get(CONFIG):
                config.pop(key, None)
        stored = before.config if before is not None and before.type == kind.name else {}
        for key, value in config.items():
            if value == MASK and key not in stored:
                self._refuse(
                    row, self._column_of(row, key), f"{key}: *** stands for what is stored, and nothing is."
                )
        for problem in kind.problems(config):
            if config.get(problem.key) != MASK:
                self._refuse(row, self._column_of(row, problem.key), f"{problem}.")
        return config if len(self.problems) == already else None

    @staticmethod
    def _column_of(row: Row, key: str) -> str:
        return SETTING + key if SETTING + key in row.cells else (CONFIG if CONFIG in row.cells else "")

    def _step(self, row: Row, action: Action, remark: str = "") -> None:
        self.steps.append(Step(row.line, row.get("name"), action, remark))

    def _refuse(self, row: Row, column: str, sentence: str) -> None:
        self.problems.append(LineProblem(row.line, column, sentence))


def _is_column(name: str) -> bool:
    return name in COLUMNS or (name.startswith(SETTING) and len(name) > len(SETTING))


def _written(value: Any) -> str:
    """A setting as a cell. A text stands as it is unless it would be read, or shown by a spreadsheet, as something else."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    plain = (
        value == value.strip()
        and value != ""
        and value[0] not in '"[{'
        and not _NUMBER_LIKE.fullmatch(value)
        and not _SPOILT.fullmatch(value)
    )
    return value if plain else json.dumps(value, ensure_ascii=False)


def _read_value(cell: str, kind: str) -> Any:
    """A cell as a setting of a kind ("" where the kind is not known); what can't be read stays text, for the schema
    to refuse."""
    if kind in contract.TEXT_KINDS and not cell.startswith('"'):
        return cell
    if kind == "boolean":
        cell = cell.lower()
    try:
        value = contract.parse_json(cell, "It is")
    except contract.ContractError:
        value = cell
    if kind == "text_list" and isinstance(value, str):
        return [line.strip() for line in value.splitlines() if line.strip()]
    if kind in contract.TEXT_KINDS and not isinstance(value, str):
        return cell
    return value


def _yes_or_no(text: str) -> bool | None:
    """Empty is no; None for any other word."""
    return {"": False, "no": False, "false": False, "yes": True, "true": True}.get(text.lower())
