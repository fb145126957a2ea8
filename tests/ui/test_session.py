"""The signed-in session and what it opens when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from sgmp_console.cloud.local_ca import AuthorityDamaged, LocalAuthority
from sgmp_console.settings import Profile
from sgmp_console.ui.session import Session

PROFILE = Profile("Pilot", "postgresql://localhost/sgmp")


def session(profile: Profile) -> Session:
    """Without a database and an account: neither is looked at here."""
    return Session(profile, None, None)  # type: ignore[arg-type]


def test_the_cloud_is_opened_once_by_the_first_that_asks(tmp_path: Path) -> None:
    LocalAuthority(tmp_path)
    opened = session(replace(PROFILE, authority=str(tmp_path)))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: opened.cloud(), range(32)))
    assert len({id(one) for one in found}) == 1
    assert found[0].credentials is not None


def test_a_cloud_that_can_not_be_opened_is_reported_and_tried_again(tmp_path: Path) -> None:
    opened = session(replace(PROFILE, authority=str(tmp_path / "authority")))
    with pytest.raises(AuthorityDamaged):
        opened.cloud()
    LocalAuthority(tmp_path / "authority")
    assert opened.cloud().credentials is not None


def test_each_session_has_services_of_its_own() -> None:
    assert session(PROFILE).cloud() is not session(PROFILE).cloud()


def test_opening_the_cloud_loads_neither_boto3_nor_awscrt() -> None:
    code = (
        "import sys; from sgmp_console.settings import Profile; from sgmp_console.ui.session import Session;"
        "Session(Profile('a', 'postgresql://h/d', region='eu-central-1', user_pool_id='eu-central-1_a',"
        " user_pool_client_id='c', broker_host='b', broker_cert='c'), None, None).cloud();"
        "sys.exit(sorted({'boto3', 'botocore', 'awscrt'} & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
