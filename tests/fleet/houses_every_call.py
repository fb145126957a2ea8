"""Making a house, renewing its credentials, deleting it: each call to AWS, the authority and the broker fails in turn.

Which calls there are is found out by doing the act once, so that none is forgotten when one is added. After each failure
nothing is left that nobody knows of, and doing the act again works.

The tests run on AWS (test_houses_every_call_on_aws.py) and on our own authority (..._locally.py): each file has the
fixtures `side` and `kind`, of the failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from sgmp_console import store
from sgmp_console.cloud.credentials import CredentialsService
from sgmp_console.errors import SgmpError
from sgmp_console.fleet import houses
from sgmp_console.fleet.houses import NewCredentials, NewHouse
from sgmp_console.store import Database
from sgmp_edge.contract import HouseCredentials
from tests.fleet.faults import each


class Side(Protocol):
    """Where credentials are kept: what it was asked, how it fails, and what is there."""

    def service(self) -> CredentialsService:
        """A new one, that remembers nothing."""

    def recorded(self, act: Callable[[], object]) -> list[str]: ...
    def fail(self, call: str, kind: str, after: int) -> None: ...
    def heal(self) -> None: ...
    def kept(self) -> set[str]:
        """All that is there: ids of valid certificates, and whatever else would be left behind."""


def names(database: Database) -> list[str]:
    with database.begin() as connection:
        return [house.name for house in store.houses.list_all(connection)]


def create(database: Database, side: Side) -> NewHouse:
    return houses.create_with_credentials(database, side.service(), "Maple House", time_zone="UTC")


def delete(database: Database, side: Side, made: NewHouse) -> None:
    houses.delete(database, made.house.house_id, side.service())


def certificate(credentials: HouseCredentials) -> str:
    assert credentials.certificate_id is not None
    return credentials.certificate_id


def each_of(calls: list[str], least: int) -> Iterator[tuple[str, int]]:
    """Each call of an act, of which there must be some: the name, and how many of that name go before it."""
    assert len(calls) >= least, calls
    return each(calls)


def test_whatever_fails_in_creation_leaves_nothing(database: Database, side: Side, kind: str) -> None:
    made: list[NewHouse] = []
    calls = side.recorded(lambda: made.append(create(database, side)))
    delete(database, side, made.pop())
    for call, after in each_of(calls, least=2):
        side.fail(call, kind, after)
        with pytest.raises(SgmpError, match="was not created, and nothing is left of it"):
            create(database, side)
        assert (names(database), side.kept()) == ([], set()), (call, after)
        side.heal()
        again = create(database, side)
        assert (names(database), side.kept()) == (
            ["Maple House"],
            {certificate(again.credentials)},
        ), (call, after)
        delete(database, side, again)


def test_whatever_fails_in_rotation_the_edge_is_let_in_and_the_rest_can_be_made_good(
    database: Database, side: Side, kind: str
) -> None:
    made = create(database, side)
    house_id = made.house.house_id
    present = {certificate(made.credentials)}

    def renew() -> NewCredentials:
        return houses.renew_credentials(database, side.service(), house_id)

    renewed: list[NewCredentials] = []
    calls = side.recorded(lambda: renewed.append(renew()))
    present = {certificate(renewed.pop().credentials)}
    for call, after in each_of(calls, least=4):
        side.fail(call, kind, after)
        try:
            outcome = renew()
        except SgmpError:
            # No new ones: the present ones are as they were.
            assert side.kept() == present, (call, after)
            side.heal()
            outcome = renew()
        else:
            new = certificate(outcome.credentials)
            assert outcome.problem is not None, (call, after)
            assert set(outcome.still_valid) == present, (call, after)
            assert new in side.kept(), (call, after)
            side.heal()
            houses.revoke_others(database, side.service(), house_id, new)
        present = {certificate(outcome.credentials)}
        assert side.kept() == present, (call, after)


def test_whatever_fails_in_revoking_older_credentials_the_new_ones_stay(
    database: Database, side: Side, kind: str
) -> None:
    house_id = create(database, side).house.house_id

    def both() -> str:
        return certificate(
            houses.renew_credentials(database, side.service(), house_id, revoke_older=False).credentials
        )

    def revoke(keep: str) -> None:
        houses.revoke_others(database, side.service(), house_id, keep)

    new = both()
    calls = side.recorded(lambda: revoke(new))
    for call, after in each_of(calls, least=2):
        keep = both()
        side.fail(call, kind, after)
        with pytest.raises(SgmpError):
            revoke(keep)
        assert keep in side.kept(), (call, after)
        side.heal()
        revoke(keep)
        assert side.kept() == {keep}, (call, after)


def test_whatever_fails_in_deletion_the_house_stays_until_nothing_is_left(
    database: Database, side: Side, kind: str
) -> None:
    made = create(database, side)
    calls = side.recorded(lambda: delete(database, side, made))
    for call, after in each_of(calls, least=2):
        made = create(database, side)
        side.fail(call, kind, after)
        with pytest.raises(SgmpError, match="was not deleted, though its edge may not be let in"):
            delete(database, side, made)
        assert names(database) == ["Maple House"], (call, after)
        side.heal()
        delete(database, side, made)
        assert (names(database), side.kept()) == ([], set()), (call, after)
