"""Fixtures of the local AWS, for the folders whose tests need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws import LocalAws, running_aws

PATIENT_S, IMPATIENT_S = 20.0, 2.0


@pytest.fixture(scope="session")
def aws_server() -> Iterator[LocalAws]:
    with running_aws() as aws:
        yield aws


@pytest.fixture
def aws(aws_server: LocalAws, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> LocalAws:
    """An empty AWS account, reached through a proxy that can fail.

    A busy machine must not look like a hanging server: only tests with the parameter `kind` "hang" are impatient.
    """
    for name, value in (("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing")):
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    aws_server.reset()
    call = getattr(request.node, "callspec", None)
    hangs = call is not None and call.params.get("kind") == "hang"
    aws_server.patience_s = IMPATIENT_S if hangs else PATIENT_S
    return aws_server
