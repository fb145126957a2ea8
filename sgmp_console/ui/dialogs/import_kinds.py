"""What can be imported in bulk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sgmp_console.fleet import account_sheets, device_sheets
from sgmp_console.fleet.account_sheets import AccountsImported
from sgmp_console.fleet.sheets import Existing, Plan, Progress
from sgmp_console.store import House
from sgmp_console.ui.page import Services

Outcome = Plan | AccountsImported


@dataclass(frozen=True)
class ImportKind:
    """`noun`: what a line is about. `columns` says what a file may hold. `run` is called on a worker thread with the
    file, what becomes of existing ones, whether it is only a dry run, and who hears how far it is."""

    noun: str
    where: str
    columns: str
    run: Callable[[Path, Existing, bool, Progress], Outcome]

    @property
    def plural(self) -> str:
        return f"{self.noun}s"


def devices_of(services: Services, house: House) -> ImportKind:
    database = services.session.database

    def run(path: Path, existing: Existing, dry_run: bool, progress: Progress) -> Outcome:
        return device_sheets.import_devices(
            database, house.house_id, path, existing=existing, dry_run=dry_run, progress=progress
        )

    return ImportKind(
        "device",
        house.name,
        f"The first line names the columns: {device_sheets.COLUMNS_FOR_PEOPLE}. Only name must be there; what has no "
        "column stays as it is. *** keeps a stored secret.",
        run,
    )


def accounts(services: Services) -> ImportKind:
    session = services.session

    def run(path: Path, existing: Existing, dry_run: bool, progress: Progress) -> Outcome:
        cloud = session.cloud()
        return account_sheets.import_accounts(
            session.database,
            path,
            existing=existing,
            dry_run=dry_run,
            directory=cloud.directory,
            mailer=cloud.mailer,
            progress=progress,
        )

    return ImportKind(
        "account",
        session.profile.name,
        f"The first line names the columns: {account_sheets.COLUMNS_FOR_PEOPLE}. Only email must be there; what has no "
        "column stays as it is. house is the name of a house.",
        run,
    )
