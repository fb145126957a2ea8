"""Making accounts."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from sgmp_console.errors import UserError
from sgmp_console.store import Account, Database, accounts

ADMIN = "admin"

_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without characters that look alike: an initial password may have to be read out."""

_GROUPS, _GROUP_LENGTH = 4, 5


@dataclass(frozen=True)
class NewAccount:
    """`initial_password` is known only here, and must be changed at the first sign-in."""

    account: Account
    initial_password: str = field(repr=False)


def create(database: Database, *, email: str, name: str, role: str, house_id: int | None) -> NewAccount:
    """Make an account with an initial password of 116 random bits.

    Raises UserError (email or name can't be used, email taken, no such role or house), Refused.
    """
    if not name.strip():
        raise UserError("An account needs the name of its user.")
    password = initial_password()
    with database.begin() as connection:
        account = accounts.create(
            connection, email=email, name=name.strip(), role=role, house_id=house_id, password=password
        )
    return NewAccount(account, password)


def create_first_admin(database: Database, *, email: str, name: str) -> NewAccount:
    """Make the administrator that a new deployment begins with, as the database's owner.

    Raises UserError where there is one already: whoever lost a password has it reset instead.
    """
    with database.begin() as connection:
        present = [account.email for account in accounts.list_all(connection) if account.role == ADMIN]
    if present:
        raise UserError(
            f"This deployment has an administrator already: {', '.join(present)}. Reset that account's password "
            "instead."
        )
    return create(database, email=email, name=name, role=ADMIN, house_id=None)


def initial_password() -> str:
    """A password from a cryptographic source, in groups that can be read out."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
    return "-".join(groups)
