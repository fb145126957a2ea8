"""The tests of houses_every_call on AWS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sgmp_console.cloud.credentials import CredentialsService
from sgmp_console.cloud.iot import IotCore, edge_policy
from tests.aws import LocalAws
from tests.fleet.houses_every_call import (
    Side,
    test_whatever_fails_in_creation_leaves_nothing,
    test_whatever_fails_in_deletion_the_house_stays_until_nothing_is_left,
    test_whatever_fails_in_revoking_older_credentials_the_new_ones_stay,
    test_whatever_fails_in_rotation_the_edge_is_let_in_and_the_rest_can_be_made_good,
)
from tests.fleet.test_houses_on_aws import Kept

__all__ = [
    "test_whatever_fails_in_creation_leaves_nothing",
    "test_whatever_fails_in_deletion_the_house_stays_until_nothing_is_left",
    "test_whatever_fails_in_revoking_older_credentials_the_new_ones_stay",
    "test_whatever_fails_in_rotation_the_edge_is_let_in_and_the_rest_can_be_made_good",
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


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


@pytest.fixture
def side(aws: LocalAws, deployment: str) -> Side:
    return Aws(aws, deployment)


@pytest.fixture(params=["error", "hang", "lost"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)
