"""Accounts from a CSV file, and into one.

| column | |
|---|---|
| `email` | must be there; says which account a line is about |
| `name`, `role` | for a new account |
| `house` | the name of the account's house; empty: none |
| `enabled` | `yes` or `no`; a new account is enabled |

A column that the file does not have stays as it is stored. Passwords are never in such a file: new accounts get initial
ones, which are mailed or handed back once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from sgmp_console.cloud.directory import Directory
from sgmp_console.cloud.mail import Mailer
from sgmp_console.errors import Cancelled, Refused, SgmpError, Unavailable, UserError
from sgmp_console.fleet import sheets
from sgmp_console.fleet.accounts import LOCAL, NewAccount, initial_password, user_of
from sgmp_console.fleet.outside import Outside, outside
from sgmp_console.fleet.sheets import Action, Existing, ImportRefused, LineProblem, Plan, Progress, Row, Step
from sgmp_console.store import (
    Account,
    Database,
    accounts,
    deployment_name,
    houses,
    keep_alive,
    normal_email,
    savepoint,
)

COLUMNS = ("email", "name", "role", "house", "enabled")
COLUMNS_FOR_PEOPLE = ", ".join(COLUMNS)


@dataclass(frozen=True)
class AccountsImported:
    """`created` with their initial passwords, of which those not `mailed` are known only here. `mail_problem`: why
    some were not mailed, "" if none failed."""

    plan: Plan
    created: tuple[NewAccount, ...] = field(default=(), repr=False)
    mail_problem: str = ""

    def to_hand_over(self) -> tuple[NewAccount, ...]:
        """The new accounts whose users must be given their password."""
        return tuple(one for one in self.created if not one.mailed)


def import_accounts(
    database: Database,
    path: Path,
    *,
    existing: Existing,
    dry_run: bool,
    directory: Directory = LOCAL,
    mailer: Mailer | None = None,
    progress: Progress = lambda _done, _all: None,
) -> AccountsImported:
    """Make and change accounts as a file says, all or none; `dry_run` finds out what that would be, and does nothing.

    What was done in the directory of users is undone where a later step fails. Mails go out last, when the accounts are
    there: one that can't be sent changes nothing else. Raises SheetError, ImportRefused (not in a dry run), Cancelled,
    Refused, UserError, Unavailable: nothing was changed then, or the error says what was left.
    """
    sheet = sheets.read(path, COLUMNS.__contains__, needed="email", columns=COLUMNS_FOR_PEOPLE)
    if mailer is not None and not directory.mails and not dry_run:
        mailer.ready()
    with outside(database, lambda connection: run.is_stored(connection)) as act:
        run = _Run(act.connection, existing)
        deployment = deployment_name(act.connection)
        for done, row in enumerate(sheet.rows):
            progress(done, len(sheet.rows))
            run.take(row)
        plan = run.plan(sheet.problems)
        if plan.problems and not dry_run:
            raise ImportRefused(plan)
        if dry_run:
            act.connection.get_transaction().rollback()  # type: ignore[union-attr]  # it has begun
            return AccountsImported(plan)
        act.failed = "Nothing was imported"
        act.unknown = "Import the file again when the database answers."
        _update_directory(directory, run, act, progress)
    created, mail_problem = _mail(run.created, deployment, directory, mailer, progress)
    return AccountsImported(plan, created, mail_problem)


def export_accounts(connection: sa.Connection, path: Path, *, delimiter: str = ",") -> int:
    """Write the accounts that the caller sees; how many. Raises UserError where the file can't be written."""
    names = {house.house_id: house.name for house in houses.list_all(connection)}
    found = accounts.list_all(connection)
    rows = [
        {
            "email": account.email,
            "name": account.name,
            "role": account.role,
            "house": names.get(account.house_id, "") if account.house_id else "",
            "enabled": "yes" if account.enabled else "no",
        }
        for account in found
    ]
    sheets.write(path, COLUMNS, rows, delimiter=delimiter)
    return len(found)


def write_passwords(path: Path, created: Sequence[NewAccount]) -> None:
    """A file that only its owner can read, with the initial passwords that were not mailed.

    Raises UserError where it can't be written, or is there already.
    """
    rows = [
        {"email": one.account.email, "name": one.account.name, "initial_password": one.initial_password}
        for one in created
        if not one.mailed
    ]
    sheets.write(path, ("email", "name", "initial_password"), rows, private=True)


class _Run:
    """One pass over a file inside a transaction: each line that can be done is done, the others are reported."""

    def __init__(self, connection: sa.Connection, existing: Existing) -> None:
        self.created: list[NewAccount] = []
        self.updated: list[Account] = []
        self._steps: list[Step] = []
        self._problems: list[LineProblem] = []
        self._connection = connection
        self._existing = existing
        self._stored = {account.email: account for account in accounts.list_all(connection)}
        self._houses = {house.name: house.house_id for house in houses.list_all(connection)}
        self._house_names = {number: name for name, number in self._houses.items()}
        self._lines: dict[str, int] = {}

    def plan(self, problems: Sequence[LineProblem]) -> Plan:
        return Plan(tuple(self._steps), tuple(sorted([*problems, *self._problems], key=lambda one: one.line)))

    def is_stored(self, connection: sa.Connection) -> bool:
        """Whether the database, in another transaction, holds what this pass stored."""
        stored = {account.email: account for account in accounts.list_all(connection)}
        return all(new.account.email in stored for new in self.created) and all(
            stored.get(account.email) == account for account in self.updated
        )

    def take(self, row: Row) -> None:
        try:
            email = normal_email(row.get("email"))
        except UserError as error:
            self._refuse(row, "email", str(error))
            return
        if email in self._lines:
            self._refuse(row, "email", f"{email} stands in line {self._lines[email]} already.")
            return
        self._lines[email] = row.line
        before = self._stored.get(email)
        if before is not None and self._existing is Existing.REFUSE:
            self._refuse(
                row, "email", f"There is an account {email} already, and existing ones shall not be changed."
            )
            return
        before_this = len(self._problems)
        name = row.cells.get("name", before.name if before else "")
        role = row.get("role") or (before.role if before else "")
        if not name:
            self._refuse(row, "name", "An account needs the name of its user.")
        if not role:
            self._refuse(row, "role", "A new account needs a role.")
        house_id = self._house(row, before)
        enabled = {"": before.enabled if before else True, "yes": True, "no": False}.get(
            row.get("enabled").lower()
        )
        if enabled is None:
            self._refuse(row, "enabled", "It must be yes or no.")
        if len(self._problems) == before_this:
            self._store(row, email, name, role, house_id, bool(enabled), before)

    def _house(self, row: Row, before: Account | None) -> int | None:
        if "house" not in row.cells:
            return before.house_id if before else None
        name = row.get("house")
        if not name:
            return None
        if name not in self._houses:
            self._refuse(row, "house", f"There is no house {name[:64]!r}.")
            return None
        return self._houses[name]

    def _store(
        self,
        row: Row,
        email: str,
        name: str,
        role: str,
        house_id: int | None,
        enabled: bool,
        before: Account | None,
    ) -> None:
        try:
            with savepoint(self._connection):
                if before is None:
                    password = initial_password()
                    account = accounts.create(
                        self._connection,
                        email=email,
                        name=name,
                        role=role,
                        house_id=house_id,
                        password=password,
                    )
                    if not enabled:
                        account = accounts.update(self._connection, replace(account, enabled=False))
                    self.created.append(NewAccount(account, password))
                    self._steps.append(Step(row.line, email, Action.CREATE))
                    return
                wanted = replace(before, name=name, role=role, house_id=house_id, enabled=enabled)
                if wanted == before:
                    self._steps.append(Step(row.line, email, Action.NOTHING))
                    return
                self.updated.append(accounts.update(self._connection, wanted))
                self._steps.append(Step(row.line, email, Action.UPDATE))
        except Refused as error:
            # Of a role that the caller can't give this says which; of all else it holds for every line.
            self._refuse(row, "role", str(error))
        except UserError as error:
            self._refuse(row, "", str(error))

    def _refuse(self, row: Row, column: str, sentence: str) -> None:
        self._problems.append(LineProblem(row.line, column, sentence))


def _update_directory(directory: Directory, run: _Run, act: Outside, progress: Progress) -> None:
    """Add and change the users of the accounts."""
    count = len(run.created) + len(run.updated)
    if directory.mails and run.created:
        act.left = "Mails with passwords that do not work may have been sent."
    for done, new in enumerate(run.created):
        progress(done, count)
        email = new.account.email
        directory.add(user_of(new.account), new.initial_password)
        act.undo(partial(directory.remove, email), partial(_not_set_back, email))
        if not new.account.enabled:
            directory.update(user_of(new.account))
        keep_alive(act.connection)
    for done, account in enumerate(run.updated, len(run.created)):
        progress(done, count)
        before = directory.find(account.email)
        if before is not None:
            act.undo(partial(directory.update, before), partial(_not_set_back, account.email))
            directory.update(user_of(account))
        keep_alive(act.connection)


def _not_set_back(email: str, error: SgmpError) -> str:
    return f"The user {email} could not be set back in the directory of users ({error}); importing again replaces it."


def _mail(
    created: Sequence[NewAccount],
    deployment: str,
    directory: Directory,
    mailer: Mailer | None,
    progress: Progress,
) -> tuple[tuple[NewAccount, ...], str]:
    """The new accounts with whether they were mailed, and why some were not."""
    if directory.mails:
        return tuple(replace(one, mailed=True) for one in created), ""
    if mailer is None:
        return tuple(created), ""
    result: list[NewAccount] = []
    problem, stopped = "", False
    for done, one in enumerate(created):
        mailed = False
        if not stopped:
            try:
                progress(done, len(created))
                mailer.send_initial_password(
                    one.account.email, one.account.name, deployment, one.initial_password
                )
                mailed = True
            except Cancelled:
                problem, stopped = "Mailing was cancelled.", True
            except Unavailable as error:
                problem, stopped = str(error), True  # nor would it take the others
            except UserError as error:
                problem = problem or str(error)
        result.append(replace(one, mailed=mailed))
    return tuple(result), problem
