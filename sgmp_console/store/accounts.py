"""Accounts: who may sign in. Each is a PostgreSQL login role, made and changed by functions in the database."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store.access import deployment_name, login_name, normal_email, verifier
from sgmp_console.store.connecting import parameters_of
from sgmp_console.store.database import Database
from sgmp_console.store.errors import AccountDisabled, ChangedMeanwhile, PasswordExpired, SignInRefused
from sgmp_console.store.tables.access import account as table
from sgmp_console.store.tables.access import role as role_table
from sgmp_console.store.tables.access import role_permission

# What accounts read.
_view = sa.table("accounts", *(sa.column(c.name, c.type) for c in table.c), schema="sgmp")


@dataclass(frozen=True)
class Account:
    """`house_id` is the one house of an account whose permissions lack `all_houses`."""

    account_id: int
    email: str
    name: str
    role: str
    house_id: int | None
    permissions: frozenset[str]
    enabled: bool = True
    must_change_password: bool = False
    revision: int = 1


def sign_in(url: str, deployment: str, email: str, password: str) -> tuple[Database, Account]:
    """The database as this account sees it; `url` names neither user nor password.

    Notes the sign-in in the audit. Raises DatabaseUnavailable, SignInRefused (AccountDisabled and PasswordExpired among
    them), UserError (the address can't be read).
    """
    try:
        login = login_name(deployment, email)
    except UserError:
        raise SignInRefused from None
    database = Database.connect(url, user=login, password=password)
    try:
        with database.begin() as connection:
            account = current(connection)
            connection.exec_driver_sql("SELECT sgmp.note_sign_in()")
            return database, account
    except BaseException:
        database.dispose()
        raise


def connect(url: str, deployment: str) -> Database:
    """The database as whom the address names: one of the server's roles, or an account by its email.

    In an address @ is written %40: `postgresql://ada%40example.org:password@host/sgmp`. Raises as `sign_in`.
    """
    given = parameters_of(url)
    if "@" not in given.get("user", ""):
        return Database.connect(url)
    database, account = sign_in(url, deployment, given["user"], given.get("password", ""))
    if account.must_change_password:
        database.dispose()
        raise UserError(
            f"{account.email} still has its initial password. Sign in with the window and choose another."
        )
    return database


def current(connection: sa.Connection) -> Account:
    """The account of this connection. Raises SignInRefused for a PostgreSQL role that is none, or no longer.

    While `must_change_password` it has no permissions, and sees nothing.
    """
    row = connection.exec_driver_sql(
        "SELECT account_id, email, name, role, house_id, permissions, enabled, must_change_password, revision,"
        " expired FROM sgmp.me()"
    ).one_or_none()
    if row is None:
        raise SignInRefused
    if not row.enabled:
        raise AccountDisabled
    if row.expired:
        raise PasswordExpired
    return Account(
        row.account_id,
        row.email,
        row.name,
        row.role,
        row.house_id,
        frozenset(row.permissions),
        row.enabled,
        row.must_change_password,
        row.revision,
    )


def list_all(connection: sa.Connection) -> list[Account]:
    """The accounts that the caller may see (always the own one), in order of email."""
    return [_account(row) for row in connection.execute(_select().order_by(_view.c.email))]


def get(connection: sa.Connection, account_id: int) -> Account:
    """Raises UserError where there is none, or none that the account sees."""
    row = connection.execute(_select().where(_view.c.account_id == account_id)).one_or_none()
    if row is None:
        raise UserError("There is no such account. It may have been deleted.")
    return _account(row)


def create(
    connection: sa.Connection,
    *,
    email: str,
    name: str,
    role: str,
    house_id: int | None,
    password: str,
    must_change_password: bool = True,
) -> Account:
    """Make an account and its login. Raises UserError (email taken, no such role or house), Refused."""
    email = normal_email(email)
    account_id = connection.execute(
        sa.text("SELECT sgmp.create_account(:email, :name, :role, :house, :verifier, :must_change)"),
        {
            "email": email,
            "name": name,
            "role": role,
            "house": house_id,
            "verifier": verifier(connection, password, login_name(deployment_name(connection), email)),
            "must_change": must_change_password,
        },
    ).scalar_one()
    return get(connection, account_id)


def update(connection: sa.Connection, account: Account) -> Account:
    """Store name, role, house and whether it is enabled; a disabled account's sessions end.

    Raises ChangedMeanwhile where `account` is stale, UserError for the last administrator, Refused.
    """
    revision = connection.execute(
        sa.text("SELECT sgmp.update_account(:account, :seen, :name, :role, :house, :enabled)"),
        {
            "account": account.account_id,
            "seen": account.revision,
            "name": account.name,
            "role": account.role,
            "house": account.house_id,
            "enabled": account.enabled,
        },
    ).scalar_one()
    if revision is None:
        raise ChangedMeanwhile(f"Account {account.email}")
    return get(connection, account.account_id)


def delete(connection: sa.Connection, account_id: int) -> None:
    """Delete the account and its login; its sessions end.

    Raises UserError for the last administrator and for the account that is signed in, Refused.
    """
    connection.execute(sa.text("SELECT sgmp.delete_account(:account)"), {"account": account_id})


def reset_password(connection: sa.Connection, account_id: int, password: str) -> None:
    """Set an account's password, to be changed at its next sign-in; its sessions end. Raises UserError, Refused."""
    account = get(connection, account_id)
    login = login_name(deployment_name(connection), account.email)
    connection.execute(
        sa.text("SELECT sgmp.reset_password(:account, :verifier)"),
        {"account": account_id, "verifier": verifier(connection, password, login)},
    )


def change_own_password(connection: sa.Connection, password: str) -> None:
    """Raises Refused where the connection is no account's, or the initial password has expired."""
    login = connection.exec_driver_sql("SELECT session_user::text").scalar_one()
    connection.execute(
        sa.text("SELECT sgmp.set_own_password(:verifier)"),
        {"verifier": verifier(connection, password, login)},
    )


def _select() -> sa.Select[tuple[object, ...]]:
    permissions = (
        sa.select(sa.func.array_agg(role_permission.c.permission))
        .where(role_permission.c.role_id == _view.c.role_id)
        .scalar_subquery()
    )
    return sa.select(
        _view.c.account_id,
        _view.c.email,
        _view.c.name,
        role_table.c.name.label("role"),
        _view.c.house_id,
        permissions.label("permissions"),
        _view.c.enabled,
        _view.c.must_change_password,
        _view.c.revision,
    ).join_from(_view, role_table, role_table.c.role_id == _view.c.role_id)


def _account(row: sa.Row[tuple[object, ...]]) -> Account:
    values = row._asdict()
    return Account(**{**values, "permissions": frozenset(values["permissions"] or ())})
