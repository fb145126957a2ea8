"""The tests of houses_every_call on our own authority."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sgmp_console.cloud.broker import BrokerUnavailable
from sgmp_console.cloud.credentials import CredentialsService, LocalCredentials
from sgmp_console.cloud.local_ca import AuthorityUnwritable, LocalAuthority
from sgmp_console.errors import SgmpError
from sgmp_console.fleet import houses
from sgmp_console.store import Database
from tests.fleet.faults import Faulty
from tests.fleet.houses_every_call import (
    Side,
    create,
    names,
    test_whatever_fails_in_creation_leaves_nothing,
    test_whatever_fails_in_deletion_the_house_stays_until_nothing_is_left,
    test_whatever_fails_in_revoking_older_credentials_the_new_ones_stay,
    test_whatever_fails_in_rotation_the_edge_is_let_in_and_the_rest_can_be_made_good,
)

__all__ = [
    "test_whatever_fails_in_creation_leaves_nothing",
    "test_whatever_fails_in_deletion_the_house_stays_until_nothing_is_left",
    "test_whatever_fails_in_revoking_older_credentials_the_new_ones_stay",
    "test_whatever_fails_in_rotation_the_edge_is_let_in_and_the_rest_can_be_made_good",
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


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
def side(tmp_path: Path, deployment: str) -> Side:
    return Local(tmp_path / "authority", deployment)


@pytest.fixture(params=["error", "lost"])
def kind(request: pytest.FixtureRequest) -> str:
    """A time-out of the authority is another program that holds its lock: tests/cloud/test_local_ca.py."""
    return str(request.param)


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
