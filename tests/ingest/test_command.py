"""`sgmp-console ingest` refuses what would lose messages, before it connects."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgmp_console import cli


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, group: str) -> int:
    monkeypatch.setenv("SGMP_DATABASE_URL", "postgresql://ingest:secret@127.0.0.1:1/none")
    return cli.main(
        [
            *("ingest", "--broker", "127.0.0.1:1", "--share-group", group),
            *("--broker-cert", str(tmp_path / "none.crt"), "--broker-key", str(tmp_path / "none.key")),
        ]
    )


@pytest.mark.parametrize("group", ["sgmp", "ingest", "a" * 40, "with/slash" * 4, "+" * 30, "0" * 23])
def test_a_share_group_that_can_be_guessed_is_refused(
    group: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path, group) == 1
    assert "could be guessed" in capsys.readouterr().err


def test_missing_credentials_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path, "7c1f0a9be24d83564f1e9bd2") == 1
    assert "none.crt" in capsys.readouterr().err
