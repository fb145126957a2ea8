"""Houses with credentials in AWS IoT Core. That each call can fail, houses_every_call.py sees to."""

from __future__ import annotations

import pytest

from sgmp_console import store
from sgmp_console.cloud.aws import Aws
from sgmp_console.cloud.iot import IotCore, edge_policy
from sgmp_console.errors import Refused, Unavailable, UserError
from sgmp_console.fleet import houses
from sgmp_console.store import Database, House
from tests.aws import LocalAws

CREATION = [
    "DescribeEndpoint",
    "CreateThing",
    "RegisterCertificateWithoutCA",
    "AttachPolicy",
    "AttachThingPrincipal",
    "UpdateCertificate",
]


@pytest.fixture
def iot(aws: LocalAws, deployment: str) -> IotCore:
    aws.client("iot").create_policy(policyName=edge_policy(deployment), policyDocument="{}")
    return IotCore(aws.settings(), deployment)


class Kept:
    """What AWS keeps, asked past the proxy and past our own code."""

    def __init__(self, aws: LocalAws, deployment: str) -> None:
        self._iot = aws.client("iot")
        self._policy = edge_policy(deployment)

    @property
    def things(self) -> list[str]:
        return [thing["thingName"] for thing in self._iot.list_things()["things"]]

    @property
    def certificates(self) -> dict[str, str]:
        return {one["certificateId"]: one["status"] for one in self._iot.list_certificates()["certificates"]}

    @property
    def with_policy(self) -> list[str]:
        return [
            arn.rpartition("/")[2]
            for arn in self._iot.list_targets_for_policy(policyName=self._policy)["targets"]
        ]

    def nothing(self) -> bool:
        return (self.things, self.certificates, self.with_policy) == ([], {}, [])


@pytest.fixture
def kept(aws: LocalAws, iot: IotCore, deployment: str) -> Kept:
    return Kept(aws, deployment)


def _names(database: Database) -> list[str]:
    with database.begin() as connection:
        return [house.name for house in store.houses.list_all(connection)]


def test_a_house_is_a_thing_with_one_certificate(
    database: Database, iot: IotCore, kept: Kept, deployment: str
) -> None:
    made = houses.create_with_credentials(database, iot, "Maple House", time_zone="UTC")
    assert made.credentials.certificate_id is not None
    assert kept.things == [made.credentials.client_id] == [f"{deployment}_house_{made.house.house_id}"]
    assert kept.certificates == {made.credentials.certificate_id: "ACTIVE"}
    assert kept.with_policy == [made.credentials.certificate_id]
    assert _names(database) == ["Maple House"]


@pytest.mark.parametrize("call", CREATION)
def test_with_its_usual_patience_the_console_gets_over_a_lost_answer(
    database: Database, aws: LocalAws, kept: Kept, deployment: str, call: str
) -> None:
    aws.fail(call, "lost")
    patient = IotCore(aws.settings(attempts=3), deployment)
    made = houses.create_with_credentials(database, patient, "Maple House", time_zone="UTC")
    assert kept.certificates == {made.credentials.certificate_id: "ACTIVE"}
    assert kept.things == [made.credentials.client_id]


def test_what_can_not_be_undone_is_said_and_found_again(
    database: Database, aws: LocalAws, iot: IotCore, kept: Kept
) -> None:
    aws.fail("AttachThingPrincipal", "error", times=None)
    aws.fail("DeleteCertificate", "error", times=None)
    aws.fail("ListThingPrincipals", "error", times=None)
    with pytest.raises(Unavailable, match=r"could not be undone .* there may be the thing .*_house_1"):
        houses.create_with_credentials(database, iot, "Maple House", time_zone="UTC")
    assert _names(database) == []
    assert "ACTIVE" not in kept.certificates.values()
    assert houses.leftovers(database, iot) == [1]
    aws.heal()
    iot.remove(1)
    assert kept.nothing()
    assert houses.leftovers(database, iot) == []


def test_a_certificate_that_no_thing_leads_to_is_found_again(
    database: Database, aws: LocalAws, iot: IotCore, kept: Kept
) -> None:
    aws.fail("AttachPolicy", "error")
    aws.fail("DeleteCertificate", "error", times=None)
    with pytest.raises(Unavailable):
        houses.create_with_credentials(database, iot, "Maple House", time_zone="UTC")
    aws.client("iot").delete_thing(thingName=kept.things[0])
    assert houses.leftovers(database, iot) == [1]
    aws.heal()
    iot.remove(1)
    assert kept.nothing()


def test_a_name_that_is_taken_never_reaches_aws(
    database: Database, aws: LocalAws, iot: IotCore, house: House
) -> None:
    with pytest.raises(UserError, match="exists already"):
        houses.create_with_credentials(database, iot, house.name, time_zone="UTC")
    assert aws.calls == []


def test_a_missing_edge_policy_is_named(database: Database, aws: LocalAws, kept: Kept) -> None:
    with pytest.raises(UserError, match=r"no policy other_edge.*edge_policy\.json"):
        houses.create_with_credentials(
            database, IotCore(aws.settings(), "other"), "Maple House", time_zone="UTC"
        )
    assert kept.nothing()


def test_permissions_that_lack_are_named(database: Database, aws: LocalAws, iot: IotCore) -> None:
    aws.fail("AttachPolicy", "refused")
    with pytest.raises(Refused, match=r"may not call AttachPolicy .*console_policy\.json"):
        houses.create_with_credentials(database, iot, "Maple House", time_zone="UTC")


# --- New credentials ----------------------------------------------------------------------------------------------


@pytest.fixture
def made(database: Database, iot: IotCore) -> houses.NewHouse:
    return houses.create_with_credentials(database, iot, "Maple House", time_zone="UTC")


def test_new_credentials_are_valid_before_the_old_are_revoked(
    database: Database, aws: LocalAws, iot: IotCore, kept: Kept, made: houses.NewHouse
) -> None:
    aws.calls.clear()
    renewed = houses.renew_credentials(database, iot, made.house.house_id)
    assert kept.certificates == {renewed.credentials.certificate_id: "ACTIVE"}
    assert kept.with_policy == [renewed.credentials.certificate_id]
    activated, deactivated = [n for n, call in enumerate(aws.calls) if call == "UpdateCertificate"]
    assert activated < aws.calls.index("DetachPolicy")
    assert activated < deactivated
    assert (renewed.still_valid, renewed.problem) == ((), None)


def test_both_can_stay_valid_until_the_pi_has_the_new_ones(
    database: Database, iot: IotCore, kept: Kept, made: houses.NewHouse
) -> None:
    renewed = houses.renew_credentials(database, iot, made.house.house_id, revoke_older=False)
    assert renewed.still_valid == (made.credentials.certificate_id,)
    assert sorted(kept.certificates.values()) == ["ACTIVE", "ACTIVE"]
    houses.revoke_others(database, iot, made.house.house_id, renewed.credentials.certificate_id)
    assert kept.certificates == {renewed.credentials.certificate_id: "ACTIVE"}


# --- Deletion -----------------------------------------------------------------------------------------------------


def test_a_house_is_deleted_with_its_thing_and_certificates(
    database: Database, iot: IotCore, kept: Kept, made: houses.NewHouse
) -> None:
    houses.renew_credentials(database, iot, made.house.house_id, revoke_older=False)
    houses.delete(database, made.house.house_id, iot)
    assert kept.nothing()
    assert _names(database) == []


def test_aws_that_is_not_there_is_said(database: Database, aws: LocalAws, deployment: str) -> None:
    nowhere = IotCore(Aws("eu-central-1", endpoint="http://127.0.0.1:9", attempts=1), deployment)
    with pytest.raises(Unavailable, match="it did not answer"):
        houses.create_with_credentials(database, nowhere, "Maple House", time_zone="UTC")
    assert _names(database) == []
