"""What a connection profile names, and what it can't."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sgmp_console.cloud.cognito import UserPool
from sgmp_console.cloud.credentials import LocalCredentials
from sgmp_console.cloud.directory import LocalDirectory
from sgmp_console.cloud.iot import IotCore
from sgmp_console.cloud.local_ca import AuthorityDamaged, LocalAuthority
from sgmp_console.cloud.services import open_services
from sgmp_console.errors import UserError
from sgmp_console.settings import Profile, SettingsError, load_profiles, save_profiles
from tests.aws import REGION, LocalAws

CLOUD = {
    "region": "eu-central-1",
    "user_pool_id": "eu-central-1_Ab12",
    "user_pool_client_id": "client",
    "smtp_host": "mail.example.org",
    "smtp_sender": "sgmp@example.org",
}


def _profile(**given: Any) -> Profile:
    return Profile("P", "postgresql://db.example.org/sgmp", **given)


def test_a_profile_without_any_names_none() -> None:
    services = open_services(_profile())
    assert (services.credentials, services.mailer, services.broker) == (None, None, None)
    assert isinstance(services.directory, LocalDirectory)


def test_a_region_and_a_pool_stand_for_aws() -> None:
    services = open_services(_profile(**CLOUD))
    assert isinstance(services.credentials, IotCore)
    assert isinstance(services.directory, UserPool)
    assert services.mailer is not None


def test_an_authority_goes_before_aws_and_is_never_founded_by_mistake(tmp_path: Path) -> None:
    with pytest.raises(AuthorityDamaged):
        open_services(_profile(authority=str(tmp_path / "typo"), **CLOUD))
    assert not (tmp_path / "typo").exists()
    LocalAuthority(tmp_path / "authority")
    services = open_services(_profile(authority=str(tmp_path / "authority"), **CLOUD))
    assert isinstance(services.credentials, LocalCredentials)


def test_edges_on_aws_are_given_the_authority_of_a_broker_of_ones_own(aws: LocalAws, tmp_path: Path) -> None:
    aws.client("iot").create_policy(policyName="sgmp_edge", policyDocument="{}")
    authority = LocalAuthority(tmp_path)
    own = {"broker_host": "broker.example.org", "broker_ca": str(authority.certificate_file)}
    service = open_services(_profile(region=REGION, aws_endpoint=aws.endpoint, **own)).credentials
    assert service is not None
    issued = service.issue(1)
    assert (issued.root_ca_pem, issued.endpoint) == (authority.ca_pem, "broker.example.org:8883")


def test_an_authority_file_that_is_not_there_is_told_before_anything_is_made(
    aws: LocalAws, tmp_path: Path
) -> None:
    profile = _profile(region=REGION, aws_endpoint=aws.endpoint, broker_ca=str(tmp_path / "typo.pem"))
    service = open_services(profile).credentials
    assert service is not None
    with pytest.raises(UserError, match=r"typo\.pem"):
        service.issue(1)
    assert "CreateThing" not in aws.calls


def test_a_profile_is_kept_without_passwords(tmp_path: Path) -> None:
    profile = _profile(aws_endpoint="http://localhost:5000", smtp_user="sgmp", **CLOUD)
    save_profiles(tmp_path, [profile])
    assert load_profiles(tmp_path) == [profile]
    assert "password" not in (tmp_path / "profiles.toml").read_text()
    assert "letmein" not in repr(open_services(profile, smtp_password="letmein"))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"region": "Frankfurt"}, "not an AWS region"),
        ({"user_pool_id": "eu-central-1_Ab12"}, "needs its AWS region"),
        ({**CLOUD, "user_pool_id": "us-west-2_Ab12"}, "begin with its region"),
        ({**CLOUD, "user_pool_client_id": ""}, "app client"),
        ({"aws_endpoint": "localhost:5000"}, "AWS endpoint"),
        ({"aws_endpoint": "http://user:secret@localhost"}, "without user and password"),
        ({"smtp_host": "mail.example.org"}, "address of its sender"),
        ({"smtp_port": 0}, "between 1 and 65535"),
        ({"broker_port": 70000}, "between 1 and 65535"),
    ],
)
def test_a_profile_that_can_not_work_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as refused:
        _profile(**wrong)
    assert "secret" not in str(refused.value)
