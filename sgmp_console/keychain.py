"""Passwords in the operating system's keyring, if one is available. Blocking; call from worker threads.

A password is kept for the very server that it was given to, so that a connection profile pointed at another one can't
take it along.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from sgmp_console.errors import Unavailable
from sgmp_console.settings import Profile

log = logging.getLogger(__name__)

_REAL = frozenset(
    f"keyring.backends.{name}" for name in ("macOS", "Windows", "SecretService", "libsecret", "kwallet")
)
"""Those that the operating system encrypts. Others, such as files, never get a password of ours."""


class KeychainUnavailable(Unavailable):
    """The keyring is locked, or fails. Nothing else does."""


class Backend(Protocol):
    """What is used of a backend of the `keyring` library."""

    def get_password(self, service: str, username: str) -> str | None: ...

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


class Keychain:
    """Each method raises KeychainUnavailable."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def sign_in_password(self, profile: Profile, email: str) -> str | None:
        return self._get(_database(profile), email)

    def keep_sign_in_password(self, profile: Profile, email: str, password: str) -> None:
        self._keep(_database(profile), email, password)

    def mail_password(self, profile: Profile) -> str | None:
        """None also where the mail server asks for no user."""
        if not profile.smtp_user:
            return None
        return self._get(_mail(profile), profile.smtp_user)

    def keep_mail_password(self, profile: Profile, password: str) -> None:
        """Empty: forget it."""
        self._keep(_mail(profile), profile.smtp_user, password)

    def forget_sign_in_password(self, profile: Profile, email: str) -> None:
        self._keep(_database(profile), email, "")

    def _get(self, service: str, user: str) -> str | None:
        with _unavailable("read"):
            return self._backend.get_password(service, user)

    def _keep(self, service: str, user: str, password: str) -> None:
        with _unavailable("written"):
            if password:
                self._backend.set_password(service, user, password)
            elif self._backend.get_password(service, user) is not None:
                self._backend.delete_password(service, user)


def of_this_computer() -> Keychain | None:
    """None where there is no real keyring, its user has turned keyrings off, or the chosen one can't be loaded."""
    try:
        import keyring

        chosen = keyring.get_keyring()
        for backend in [chosen, *getattr(chosen, "backends", [])]:
            if type(backend).__module__ in _REAL:
                return Keychain(backend)
    except Exception as error:  # noqa: BLE001 - loading a backend runs libraries of the system, which raise anything
        log.warning("No keyring can be used (%s: %s)", type(error).__name__, error)
    return None


def _database(profile: Profile) -> str:
    return f"SGMP {profile.deployment} at {profile.database_url}"


def _mail(profile: Profile) -> str:
    return f"SGMP mail at {profile.smtp_host}:{profile.smtp_port}"


@contextmanager
def _unavailable(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - its backends raise whatever their system's libraries do
        # Their texts are not quoted, and the cause is left out: they could hold what was to be kept.
        raise KeychainUnavailable(
            f"The keyring of this computer can't be {what} ({type(error).__name__}). Unlock it, or type the password "
            "each time."
        ) from None
