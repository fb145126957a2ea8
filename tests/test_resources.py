"""Resources are found in the repository, and in a program installed from its wheel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sgmp_console.fleet import passwords
from sgmp_console.resources import resource

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(
    path.relative_to(ROOT / "resources").as_posix()
    for path in (ROOT / "resources").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel would install."""
    dist = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist)]
    result = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = dist.glob("*.whl")
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def test_the_user_pool_has_the_rules_for_passwords_that_accounts_of_the_database_have() -> None:
    policy = json.loads(resource("aws/user_pool.json").read_text("utf-8"))["Policies"]["PasswordPolicy"]
    assert policy["MinimumLength"] == passwords.MIN_LENGTH
    identity = (ROOT / "sgmp_console" / "store" / "sql" / "identity.sql").read_text("utf-8")
    (days,) = re.findall(r"password_set_at < now\(\) - interval '(\d+) days'", identity)
    assert policy["TemporaryPasswordValidityDays"] == int(days)
    text = (ROOT / "docs" / "access.md").read_text("utf-8")
    assert f"An initial password is good for {days} days" in text
    assert f"at least {passwords.MIN_LENGTH} characters" in text


def test_a_name_of_the_repository_is_found() -> None:
    assert resource("required_analytics.toml").is_file()


def test_a_missing_name_is_told() -> None:
    with pytest.raises(FileNotFoundError, match=r"no/such\.svg"):
        resource("no/such.svg")


def test_an_installed_program_finds_every_resource_in_its_own_package(installed: Path) -> None:
    code = (
        "import sys; from sgmp_console.resources import resource;"
        "print(*(resource(name) for name in sys.argv[1:]), sep='\\n')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *NAMES],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        str(installed / "sgmp_console" / "_resources" / name) for name in NAMES
    ]


def test_an_installed_program_has_the_migrations_and_the_edge(installed: Path) -> None:
    sources = [*(ROOT / "alembic").rglob("*.py"), *(ROOT / "sgmp_edge").rglob("*")]
    wanted = {
        path.relative_to(ROOT).as_posix().replace("alembic/", "sgmp_console/_alembic/", 1)
        for path in sources
        if path.is_file() and "__pycache__" not in path.parts
    }
    present = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert wanted <= present
