"""`check deployment`: what is missing is said with its remedy, and what is made from resources/aws is as needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sgmp_console import cli, commands, diagnosis, settings, store
from sgmp_console.cloud import services
from sgmp_console.cloud.iot import IotCore
from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.diagnosis import Step
from sgmp_console.diagnosis.aws import filled
from sgmp_console.environment import DATABASE_URL
from sgmp_console.fleet import accounts, houses
from sgmp_console.settings import Profile
from sgmp_console.store import Database
from tests.aws import REGION, LocalAws
from tests.database import TestDatabase, TestServer
from tests.mosquitto import TestBroker, running_broker
from tests.smtp import running_smtp

ACCOUNT = "123456789012"


def _look(profile: Profile, url: str | None = None) -> dict[str, Step]:
    return {step.name: step for step in diagnosis.deployment(profile, url)}


def _wrong(steps: dict[str, Step]) -> list[str]:
    return [name for name, step in steps.items() if step.ok is False]


# --- Local ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broker() -> Iterator[TestBroker]:
    with running_broker() as running:
        yield running


@pytest.fixture
def local(test_database: TestDatabase, broker: TestBroker) -> Profile:
    """The database's deployment is a test's own; broker and authority are of deployment sgmp."""
    files = broker.files_for("sgmp_console")
    return Profile(
        "Local",
        test_database.address,
        deployment="sgmp",
        broker_host=broker.address,
        broker_port=broker.port,
        broker_ca=str(files.ca),
        broker_cert=str(files.cert),
        broker_key=str(files.key),
        authority=str(broker.folder / "authority"),
    )


def test_a_local_deployment_that_has_all_is_in_order(local: Profile) -> None:
    with running_smtp() as smtp:
        profile = Profile(
            **{
                **vars(local),
                "smtp_host": "127.0.0.1",
                "smtp_port": smtp.port,
                "smtp_sender": "sgmp@example.org",
            }
        )
        steps = _look(profile)
    assert _wrong(steps) == []
    assert [
        steps[name].ok for name in ("Database", "Certificate authority", "Broker", "Broker rights", "Mail")
    ] == [True] * 5


def test_a_certificate_that_may_not_publish_is_said(local: Profile, broker: TestBroker) -> None:
    house = broker.files_for("sgmp_house_1")
    steps = _look(Profile(**{**vars(local), "broker_cert": str(house.cert), "broker_key": str(house.key)}))
    assert _wrong(steps) == ["Broker rights"]
    assert "access list" in steps["Broker rights"].remedy


def test_a_broker_of_another_authority_is_not_trusted(local: Profile, tmp_path: Path) -> None:
    other = LocalAuthority(tmp_path / "other")
    steps = _look(Profile(**{**vars(local), "broker_ca": str(other.certificate_file)}))
    assert _wrong(steps) == ["Broker"]
    assert "can't be trusted" in steps["Broker"].text


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    nowhere = Profile(
        "Nowhere",
        "postgresql://127.0.0.1:9/sgmp",
        broker_host="127.0.0.1",
        broker_port=9,
        authority=str(tmp_path / "none"),
    )
    steps = _look(nowhere)
    assert _wrong(steps) == ["Database", "Certificate authority", "Broker"]
    assert all(steps[name].remedy for name in ("Database", "Broker"))
    assert not (tmp_path / "none").exists()


# --- The database's schema ----------------------------------------------------------------------------------------


def test_a_migrated_database_is_in_order(test_database: TestDatabase) -> None:
    profile = Profile("P", test_database.address, deployment=test_database.deployment)
    assert _look(profile, test_database.url)["Database schema"].ok


def test_an_empty_database_and_a_wrong_deployment_are_said(
    database_server: TestServer, test_database: TestDatabase
) -> None:
    wrong = _look(Profile("P", test_database.address, deployment="other"), test_database.url)
    assert f"belongs to deployment {test_database.deployment}, not other" in wrong["Database schema"].text
    with database_server.empty_database() as empty:
        steps = _look(Profile("P", empty.address, deployment=empty.deployment), empty.url)
        assert "sgmp-console migrate" in steps["Database schema"].remedy


def test_a_database_of_another_version_is_said(database: Database, test_database: TestDatabase) -> None:
    with database.begin() as connection:
        known = connection.exec_driver_sql(
            "SELECT value FROM sgmp.installation WHERE key = 'revision'"
        ).scalar_one()
        connection.exec_driver_sql("UPDATE sgmp.installation SET value = '0000' WHERE key = 'revision'")
    try:
        profile = Profile("P", test_database.address, deployment=test_database.deployment)
        assert "another version" in _look(profile, test_database.url)["Database schema"].text
    finally:
        with database.begin() as connection:
            connection.exec_driver_sql(
                f"UPDATE sgmp.installation SET value = '{known}' WHERE key = 'revision'"
            )


# --- AWS ------------------------------------------------------------------------------------------------------------


def _document(name: str, deployment: str, **places: str) -> Any:
    given = {"deployment": deployment, "region": REGION, "account": ACCOUNT, "bucket": "readings", **places}
    return json.loads(filled(name, **given))


def _make_all(aws: LocalAws, deployment: str) -> Profile:
    """A deployment as resources/aws/README.md says."""
    iot, cognito = aws.client("iot"), aws.client("cognito-idp")
    for policy, document in (
        ("edge", "edge_policy.json"),
        ("ingest", "ingest_policy.json"),
        ("console", "console_broker_policy.json"),
    ):
        iot.create_policy(
            policyName=f"{deployment}_{policy}", policyDocument=json.dumps(_document(document, deployment))
        )
    iot.create_topic_rule(
        ruleName=f"{deployment}_readings", topicRulePayload=_document("readings_rule.json", deployment)
    )
    pool = cognito.create_user_pool(**_document("user_pool.json", deployment))["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        **_document("user_pool_client.json", deployment, user_pool_id=pool)
    )["UserPoolClient"]["ClientId"]
    return Profile(
        "Cloud",
        "postgresql://127.0.0.1:9/sgmp",
        deployment=deployment,
        region=REGION,
        aws_endpoint=aws.endpoint,
        user_pool_id=pool,
        user_pool_client_id=client,
    )


def _outside(profile: Profile, url: str | None = None) -> dict[str, Step]:
    return {
        name: step
        for name, step in _look(profile, url).items()
        if name.startswith(("AWS", "IoT", "User", "Credentials"))
    }


def test_what_is_made_from_the_documents_is_in_order(
    aws: LocalAws, database: Database, database_url: str, deployment: str
) -> None:
    profile = _make_all(aws, deployment)
    steps = _outside(profile, database_url)
    assert _wrong(steps) == []
    assert len(steps) == 14


def test_an_empty_account_lacks_all_and_says_how_to_make_it(aws: LocalAws) -> None:
    profile = Profile(
        "Cloud",
        "postgresql://127.0.0.1:9/sgmp",
        region=REGION,
        aws_endpoint=aws.endpoint,
        user_pool_id=f"{REGION}_nothing",
        user_pool_client_id="none",
    )
    steps = _outside(profile)
    assert _wrong(steps) == [
        "IoT policy sgmp_edge",
        "IoT policy sgmp_ingest",
        "IoT policy sgmp_console",
        "IoT rule",
        "User pool",
    ]
    assert all("resources/aws/" in steps[name].remedy for name in _wrong(steps))


def test_a_pool_that_lacks_the_house_and_lets_anybody_in_is_said(aws: LocalAws) -> None:
    profile = _make_all(aws, "sgmp")
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="bare")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="c", GenerateSecret=True)
    bare = Profile(
        **{
            **vars(profile),
            "user_pool_id": pool,
            "user_pool_client_id": client["UserPoolClient"]["ClientId"],
        }
    )
    steps = _outside(bare)
    assert _wrong(steps) == ["User pool: custom:home", "User pool: sign-up", "User pool: app client"]
    assert "add-custom-attributes" in steps["User pool: custom:home"].remedy


def test_a_policy_that_was_changed_and_a_rule_without_error_action_are_said(aws: LocalAws) -> None:
    profile = _make_all(aws, "sgmp")
    iot = aws.client("iot")
    iot.delete_policy(policyName="sgmp_edge")
    open_to_all = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}],
    }
    iot.create_policy(policyName="sgmp_edge", policyDocument=json.dumps(open_to_all))
    rule = _document("readings_rule.json", "sgmp")
    del rule["errorAction"]
    iot.delete_topic_rule(ruleName="sgmp_readings")
    iot.create_topic_rule(ruleName="sgmp_readings", topicRulePayload=rule)
    steps = _outside(profile)
    assert _wrong(steps) == ["IoT policy sgmp_edge", "IoT rule"]
    assert "no error action" in steps["IoT rule"].text


@pytest.mark.parametrize(
    ("call", "step"), [("DeleteCertificate", "IoT permissions"), ("AdminDeleteUser", "User pool permissions")]
)
def test_permissions_that_lack_are_said(aws: LocalAws, call: str, step: str) -> None:
    profile = _make_all(aws, "sgmp")
    aws.fail(call, "refused")
    steps = _outside(profile)
    assert _wrong(steps) == [step]
    assert "console_policy.json" in steps[step].remedy


def test_every_call_of_the_console_is_among_its_permissions(
    aws: LocalAws, database: Database, deployment: str
) -> None:
    profile = _make_all(aws, deployment)
    opened = services.open_services(profile)
    assert isinstance(opened.credentials, IotCore)
    made = houses.create_with_credentials(database, opened.credentials, "Maple House", time_zone="UTC")
    houses.renew_credentials(database, opened.credentials, made.house.house_id)
    accounts.create_first_admin(database, email="a@example.org", name="A", directory=opened.directory)
    ann = accounts.create(
        database, email="b@example.org", name="B", role="visitor", house_id=None, directory=opened.directory
    )
    accounts.reset_password(database, ann.account.account_id, directory=opened.directory)
    for change in ({"role": "researcher"}, {"enabled": False}, {"enabled": True}):
        with database.begin() as connection:
            now = store.accounts.get(connection, ann.account.account_id)
        accounts.update(database, replace(now, **change), directory=opened.directory)
    accounts.delete(database, [ann.account.account_id], directory=opened.directory)
    houses.delete(database, made.house.house_id, opened.credentials)
    _look(profile)
    statements = _document("console_policy.json", deployment, user_pool_id=profile.user_pool_id)["Statement"]
    allowed = {action.partition(":")[2] for statement in statements for action in statement["Action"]}
    used = set(aws.calls) - {"GetCallerIdentity"}  # that needs no permission
    assert used <= allowed


def test_leftovers_are_found_and_removed_when_asked(
    aws: LocalAws,
    database: Database,
    database_url: str,
    deployment: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    profile = _make_all(aws, deployment)
    IotCore(aws.settings(), deployment).issue(7)
    assert _wrong(_outside(profile, database_url)) == ["Credentials of houses"]
    monkeypatch.setattr(settings, "configuration_folder", lambda: tmp_path)
    settings.save_profiles(tmp_path, [profile])
    monkeypatch.setenv(DATABASE_URL, database_url)
    assert cli.main(["check", "deployment", "Cloud", "--remove-leftovers"]) == commands.OK
    assert f"{deployment}_house_7" in capsys.readouterr().out
    assert cli.main(["check", "deployment", "Cloud", "--json"]) == commands.OK
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    assert {"name", "ok", "text", "remedy"} == set(answer["steps"][0])
