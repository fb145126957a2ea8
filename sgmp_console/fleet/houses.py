"""Making, changing and deleting houses, and their credentials.

A house is a row in the database and something outside of it that lets its edge in; `fleet.outside` keeps both alike.
`checkpoint` is called where an act can be stopped without harm, and may raise Cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from sgmp_console.cloud.credentials import CredentialsService
from sgmp_console.errors import SgmpError, Taken, UserError
from sgmp_console.fleet.editing import editing
from sgmp_console.fleet.failures import error_context, no_checkpoint
from sgmp_console.fleet.outside import outside
from sgmp_console.fleet.sync import RetainingBroker
from sgmp_console.store import (
    Database,
    House,
    Place,
    accounts,
    analytics,
    audit,
    devices,
    houses,
    lock_house,
    lock_houses,
    permissions,
)
from sgmp_edge.contract import HouseCredentials, config_topic

_MAX_NAMED = 8
"""Of what uses a house, so many are named in a sentence."""


@dataclass(frozen=True)
class NewHouse:
    """`credentials` are known only here: nothing keeps the private key."""

    house: House
    credentials: HouseCredentials


@dataclass(frozen=True)
class NewCredentials:
    """`credentials` are valid and known only here. `still_valid`: ids of older certificates that let the house in, too.

    `problem`: why older ones could not be revoked, None where that was not asked for or succeeded.
    """

    credentials: HouseCredentials
    still_valid: tuple[str, ...] = ()
    problem: str | None = None


def create(
    database: Database,
    name: str,
    *,
    description: str = "",
    time_zone: str,
    load_contains_ev: bool = False,
    place: Place | None = None,
) -> House:
    """Make a house without credentials; `renew_credentials` makes them later.

    Raises UserError: the name is taken (it is unique in the deployment), no such time zone.
    """
    _check_name(name)
    _check_zone(time_zone)
    with database.begin() as connection:
        return _insert(connection, House(0, name, description, time_zone, 0, load_contains_ev, place))


def create_with_credentials(
    database: Database,
    service: CredentialsService,
    name: str,
    *,
    description: str = "",
    time_zone: str,
    load_contains_ev: bool = False,
    place: Place | None = None,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> NewHouse:
    """Make a house, and the credentials for its edge. Both or neither.

    Raises UserError (name taken, no such time zone), Refused, Unavailable; each says where something was left behind.
    """
    _check_name(name)
    _check_zone(time_zone)
    with outside(database, lambda connection: _is_there(connection, house.house_id)) as act:
        house = _insert(act.connection, House(0, name, description, time_zone, 0, load_contains_ev, place))
        act.failed = f"House {house.name} was not created"
        act.unknown = "It has no credentials. If it is in the list, generate new credentials for it; else create it again."
        service.ready()
        checkpoint()
        # Before the first step: one that fails may be done in part. Nobody has seen the credentials yet.
        act.undo(partial(service.remove, house.house_id), partial(_still_kept, service, house))
        issued = service.issue(house.house_id)
        checkpoint()
        _note(act.connection, "issue_credentials", house, issued.certificate_id)
    return NewHouse(house, issued)


def renew_credentials(
    database: Database,
    service: CredentialsService,
    house_id: int,
    *,
    revoke_older: bool = True,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> NewCredentials:
    """Make new credentials for a house, and then revoke the older ones.

    With `revoke_older=False` both stay valid, so that the Pi can be given the new ones first; `revoke_others` ends the
    older ones. Raises Refused, Unavailable, UserError where no new ones were made; the older ones are valid then.
    """
    renewed: NewCredentials | None = None
    try:
        with editing(database, house_id) as connection:
            house = houses.get(connection, house_id)
            permissions.require(connection, "manage_houses")
            older = service.valid(house_id)
            checkpoint()
            issued = service.issue(house_id)
            # From here on they must be shown, whatever fails: nothing else has their key.
            renewed = NewCredentials(issued, tuple(older))
            if revoke_older:
                renewed = _without_older(service, house_id, renewed)
            _note(connection, "issue_credentials", house, issued.certificate_id)
            if older and not renewed.still_valid:
                _note(connection, "revoke_credentials", house, *older)
    except SgmpError:
        if renewed is None:
            raise
    return renewed


def revoke_others(database: Database, service: CredentialsService, house_id: int, keep: str | None) -> None:
    """Revoke all credentials of a house but the certificate with the id `keep`.

    Raises Refused, Unavailable; repeating it goes on where it stopped.
    """
    with editing(database, house_id) as connection:
        house = houses.get(connection, house_id)
        permissions.require(connection, "manage_houses")
        older = [one for one in service.valid(house_id) if one != keep]
        service.revoke_others(house_id, keep)
        if older:
            _note(connection, "revoke_credentials", house, *older)


def update(database: Database, house: House) -> House:
    """Store all that is set of a house. Everything refers to a house by its id, so a name can change at any time.

    Raises UserError (name taken or against the rule, no such time zone), ChangedMeanwhile where `house` is stale.
    """
    _check_name(house.name)
    _check_zone(house.time_zone)
    with editing(database, house.house_id) as connection:
        lock_houses(connection)
        _check_unlike(connection, house.name, house.house_id)
        return houses.update(connection, house)


def what_exists(connection: sa.Connection, house_id: int) -> list[str]:
    """What a house still has that stands in the way of deleting it, in words; nothing of it is deleted with it."""
    kinds = {
        "device": [device.name for device in devices.list_all(connection, house_id)],
        "analytic item": [item.name for item in analytics.list_all(connection, house_id)],
        "account": [one.email for one in accounts.list_all(connection) if one.house_id == house_id],
    }
    return [f"{_count(len(names), kind)} ({_some(names)})" for kind, names in kinds.items() if names]


def delete(
    database: Database,
    house_id: int,
    service: CredentialsService | None = None,
    *,
    broker: RetainingBroker | None = None,
    deployment: str | None = None,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> None:
    """Delete a house that has nothing left, and its credentials with it (None: it has none).

    With `broker` and `deployment` the configuration that waits for its edge, which may hold secrets of devices, is
    taken away, too. Raises UserError listing what it still has. Where credentials could not be removed (Refused,
    Unavailable) the house stays, perhaps without credentials, and deleting it again finishes it.
    """
    with outside(database, lambda connection: not _is_there(connection, house_id)) as act:
        lock_house(act.connection, house_id)
        house = houses.get(act.connection, house_id)
        if left := what_exists(act.connection, house_id):
            raise UserError(
                f"House {house.name} still has {_joined(left)}. Delete these first; what was measured stays in the "
                "database."
            )
        checkpoint()
        if service is not None:
            _note(act.connection, "remove_credentials", house)
        houses.delete(act.connection, house_id)
        with error_context(
            f"House {house.name} was not deleted, though its edge may not be let in any more:"
        ):
            if service is not None:
                service.remove(house_id)
            if broker is not None and deployment is not None:
                broker.publish_retained(config_topic(deployment, house_id), b"")


def leftovers(database: Database, service: CredentialsService) -> list[int]:
    """Ids of houses that were deleted or never created, but of which the credentials service still keeps something.

    Raises Refused where the account does not see all houses, and so can't say.
    """
    with database.begin() as connection:
        permissions.require(connection, "all_houses")
        # A house that is being made has its credentials before its row can be seen: wait for it.
        lock_houses(connection)
        return sorted(service.houses() - {house.house_id for house in houses.list_all(connection)})


def _insert(connection: sa.Connection, house: House) -> House:
    lock_houses(connection)
    _check_unlike(connection, house.name)
    return houses.create(
        connection,
        house.name.strip(),
        description=house.description.strip(),
        time_zone=house.time_zone,
        load_contains_ev=house.load_contains_ev,
        place=house.place,
    )


def _note(connection: sa.Connection, act: str, house: House, *certificate_ids: str | None) -> None:
    """In audit, whose entry stays only if the transaction does."""
    ids = [one for one in certificate_ids if one]
    audit.note(
        connection,
        act,
        "credentials",
        house.name,
        house_id=house.house_id,
        details={"certificates": ids} if ids else None,
    )


def _without_older(service: CredentialsService, house_id: int, renewed: NewCredentials) -> NewCredentials:
    """With the older ones revoked, or with why that failed."""
    try:
        service.revoke_others(house_id, renewed.credentials.certificate_id)
    except SgmpError as error:
        return replace(
            renewed,
            problem=f"The new credentials are valid, but older ones could not all be revoked: {error} Revoke them again.",
        )
    return replace(renewed, still_valid=())


def _is_there(connection: sa.Connection, house_id: int) -> bool:
    return any(house.house_id == house_id for house in houses.list_all(connection))


def _still_kept(service: CredentialsService, house: House, error: SgmpError) -> str:
    return (
        f"What was begun could not be undone ({error}), so there may be {service.what_remains(house.house_id)}. They "
        "let nobody in; `sgmp-console check deployment` lists them."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(sorted(names)[:_MAX_NAMED]) + more


def _joined(parts: list[str]) -> str:
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def _check_name(name: str) -> None:
    if not name.strip():
        raise UserError("A house needs a name.")
    if not name.strip().isprintable():
        raise UserError("A house's name can't hold invisible characters.")


def _check_unlike(connection: sa.Connection, name: str, house_id: int = 0) -> None:
    """Names that differ only in capitals are the same to people."""
    for other in houses.list_all(connection):
        if other.house_id != house_id and other.name.casefold() == name.strip().casefold():
            raise Taken(f"A house {other.name} exists already. Choose another name.")


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(
            f"There is no time zone {name[:64]!r}. Choose one by its IANA name, such as America/Los_Angeles."
        ) from None
