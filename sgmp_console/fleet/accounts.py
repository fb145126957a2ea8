"""Making, changing and deleting accounts: in the database, in the directory of users beside it, and by mail.

The database decides what an account may; the directory (a Cognito user pool, or none) holds the same users with the same
passwords. The transaction stays open while the directory and the mail server are spoken to and is committed last. Where
a step fails, what was done elsewhere is undone, and the error says whether that succeeded.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import sqlalchemy as sa

from sgmp_console.cloud.directory import Directory, DirectoryUser, LocalDirectory
from sgmp_console.cloud.mail import Mailer
from sgmp_console.errors import SgmpError, UserError
from sgmp_console.fleet import passwords
from sgmp_console.fleet.failures import error_context, with_message
from sgmp_console.fleet.outside import outside
from sgmp_console.store import Account, Database, accounts, deployment_name

ADMIN = "admin"

LOCAL = LocalDirectory()

_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without characters that look alike: an initial password may have to be read out."""

_GROUPS, _GROUP_LENGTH = 4, 5


@dataclass(frozen=True)
class NewAccount:
    """`initial_password` must be changed at the first sign-in. If it was not `mailed`, it is known only here."""

    account: Account
    initial_password: str = field(repr=False)
    mailed: bool = False


def create(
    database: Database,
    *,
    email: str,
    name: str,
    role: str,
    house_id: int | None,
    directory: Directory = LOCAL,
    mailer: Mailer | None = None,
) -> NewAccount:
    """Make an account with an initial password of 116 random bits, and mail it where that can be done.

    All or nothing. Raises UserError (email or name can't be used, email taken, no such role or house, address refused),
    Refused, Unavailable; each says where something was left behind.
    """
    if not name.strip():
        raise UserError("An account needs the name of its user.")
    password = initial_password()
    mails_itself = directory.mails
    if mailer is not None and not mails_itself:
        mailer.ready()
    mailed = mails_itself
    with outside(database, lambda connection: account.email in _there(connection)) as act:
        account = accounts.create(
            act.connection, email=email, name=name.strip(), role=role, house_id=house_id, password=password
        )
        act.failed = f"The account {account.email} was not created"
        act.unknown = f"If {account.email} is in the list, reset its password; else create it again."
        directory.add(user_of(account), password)
        act.undo(
            partial(directory.remove, account.email),
            lambda error: (
                f"Its user in the directory could not be removed ({error}); creating the account again "
                "replaces it."
            ),
        )
        if mails_itself:
            act.left = _MAIL_SENT
        elif mailer is not None:
            mailer.send_initial_password(
                account.email, account.name, deployment_name(act.connection), password
            )
            mailed, act.left = True, _MAIL_SENT
    return NewAccount(account, password, mailed)


def create_first_admin(
    database: Database,
    *,
    email: str,
    name: str,
    directory: Directory = LOCAL,
    mailer: Mailer | None = None,
) -> NewAccount:
    """Make the administrator that a new deployment begins with, as the database's owner.

    Raises UserError where there is one already: a lost password is reset instead.
    """
    with database.begin() as connection:
        present = [account.email for account in accounts.list_all(connection) if account.role == ADMIN]
    if present:
        raise UserError(
            f"This deployment has an administrator already: {', '.join(present)}. Reset that account's password "
            "instead."
        )
    return create(
        database, email=email, name=name, role=ADMIN, house_id=None, directory=directory, mailer=mailer
    )


def update(database: Database, account: Account, *, directory: Directory = LOCAL) -> Account:
    """Store name, role, house and whether it is enabled; a disabled account's sessions end.

    Raises ChangedMeanwhile where `account` is stale, UserError for the last administrator, Refused, Unavailable; the
    directory is set back to what it was then.
    """
    with outside(database, lambda connection: accounts.get(connection, account.account_id) == stored) as act:
        stored = accounts.update(act.connection, account)
        with error_context(f"The account {account.email} was not changed:"):
            found = directory.find(account.email)
            wanted = user_of(stored)
            if (
                found is not None
                and replace(found, must_change_password=wanted.must_change_password) != wanted
            ):
                act.undo(
                    partial(directory.update, found),
                    lambda error: (
                        f"The user in the directory may be changed already; change the account again: {error}"
                    ),
                )
                directory.update(wanted)
    return stored


def reset_password(
    database: Database, account_id: int, *, directory: Directory = LOCAL, mailer: Mailer | None = None
) -> NewAccount:
    """Give an account a new initial password, and mail it by `mailer`.

    Raises UserError, Refused, Unavailable. Where the directory or the mail failed the password may be set in one place
    only, and resetting it again makes it the same everywhere.
    """
    password = initial_password()
    mailed, begun = False, False
    if mailer is not None:
        mailer.ready()
    try:
        with database.begin() as connection:
            accounts.reset_password(connection, account_id, password)
            account = accounts.get(connection, account_id)
            begun = True
            if directory.find(account.email) is None:
                directory.add(user_of(account), password)
                mailed = directory.mails
            else:
                directory.set_temporary_password(account.email, password)
            if mailer is not None and not mailed:
                mailer.send_initial_password(
                    account.email, account.name, deployment_name(connection), password
                )
                mailed = True
    except SgmpError as error:
        if not begun:
            raise
        raise with_message(
            error,
            f"The password of {account.email} was not reset, or not everywhere: {error} Reset it again when that is "
            "repaired.",
        ) from error
    return NewAccount(account, password, mailed)


def change_own_password(
    database: Database, email: str, old: str, new: str, *, directory: Directory = LOCAL
) -> None:
    """Change the password of the account that `database` is signed in as, also at the first sign-in; other sessions end.

    Raises UserError where `old` is not the password, `new` can't be chosen (`fleet.passwords`) or the directory does
    not accept it, Refused (the initial one has expired), Unavailable; the password is the old one everywhere then, or the error says otherwise.
    """
    if not secrets.compare_digest(old.encode(), database.parameters.get("password", "").encode()):
        raise UserError("The current password is wrong. Enter the one that you signed in with.")
    changed = False
    with database.changing_password():
        try:
            with database.begin() as connection:
                if problem := passwords.problem(
                    new, email=email, name=accounts.current(connection).name, old=old
                ):
                    raise UserError(problem)
                accounts.change_own_password(connection, new)
                directory.change_own_password(email, old, new)
                changed = True
        except SgmpError as error:
            if not changed:
                raise
            if database.accepts(new):
                database.use_password(new)
                return  # committed; only the answer was lost
            with error_context(
                f"{error} The password is the new one in the directory of users, and may be the old one here. An "
                "administrator can reset it, which makes it the same everywhere again."
            ):
                directory.change_own_password(email, new, old)
            raise
        database.use_password(new)


def delete(database: Database, account_ids: Sequence[int], *, directory: Directory = LOCAL) -> str | None:
    """Delete accounts, all or none; their sessions end.

    Raises UserError (the last administrator, no such account), Refused, Unavailable: none is deleted then. Returns a
    sentence where users could not be removed from the directory afterwards: they can't sign in any more.
    """
    emails: list[str] = []
    with outside(database, lambda connection: _there(connection).isdisjoint(emails)) as act:
        for account_id in account_ids:
            emails.append(accounts.get(act.connection, account_id).email)
            accounts.delete(act.connection, account_id)
        with error_context("No account was deleted:"):
            # Disabling can be taken back, deleting can not.
            for email in emails:
                user = directory.find(email)
                if user is not None and user.enabled:
                    act.undo(partial(directory.update, user), partial(_still_disabled, email))
                    directory.update(replace(user, enabled=False))
    left: list[str] = []
    for email in emails:
        try:
            directory.remove(email)
        except SgmpError as error:
            left.append(f"{email} ({error})")
    return f"Left in the directory of users, disabled: {'; '.join(left)} Delete them there." if left else None


def initial_password() -> str:
    """A password from a cryptographic source, in groups that can be read out, with what password rules ask for."""
    while True:
        groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
        password = "-".join(groups)
        kinds = (str.islower, str.isupper, str.isdigit)
        if all(any(kind(character) for character in password) for kind in kinds):
            return password


def unlike_directory(database: Database, directory: Directory) -> list[str]:
    """Where accounts and the directory's users differ, as sentences; none where all is well.

    Raises Refused and Unavailable of the directory; needs an account that sees all others.
    """
    with database.begin() as connection:
        known = {account.email: user_of(account) for account in accounts.list_all(connection)}
    users = {user.email: user for user in directory.list_all()}
    found = [
        f"{email} has no user in the directory; reset the password to make one."
        for email in known.keys() - users
    ]
    found += [
        f"{email} is in the directory without an account here; delete that user there."
        for email in users.keys() - known
    ]
    for email in known.keys() & users.keys():
        here, there = known[email], users[email]
        for what, ours, theirs in (
            ("role", here.role, there.role),
            ("house", here.house_id, there.house_id),
            ("state (enabled)", here.enabled, there.enabled),
        ):
            if ours != theirs:
                found.append(
                    f"{email} has another {what} in the directory ({theirs}) than here ({ours}); save the account again."
                )
    return sorted(found)


def user_of(account: Account) -> DirectoryUser:
    """The user that stands for an account in a directory."""
    return DirectoryUser(
        account.email,
        account.name,
        account.role,
        account.house_id,
        account.enabled,
        account.must_change_password,
    )


_MAIL_SENT = "A mail with a password that does not work may have been sent."


def _still_disabled(email: str, error: SgmpError) -> str:
    return f"The user {email} may be disabled in the directory now; enable it there: {error}"


def _there(connection: sa.Connection) -> set[str]:
    """The emails of all accounts."""
    return {account.email for account in accounts.list_all(connection)}
