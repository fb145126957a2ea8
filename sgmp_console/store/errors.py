"""What can go wrong between us and the database, as sentences for the operator."""

from __future__ import annotations

from sgmp_console.errors import Conflict, Unavailable, UserError


class DatabaseUnavailable(Unavailable):
    """The database does not answer, is restarting, is overloaded, or took too long."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The database is not available: {why}.")


class SignInRefused(UserError):
    """Wrong or expired password, or no such account. Which one is not said, so that accounts can't be probed."""

    def __init__(
        self,
        text: str = "The database refused the sign-in. Check email and password; an administrator can reset the "
        "password.",
    ) -> None:
        super().__init__(text)


class SignedOut(SignInRefused):
    """In the middle of a session."""

    def __init__(self) -> None:
        super().__init__(
            "You were signed out: the account was deleted, or its password was changed or reset. Sign in again with the "
            "current password, or ask an administrator."
        )


class AccountDisabled(SignInRefused):
    """The password is right."""

    def __init__(self) -> None:
        super().__init__("This account is disabled. An administrator can enable it again.")


class PasswordExpired(SignInRefused):
    """An initial password that was not changed in time. StatusText only after the right password."""

    def __init__(self) -> None:
        super().__init__(
            "The initial password has expired. An administrator can reset it, which makes a new one."
        )


class ChangedMeanwhile(Conflict):
    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was changed or deleted by somebody else meanwhile. Nothing was overwritten: look at the "
            "current state and make the change again."
        )


class OtherSchema(UserError):
    """Tables or functions are missing, as in a database that was migrated for another version."""

    def __init__(self) -> None:
        super().__init__(
            "The database was set up for another version of SGMP than this. An administrator can bring it up to date with "
            "sgmp-console migrate; where it is newer, install that version."
        )


class StatementFailed(Exception):
    """A statement the database can't make sense of, or data that broke one of its rules: our bug.

    Stands in for the driver's exception, whose text can quote whole rows, and with them secrets.
    """

    def __init__(self, sqlstate: str | None, message: str, constraint: str | None = None) -> None:
        super().__init__(f"SQLSTATE {sqlstate}: {message}")
        self.sqlstate = sqlstate
        self.constraint = constraint

    @property
    def is_about_schema(self) -> bool:
        """Whether a column (SQLSTATE 42703), function (42883) or table (42P01) is missing."""
        return self.sqlstate in ("42703", "42883", "42P01")

    @property
    def is_about_data(self) -> bool:
        """Whether the data is at fault (SQLSTATE class 22, data exception, or 23, constraint), not the database."""
        return self.sqlstate is not None and self.sqlstate[:2] in ("22", "23")
