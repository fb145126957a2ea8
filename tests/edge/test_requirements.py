"""requirements.txt: small, pinned, whole, and the versions that the tests run with."""

from __future__ import annotations

import re
from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sgmp_edge.contract import EDGE_FOLDER
from tests.edge.chaos.house import ROOT

TEXT = (EDGE_FOLDER / "requirements.txt").read_text()
PINNED = re.compile(r"^([a-z0-9-]+)==([^\s;]+)", re.MULTILINE)
WANTED = dict(PINNED.findall(TEXT))


def needs(name: str) -> set[str]:
    """What a distribution needs on this machine, itself included."""
    found: set[str] = {canonicalize_name(name)}
    for text in requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found |= needs(requirement.name)
    return found


def test_every_requirement_is_pinned_to_the_version_that_is_tested() -> None:
    locked = dict(PINNED.findall((ROOT / "requirements.lock").read_text()))
    assert {name: locked[name] for name in WANTED} == WANTED


def test_pip_takes_no_file_that_was_not_there_when_the_list_was_made() -> None:
    blocks = re.split(r"^(?=[a-z])", TEXT, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(WANTED)
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_list_names_no_host() -> None:
    assert "://" not in TEXT


def test_the_list_is_whole_and_holds_nothing_else() -> None:
    direct = {"awsiotsdk", "cryptography", "defusedxml", "requests", "urllib3"}
    assert set().union(*map(needs, direct)) == WANTED.keys()


def test_nothing_heavy_is_among_them() -> None:
    assert not {"numpy", "pandas", "boto3"} & WANTED.keys()
