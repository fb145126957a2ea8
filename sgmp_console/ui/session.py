"""Who is signed in, and to what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgmp_console.settings import Profile

if TYPE_CHECKING:
    # The database libraries are loaded while the operator types a password, not before the window is there.
    from sgmp_console.store.accounts import Account
    from sgmp_console.store.database import Database


@dataclass(frozen=True)
class Session:
    profile: Profile
    database: Database
    account: Account

    def may(self, permission: str) -> bool:
        """Whether to offer it. What the account may do is enforced by the database, not here."""
        return permission in self.account.permissions
