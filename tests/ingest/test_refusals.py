"""Houses that flood are refused in the broker's access list, for a while each."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sgmp_console.ingest.refusals import Refusals

pytestmark = pytest.mark.expected_warnings(
    "floods: the broker refuses", "the broker's access list .* can't be changed"
)


BASE = "pattern write sgmp_read/%u/+/+/+/data\nuser sgmp_ingest\ntopic read sgmp_read/#\n"


@pytest.fixture
def access_list(tmp_path: Path) -> Path:
    file = tmp_path / "acl"
    file.write_text(BASE)
    return file


def test_a_house_that_floods_stands_in_the_list_and_the_broker_reads_it(access_list: Path) -> None:
    read = access_list.with_name("read")
    reload = [sys.executable, "-c", f"open({str(read)!r}, 'a').write('x')"]
    refusing = Refusals("sgmp", access_list, reload)
    assert refusing.look([]) == []
    assert access_list.read_text() == BASE
    assert refusing.look(["sgmp_house_7"]) == ["sgmp_house_7"]
    assert access_list.read_text().removeprefix(BASE).splitlines()[1:] == [
        "user sgmp_house_7",
        "topic deny sgmp_read/sgmp_house_7/+/+/+/+",
    ]
    assert refusing.look([]) == ["sgmp_house_7"]
    assert read.read_text() == "x"


def test_its_time_ends_and_is_longer_the_next_time(
    access_list: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("sgmp_console.ingest.refusals.time.monotonic", lambda: now[0])
    refusing = Refusals("sgmp", access_list)
    refusing.look(["sgmp_house_7"])
    now[0] += 301
    assert refusing.look([]) == []
    assert access_list.read_text() == BASE
    refusing.look(["sgmp_house_7"])
    now[0] += 301
    assert refusing.look([]) == ["sgmp_house_7"]


def test_what_an_earlier_ingest_left_is_taken_out(access_list: Path) -> None:
    Refusals("sgmp", access_list).look(["sgmp_house_7"])
    Refusals("sgmp", access_list).look([])
    assert access_list.read_text() == BASE


@pytest.mark.parametrize("sender", ["sgmp_ingest", "other_house_7", "sgmp_house_7\nuser sgmp_console", ""])
def test_nobody_but_a_house_of_this_deployment_is_refused(access_list: Path, sender: str) -> None:
    assert Refusals("sgmp", access_list).look([sender]) == []
    assert access_list.read_text() == BASE


@pytest.mark.parametrize("content", [None, b"\xff"], ids=["no file", "not UTF-8"])
def test_a_list_that_can_not_be_changed_is_logged_and_tried_again(
    access_list: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    access_list.unlink()
    if content is not None:
        access_list.write_bytes(content)
    refusing = Refusals("sgmp", access_list)
    refusing.look(["sgmp_house_7"])
    assert "can't be changed" in caplog.text
    access_list.write_text(BASE)
    refusing.look([])
    assert "deny" in access_list.read_text()
