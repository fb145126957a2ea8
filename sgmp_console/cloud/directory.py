"""The directory of users: who can sign in, as the database's accounts alone or with a Cognito user pool beside them.

The database's accounts decide what somebody may. A user pool holds the same users with the same passwords, for what
else signs in with it; the console keeps both alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class DirectoryUser:
    """A user as the directory knows them. `house_id` None: no house of their own."""

    email: str
    name: str
    role: str
    house_id: int | None
    enabled: bool = True
    must_change_password: bool = True


class Directory(Protocol):
    """Each method raises Unavailable (no answer; it may have been done), Refused and UserError; they block for seconds.

    What is there already, or gone already, is not an error.
    """

    @property
    def mails(self) -> bool:
        """Whether it mails the initial password by itself."""

    def add(self, user: DirectoryUser, password: str) -> None:
        """Make a user who must change `password` at the first sign-in. Nothing of them is left if it raises."""

    def find(self, email: str) -> DirectoryUser | None: ...

    def list_all(self) -> list[DirectoryUser]: ...

    def update(self, user: DirectoryUser) -> None:
        """Set name, role, house and whether they can sign in."""

    def set_temporary_password(self, email: str, password: str) -> None:
        """Set a password that must be changed at the next sign-in."""

    def change_own_password(self, email: str, old: str, new: str) -> None:
        """In the user's own name. Raises UserError where `old` is wrong or `new` breaks the directory's rules."""

    def remove(self, email: str) -> None: ...


class LocalDirectory:
    """No directory beside the database's accounts: nothing is to be done."""

    mails = False

    def add(self, user: DirectoryUser, password: str) -> None:
        """See Directory."""

    def find(self, email: str) -> DirectoryUser | None:
        return None

    def list_all(self) -> list[DirectoryUser]:
        return []

    def update(self, user: DirectoryUser) -> None:
        """See Directory."""

    def set_temporary_password(self, email: str, password: str) -> None:
        """See Directory."""

    def change_own_password(self, email: str, old: str, new: str) -> None:
        """See Directory."""

    def remove(self, email: str) -> None:
        """See Directory."""
