"""Passwords in a keyring: only in a real one, each for its own server, and failures told without secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.errors
import pytest
from keyring.backends import SecretService

from sgmp_console import keychain
from sgmp_console.keychain import Keychain, KeychainUnavailable
from sgmp_console.settings import Profile

PILOT = Profile("Pilot", "postgresql://db.example.org/sgmp", smtp_host="mail.example.org", smtp_sender="a@b")
ELSEWHERE = Profile("Pilot", "postgresql://db.example.com/sgmp")
EMAIL = "ann@example.org"
SECRET = "s3cret-of-Ann"


class Memory(keyring.backend.KeyringBackend):
    """A keyring that forgets everything with the process. `locked`: it refuses."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check(password)
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        del self.kept[service, username]

    def _check(self, about: str = "") -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked(f"can't store {about}")


@pytest.fixture
def backend() -> Memory:
    return Memory()


@pytest.fixture
def chosen() -> Iterator[None]:
    """Leaves this process's choice of a keyring as it was."""
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


def test_a_password_is_kept_and_forgotten(backend: Memory) -> None:
    chain = Keychain(backend)
    assert chain.sign_in_password(PILOT, EMAIL) is None
    chain.keep_sign_in_password(PILOT, EMAIL, SECRET)
    assert chain.sign_in_password(PILOT, EMAIL) == SECRET
    chain.forget_sign_in_password(PILOT, EMAIL)
    chain.forget_sign_in_password(PILOT, EMAIL)
    assert backend.kept == {}


def test_a_profile_pointed_elsewhere_does_not_take_the_password_along(backend: Memory) -> None:
    chain = Keychain(backend)
    chain.keep_sign_in_password(PILOT, EMAIL, SECRET)
    assert chain.sign_in_password(ELSEWHERE, EMAIL) is None


def test_the_mail_servers_password_is_another_one(backend: Memory) -> None:
    chain = Keychain(backend)
    mailing = replace(PILOT, smtp_user=EMAIL)
    chain.keep_sign_in_password(mailing, EMAIL, SECRET)
    assert chain.mail_password(mailing) is None
    chain.keep_mail_password(mailing, "other")
    assert chain.mail_password(mailing) == "other"
    assert chain.mail_password(PILOT) is None


def test_a_locked_keyring_is_told_without_the_password(backend: Memory) -> None:
    backend.locked = True
    with pytest.raises(KeychainUnavailable, match="KeyringLocked") as told:
        Keychain(backend).keep_sign_in_password(PILOT, EMAIL, SECRET)
    assert SECRET not in f"{told.value!r} {told.value.__cause__!r}"
    assert told.value.__suppress_context__


@pytest.mark.parametrize("backend", [keyring.backends.fail.Keyring(), Memory()])
def test_what_is_no_real_keyring_is_not_offered(
    chosen: None, backend: keyring.backend.KeyringBackend
) -> None:
    keyring.set_keyring(backend)
    assert keychain.of_this_computer() is None


def test_the_systems_own_is(chosen: None) -> None:
    keyring.set_keyring(SecretService.Keyring())
    assert keychain.of_this_computer() is not None


@pytest.mark.parametrize(
    "backend_name", ["keyrings.alt.file.PlaintextKeyring", "", "keyring.backends.SecretService.Keyring"]
)
def test_a_keyring_that_cannot_be_loaded_is_none_at_all(backend_name: str) -> None:
    """As PYTHON_KEYRING_BACKEND may name it; the library decides once in a process, so it gets one of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "DBUS_SESSION_BUS_ADDRESS"}
    program = "from sgmp_console import keychain; print(keychain.of_this_computer())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "PYTHON_KEYRING_BACKEND": backend_name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr
