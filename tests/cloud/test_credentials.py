"""Credentials of houses, from either service: what the Pi takes, and what they let in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgmp_console.cloud.aws import AwsNotConfigured
from sgmp_console.cloud.credentials import CredentialsService, LocalCredentials
from sgmp_console.cloud.iot import IotCore, edge_policy
from sgmp_console.cloud.local_ca import AuthorityUnwritable, LocalAuthority
from sgmp_edge import contract, install_certs
from tests.aws import LocalAws


@pytest.fixture
def authority(tmp_path: Path) -> LocalAuthority:
    return LocalAuthority(tmp_path / "authority")


@pytest.fixture(params=["local", "aws"])
def service(request: pytest.FixtureRequest, authority: LocalAuthority) -> Iterator[CredentialsService]:
    if request.param == "local":
        yield LocalCredentials(authority, "sgmp", "broker.example:8883")
        return
    aws: LocalAws = request.getfixturevalue("aws")
    aws.client("iot").create_policy(policyName=edge_policy("sgmp"), policyDocument="{}")
    yield IotCore(aws.settings(), "sgmp")


def test_the_pi_installs_what_the_console_shows(service: CredentialsService, tmp_path: Path) -> None:
    shown = contract.dump_credentials(service.issue(7))
    (tmp_path / "shown.json").write_text(shown)
    assert install_certs.main([str(tmp_path / "shown.json"), "--home", str(tmp_path)]) == 0
    installed = contract.parse_credentials((tmp_path / "credentials.json").read_text())
    assert (installed.client_id, installed.house_id, installed.deployment) == ("sgmp_house_7", 7, "sgmp")
    assert installed.endpoint
    assert max(map(len, shown.splitlines())) < contract.MAX_TERMINAL_LINE
    assert {"certificatePem", "keyPair", "certificateId"} <= json.loads(shown).keys()


def test_a_house_can_have_several_until_others_are_revoked(service: CredentialsService) -> None:
    first, second = service.issue(7), service.issue(7)
    assert set(service.valid(7)) == {first.certificate_id, second.certificate_id}
    service.revoke_others(7, second.certificate_id)
    assert service.valid(7) == [second.certificate_id]


def test_houses_do_not_touch_each_other(service: CredentialsService) -> None:
    seven, seventy = service.issue(7), service.issue(70)
    assert service.houses() == {7, 70}
    service.remove(7)
    assert service.valid(7) == []
    assert service.valid(70) == [seventy.certificate_id]
    assert service.houses() == {70}
    assert seven.certificate_id != seventy.certificate_id


def test_removing_again_does_no_harm(service: CredentialsService) -> None:
    service.remove(7)
    service.issue(7)
    service.remove(7)
    service.remove(7)
    assert service.houses() == set()


def test_no_private_key_is_shown_by_accident(service: CredentialsService) -> None:
    issued = service.issue(7)
    assert issued.private_key_pem.splitlines()[1] not in f"{issued!r} {issued} {service!r}"


def test_the_private_key_never_goes_to_aws(aws: LocalAws) -> None:
    aws.client("iot").create_policy(policyName=edge_policy("sgmp"), policyDocument="{}")
    IotCore(aws.settings(), "sgmp").issue(7)
    assert "RegisterCertificateWithoutCA" in aws.calls
    assert not {"CreateKeysAndCertificate", "CreateCertificateFromCsr"} & set(aws.calls)


def test_a_computer_without_aws_credentials_is_said(aws: LocalAws) -> None:
    unknown = aws.settings(named_profile="no-such-profile")
    with pytest.raises(AwsNotConfigured, match="no-such-profile"):
        IotCore(unknown, "sgmp").ready()


def test_two_processes_issue_from_one_authority(authority: LocalAuthority, tmp_path: Path) -> None:
    other = LocalAuthority(tmp_path / "authority")
    ours, theirs = authority.issue("sgmp_house_1"), other.issue("sgmp_house_2")
    authority.revoke(theirs.fingerprint)
    assert (other.valid("sgmp_house_1"), other.valid("sgmp_house_2")) == ([ours.fingerprint], [])


def test_an_authority_that_can_not_be_written_issues_nothing(
    authority: LocalAuthority, tmp_path: Path
) -> None:
    (tmp_path / "authority" / "issued.json.new").mkdir()  # stands for a full or read-only disk, for root too
    with pytest.raises(AuthorityUnwritable, match="Make the folder writable"):
        authority.issue("sgmp_house_1")
    assert authority.valid("sgmp_house_1") == []
