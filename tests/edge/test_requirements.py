"""requirements.txt: small, pinned, whole, and the versions that the tests run with."""

from __future__ import annotations

import re
from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sgmp_edge.contract import EDGE_FOLDER
from tests.edge.chaos.house import ROOT

WANTED = {
    Requirement(line).name: line.partition("==")[2]
    for line in (EDGE_FOLDER / "requirements.txt").read_text().splitlines()
    if not line.startswith("#")
}


def needs(name: str) -> set[str]:
    """What a distribution needs on this machine, itself included."""
    found: set[str] = {canonicalize_name(name)}
    for text in requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found |= needs(requirement.name)
    return found


def test_every_requirement_is_pinned_to_the_version_that_is_tested() -> None:
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert {name: locked[name] for name in WANTED} == WANTED


def test_the_list_is_whole_and_holds_nothing_else() -> None:
    direct = {"awsiotsdk", "cryptography", "defusedxml", "requests"}
    assert set().union(*map(needs, direct)) == WANTED.keys()


def test_nothing_heavy_is_among_them() -> None:
    assert not {"numpy", "pandas", "boto3"} & WANTED.keys()
