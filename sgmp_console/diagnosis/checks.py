"""The two diagnoses: of a connection, for the operator who enters one, and of a deployment, for `check deployment`.

Nothing is changed anywhere, but by `remove_leftovers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sgmp_console.cloud import services
from sgmp_console.diagnosis import database as databases
from sgmp_console.diagnosis.outside import outside
from sgmp_console.diagnosis.steps import NotAsNeeded, Step, step
from sgmp_console.errors import SgmpError, UserError
from sgmp_console.fleet import accounts, houses
from sgmp_console.settings import Profile, authority_of, with_authority
from sgmp_console.store import Database, login_name, server_version
from sgmp_console.store import accounts as stored_accounts
from sgmp_console.store.connecting import parameters_of

_DATABASE_REMEDY = (
    "Check that the database runs, its address in the profile, and the file of its authority (sslrootcert)."
)


def connection(
    profile: Profile, email: str = "", password: str = "", *, smtp_password: str = ""
) -> Iterator[Step]:
    """One Step after the other, as they are looked at; each may take seconds.

    With `email` and `password` it signs in, which alone shows the database's version and what is in it.
    """
    try:
        parameters = parameters_of(profile.database_url)
    except SgmpError as error:
        yield Step("Database address", False, str(error), "Correct the database address.")
        return
    places = databases.places(parameters)
    reached = not places
    for place in places:
        for one in databases.place_steps(place, parameters):
            yield one
            ok = one.ok is not False
            if not ok:
                break
        else:
            reached = True
    if not reached:
        yield Step("Database", None, "Not looked at: it is not reached.")
    elif email and password:
        yield from _signed_in(profile, email, password)
    else:
        yield step("Database", lambda: databases.answers(profile.database_url))
        yield Step(
            "Deployment",
            None,
            "Not looked at: enter email and password on the sign-in page, then test again.",
        )
    yield from outside(profile, smtp_password)


def _signed_in(profile: Profile, email: str, password: str) -> Iterator[Step]:
    opened: list[Database] = []

    def enter() -> str:
        user = login_name(profile.deployment, email)
        opened.append(
            Database.connect(profile.database_url, user=user, password=password, application="sgmp-test")
        )
        with opened[0].begin() as connection:
            version = server_version(connection)
        return f"PostgreSQL {version} accepts {email}."

    def look() -> str:
        return databases.schema(opened[0], profile.deployment)

    yield step(
        "Database",
        enter,
        "Check the database's name in the address, the deployment's name, email and password.",
    )
    try:
        if opened:
            yield step("Deployment", look)
    finally:
        for database in opened:
            database.dispose()


def deployment(
    profile: Profile, database_url: str | None = None, *, smtp_password: str = ""
) -> Iterator[Step]:
    """One Step after the other, as they are looked at. Nothing is changed.

    `database_url` with user and password, an administrator's or the owner's: without it the database is only reached. Where it
    names no authority, the profile's signed the database's certificate.
    """
    if database_url is None:
        yield step("Database", lambda: databases.answers(profile.database_url), _DATABASE_REMEDY)
        yield Step("Database schema", None, "Not looked at: no address with user and password was given.")
        yield from outside(profile, smtp_password)
        return
    found: list[Database] = []
    entered = with_authority(database_url, authority_of(profile.database_url))

    def open_database() -> str:
        found.append(stored_accounts.connect(entered, profile.deployment))
        return f"{found[0].address} answers, and accepts user and password."

    yield step("Database", open_database, _DATABASE_REMEDY)
    try:
        if found:
            yield step("Database schema", lambda: databases.schema(found[0], profile.deployment))
        yield from outside(profile, smtp_password)
        if found:
            yield from _agreement(found[0], profile)
    finally:
        for database in found:
            database.dispose()


def as_text(steps: Sequence[Step], wrong: str = "MISSING") -> str:
    """For a terminal: a line for each step, and what to do below those that are not as needed, which `wrong` marks."""
    marks = {True: "ok     ", False: f"{wrong:7}", None: "-      "}
    lines = []
    for one in steps:
        lines.append(f"{marks[one.ok]} {one.name}: {one.text}")
        if one.remedy:
            lines.append(f"        {one.remedy}")
    missing = sum(one.ok is False for one in steps)
    lines.append(
        "Everything that was looked at is as needed."
        if not missing
        else f"{missing} of {len(steps)} need attention."
    )
    return "\n".join(lines)


def _agreement(database: Database, profile: Profile) -> Iterator[Step]:
    """Whether what is kept elsewhere is what the database says."""

    def credentials() -> str:
        service = services.credentials(profile)
        if service is None:
            raise UserError("The profile names neither an authority's folder nor an AWS region.")
        left = houses.leftovers(database, service)
        if left:
            raise NotAsNeeded(
                "Of houses that do not exist there is still: "
                + "; ".join(service.what_remains(one) for one in left)
                + ".",
                "If no other database uses this deployment's name, remove it: sgmp-console check deployment "
                "--remove-leftovers.",
            )
        return "There are none of houses that do not exist."

    if profile.authority or profile.region:
        yield step("Credentials of houses", credentials)
    pool = services.user_pool(profile)
    if pool is not None:

        def users() -> str:
            unlike = accounts.unlike_directory(database, pool)
            if unlike:
                raise NotAsNeeded(" ".join(unlike), "Each sentence says what to do.")
            return "They are the same as the accounts."

        yield step("Users of the pool", users)


def remove_leftovers(database: Database, profile: Profile) -> list[str]:
    """Remove what the credentials service keeps of houses that do not exist. Returns what was removed, in words."""
    service = services.credentials(profile)
    if service is None:
        raise UserError("The profile names neither an authority's folder nor an AWS region.")
    removed = []
    for house_id in houses.leftovers(database, service):
        service.remove(house_id)
        removed.append(service.what_remains(house_id))
    return removed
