"""Who is signed in, and to what."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from sgmp_console.environment import SMTP_PASSWORD
from sgmp_console.keychain import Keychain, KeychainUnavailable
from sgmp_console.settings import Profile

if TYPE_CHECKING:
    # The database libraries are loaded while the operator types a password, not before the window is there; those of
    # the cloud when something is asked of it.
    from sgmp_console.cloud.services import Services
    from sgmp_console.store import Database
    from sgmp_console.store.accounts import Account


log = logging.getLogger(__name__)


class _Cloud:
    """The services of one session, once they were asked for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.services: Services | None = None


@dataclass(frozen=True)
class Session:
    profile: Profile
    database: Database
    account: Account
    keychain: Keychain | None = None
    """Where the mail server's password is; None: nowhere."""
    ask_mail_password: Callable[[Profile, str], str] | None = None
    """Asks the operator for it and says why; on worker threads. None: nobody is there to ask."""
    _cloud: _Cloud = field(default_factory=_Cloud, init=False, repr=False, compare=False)

    def may(self, permission: str) -> bool:
        """Whether to offer it. What the account may do is enforced by the database, not here."""
        return permission in self.account.permissions

    def cloud(self) -> Services:
        """What the profile names beside the database: opened once, at the first call. Nothing is contacted yet.

        On worker threads, any number of them: it reads files and loads libraries. Raises SgmpError where the profile's
        files can't be used; the next call tries again.
        """
        with self._cloud.lock:
            if self._cloud.services is None:
                from sgmp_console.cloud.services import open_services

                ask = self.ask_mail_password
                self._cloud.services = open_services(
                    self.profile,
                    smtp_password=self._mail_password(),
                    ask_smtp_password=partial(ask, self.profile) if ask is not None else None,
                )
            return self._cloud.services

    def _mail_password(self) -> str:
        try:
            kept = (self.keychain and self.keychain.mail_password(self.profile)) or ""
        except KeychainUnavailable as error:
            # The rest of the cloud does without; it is asked for when something is to be mailed.
            log.warning("%s", error)
            kept = ""
        return kept or os.environ.get(SMTP_PASSWORD, "")

    def close(self) -> None:
        """Leave it: connections that are not in use are closed now, others when they are returned."""
        self.database.dispose()
