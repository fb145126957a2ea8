"""Whether a deployment has all that it needs, step by step: `sgmp-console check deployment`."""

from __future__ import annotations

from collections.abc import Iterator

from sgmp_console.cloud import checking, services
from sgmp_console.cloud.checking import NotAsNeeded, Step, step
from sgmp_console.errors import UserError
from sgmp_console.fleet import accounts, houses
from sgmp_console.settings import Profile
from sgmp_console.store import Database, SignInRefused, migrations
from sgmp_console.store import accounts as stored_accounts
from sgmp_console.store.connecting import connect, parameters_of


def check(profile: Profile, database_url: str | None = None, *, smtp_password: str = "") -> Iterator[Step]:
    """One Step after the other, as they are looked at. Nothing is changed.

    `database_url` with user and password, an administrator's or the owner's: without it the database is only reached.
    """
    if database_url is None:
        yield step("Database", lambda: _reach(profile.database_url), _DATABASE_MEND)
        yield Step("Database schema", None, "Not looked at: no address with user and password was given.")
        yield from outside(profile, smtp_password)
        return
    found: list[Database] = []

    def open_database() -> str:
        found.append(stored_accounts.connect(database_url, profile.deployment))
        return f"{found[0].address} answers, and accepts user and password."

    yield step("Database", open_database, _DATABASE_MEND)
    try:
        if found:
            yield step("Database schema", lambda: schema(found[0], profile.deployment))
        yield from outside(profile, smtp_password)
        if found:
            yield from _agreement(found[0], profile)
    finally:
        for database in found:
            database.dispose()


def as_text(steps: list[Step]) -> str:
    """For a terminal: a line for each step, and what to do below those that are not in order."""
    marks = {True: "ok     ", False: "MISSING", None: "-      "}
    lines = []
    for one in steps:
        lines.append(f"{marks[one.ok]} {one.name}: {one.text}")
        if one.mend:
            lines.append(f"        {one.mend}")
    missing = sum(one.ok is False for one in steps)
    lines.append(
        "Everything that was looked at is in order."
        if not missing
        else f"{missing} of {len(steps)} need mending."
    )
    return "\n".join(lines)


_DATABASE_MEND = (
    "Check that the database runs, its address in the profile, and the file of its authority (sslrootcert)."
)


def _reach(url: str) -> str:
    try:
        connect({**parameters_of(url), "user": "sgmp_check", "password": "none"}).close()  # nobody's
    except SignInRefused:
        return "It answers; TLS, where it is used, is in order."
    raise NotAsNeeded("It lets anybody in, whoever they say they are.", "Set scram-sha-256 in pg_hba.conf.")


def schema(database: Database, deployment: str) -> str:
    """What the database was migrated to. Raises NotAsNeeded."""
    with database.begin() as connection:
        state = migrations.state(connection)
    if state is None:
        raise NotAsNeeded("The database has no tables of SGMP.", "Run `sgmp-console migrate` as its owner.")
    if state.deployment != deployment:
        raise NotAsNeeded(
            f"The database belongs to deployment {state.deployment}, not {deployment}.",
            "Correct the profile.",
        )
    if not state.is_current:
        raise NotAsNeeded(
            f"The database was made by another version of SGMP (migration {state.revision}).",
            "Run `sgmp-console migrate` of the newest version as its owner, and use that version everywhere.",
        )
    where = " on TimescaleDB" if state.timescale else ""
    return f"It is up to date (migration {state.revision}), for deployment {deployment}{where}."


def outside(profile: Profile, smtp_password: str) -> Iterator[Step]:
    """All that a profile names beside its database."""
    if profile.authority:
        yield checking.authority_step(profile)
    if profile.region:
        yield from checking.aws_steps(profile)
    if profile.broker_cert:
        yield checking.certificate_step(profile)
    yield from checking.broker_steps(profile)
    yield checking.mail_step(profile, smtp_password)


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
