"""Making a house, renewing its credentials, deleting it: each call to AWS, the authority and the broker fails in turn.

Which calls there are is found out by doing the act once, so that none is forgotten when one is added. After each failure
nothing is left that nobody knows of, and doing the act again works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from sgmp_console import store
from sgmp_console.cloud.broker import BrokerUnavailable
from sgmp_console.cloud.credentials import CredentialsService, LocalCredentials
from sgmp_console.cloud.iot import IotCore, edge_policy
from sgmp_console.cloud.local_ca import AuthorityUnwritable, LocalAuthority
from sgmp_console.errors import SgmpError
from sgmp_console.fleet import houses
from sgmp_console.fleet.houses import NewCredentials, NewHouse
from sgmp_console.store import Database
from sgmp_edge.contract import HouseCredentials
from tests.aws import LocalAws
from tests.fleet.faults import Faulty, each
from tests.fleet.test_houses_on_aws import Kept

AWS_KINDS = ["error", "hang", "lost"]
LOCAL_KINDS = ["error", "lost"]
"""A time-out of the authority is another program that holds its lock: tests/cloud/test_local_ca.py."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Side(Protocol):
    """Where credentials are kept: what it was asked, how it fails, and what is there."""

    def service(self) -> CredentialsService:
        """A new one, that remembers nothing."""

    def recorded(self, act: Callable[[], object]) -> list[str]: ...
    def fail(self, call: str, kind: str, after: int) -> None: ...
    def heal(self) -> None: ...
    def kept(self) -> set[str]:
        """All that is there: ids of valid certificates, and whatever else would be left behind."""


@dataclass
class Aws:
    aws: LocalAws
    deployment: str

    def __post_init__(self) -> None:
        self.aws.client("iot").create_policy(policyName=edge_policy(self.deployment), policyDocument="{}")
        self._kept = Kept(self.aws, self.deployment)

    def service(self) -> CredentialsService:
        return IotCore(self.aws.settings(), self.deployment)

    def recorded(self, act: Callable[[], object]) -> list[str]:
        self.aws.calls.clear()
        act()
        return list(self.aws.calls)

    def fail(self, call: str, kind: str, after: int) -> None:
        self.aws.fail(call, kind, after=after)

    def heal(self) -> None:
        self.aws.heal()

    def kept(self) -> set[str]:
        certificates = self._kept.certificates
        valid = {one for one, status in certificates.items() if status == "ACTIVE"}
        # What is neither a valid certificate with the policy nor a thing that has one is an orphan.
        stray = {f"inactive {one}" for one in certificates.keys() - valid}
        stray |= {f"policy of {one}" for one in set(self._kept.with_policy) ^ valid}
        if not valid:
            stray |= set(self._kept.things)
        return valid | stray


@dataclass
class Local:
    folder: Path
    deployment: str
    broker: Faulty = field(init=False)

    def __post_init__(self) -> None:
        self.authority = Faulty(
            LocalAuthority(self.folder), lambda: AuthorityUnwritable(self.folder, "No space left")
        )

    def service(self) -> CredentialsService:
        authority: Any = self.authority
        return LocalCredentials(authority, self.deployment, "127.0.0.1:8883")

    def recorded(self, act: Callable[[], object]) -> list[str]:
        self.authority.heal()
        act()
        return list(self.authority.calls)

    def fail(self, call: str, kind: str, after: int) -> None:
        self.authority.fail(call, kind, after)

    def heal(self) -> None:
        self.authority.heal()

    def kept(self) -> set[str]:
        authority = LocalAuthority(self.folder)
        return {one for name in authority.names() for one in authority.valid(name)}


@pytest.fixture
def side(request: pytest.FixtureRequest, aws: LocalAws, tmp_path: Path, deployment: str) -> Side:
    return Aws(aws, deployment) if request.param == "aws" else Local(tmp_path / "authority", deployment)


every = pytest.mark.parametrize(
    ("side", "kind"),
    [("aws", kind) for kind in AWS_KINDS] + [("local", kind) for kind in LOCAL_KINDS],
    indirect=["side"],
)


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


@every
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


@every
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


@every
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


@every
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


@pytest.mark.parametrize("kind", LOCAL_KINDS)
def test_a_broker_that_fails_in_deletion_keeps_the_house_until_the_configuration_is_gone(
    database: Database, tmp_path: Path, deployment: str, kind: str
) -> None:
    side = Local(tmp_path / "authority", deployment)
    made = create(database, side)
    retained = Retained({f"{deployment}_config/{made.credentials.client_id}/devices": b"[]"})
    broker: Any = Faulty(retained, lambda: BrokerUnavailable("The broker did not answer."))
    broker.fail("publish_retained", kind, 0)

    def remove() -> None:
        houses.delete(database, made.house.house_id, side.service(), broker=broker, deployment=deployment)

    with pytest.raises(SgmpError, match="was not deleted"):
        remove()
    assert names(database) == ["Maple House"]
    broker.heal()
    remove()
    assert (names(database), side.kept(), retained.messages) == ([], set(), {})


@dataclass
class Retained:
    """A broker as far as retained messages go."""

    messages: dict[str, bytes]

    def publish_retained(self, topic: str, payload: bytes, timeout_s: float = 10.0) -> None:
        if payload:
            self.messages[topic] = payload
        else:
            self.messages.pop(topic, None)
