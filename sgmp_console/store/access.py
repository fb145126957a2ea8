"""PostgreSQL roles of a deployment: how they are called, and the ones that every deployment has.

Roles belong to the whole server, so the deployment is part of each name. Access itself is in `sql/`.
"""

from __future__ import annotations

import hashlib
import re

import psycopg2.extensions
import sqlalchemy as sa
from psycopg2 import sql

from sgmp_console.errors import UserError
from sgmp_console.store.rows import driver
from sgmp_console.store.tables.access import installation
from sgmp_edge import contract


def checked_deployment(deployment: str) -> str:
    """Raises UserError for a name that can't stand in topics, thing names and role names."""
    if not contract.is_deployment(deployment):
        raise UserError(
            "A deployment's name starts with a letter and holds at most 32 letters A-Z, digits and underscores."
        )
    return deployment


def deployment_name(connection: sa.Connection) -> str:
    """The deployment that this database belongs to."""
    chosen = sa.select(installation.c.value).where(installation.c.key == "deployment")
    return str(connection.execute(chosen).scalar_one())


def authority_of(connection: sa.Connection) -> str | None:
    """The fingerprint of the certificate authority whose server uses this database; None: none has said so."""
    chosen = sa.select(installation.c.value).where(installation.c.key == "authority")
    return connection.execute(chosen).scalar_one_or_none()


def set_authority(connection: sa.Connection, fingerprint: str) -> None:
    """As the database's owner."""
    connection.execute(
        sa.text(
            "INSERT INTO sgmp.installation VALUES ('authority', :fingerprint)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        ),
        {"fingerprint": fingerprint},
    )


def accounts_role(deployment: str) -> str:
    """The group that all accounts of the deployment are in; nobody signs in as it."""
    return f"{checked_deployment(deployment)}_accounts"


def ingest_role(deployment: str) -> str:
    """The role that ingest signs in as; it has no password until `set_ingest_password`."""
    return f"{checked_deployment(deployment)}_ingest"


def watch_role(deployment: str) -> str:
    """The role that the watch signs in as; it has no password until `set_watch_password`."""
    return f"{checked_deployment(deployment)}_watch"


def normal_email(email: str) -> str:
    """As accounts are kept and compared. Raises UserError."""
    email = email.strip()
    if not re.fullmatch(r"[!-?A-~]+@[!-?A-~]+", email) or len(email) > 254:
        raise UserError(
            "An email address looks like name@example.org; letters beyond A-Z can't be used here."
        )
    return email.lower()


def login_name(deployment: str, email: str) -> str:
    """The PostgreSQL role of an account; the same as the database function of this name.

    A hash, since every role of a server sees the names of all others: 96 bits, so that no two emails meet.
    """
    email = normal_email(email)
    return f"{checked_deployment(deployment)}:{hashlib.sha256(email.encode('ascii')).hexdigest()[:24]}"


def verifier(connection: sa.Connection, password: str, login: str) -> str:
    """What the database keeps in place of a password (SCRAM-SHA-256), computed here: no password crosses the wire."""
    return psycopg2.extensions.encrypt_password(password, login, driver(connection), "scram-sha-256")


def prepare_roles(connection: psycopg2.extensions.connection, deployment: str) -> None:
    """Make the deployment's own roles. As the database's owner. Raises UserError."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper OR rolcreaterole, current_database() FROM pg_roles WHERE rolname = current_user"
        )
        can_create, database = _row(cursor)
        for name, login in (
            (accounts_role(deployment), "NOLOGIN"),
            (ingest_role(deployment), "LOGIN"),
            (watch_role(deployment), "LOGIN"),
        ):
            mark = f"SGMP deployment {deployment} in database {database}"
            cursor.execute(
                "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", (name,)
            )
            found = cursor.fetchone()
            if found is not None and found[0] != mark:
                raise UserError(
                    f"The server has a role {name} that belongs to something else ({found[0] or 'unknown'}). Choose "
                    "another deployment name: roles are shared by all databases of a server."
                )
            if found is not None:
                continue
            if not can_create:
                raise UserError(
                    "Migrations need a database user that may create roles (CREATEROLE): each account is one."
                )
            cursor.execute(sql.SQL("CREATE ROLE {} " + login).format(sql.Identifier(name)))
            cursor.execute(
                sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(name), sql.Literal(mark))
            )
        cursor.execute(
            sql.SQL(
                "REVOKE ALL ON DATABASE {database} FROM PUBLIC;"
                # Open to everybody in databases that began before PostgreSQL 15.
                "REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
                "GRANT CONNECT ON DATABASE {database} TO {accounts};"
                # For the temporary table of a batch that repeats what is stored.
                "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {ingest};"
                "GRANT {accounts} TO {watch}"
            ).format(
                database=sql.Identifier(database),
                accounts=sql.Identifier(accounts_role(deployment)),
                ingest=sql.Identifier(ingest_role(deployment)),
                watch=sql.Identifier(watch_role(deployment)),
            )
        )


def set_ingest_password(connection: sa.Connection, deployment: str, password: str) -> None:
    """Let ingest sign in with `password`. As the database's owner."""
    _set_password(connection, ingest_role(deployment), password)


def set_watch_password(connection: sa.Connection, deployment: str, password: str) -> None:
    """Let the watch sign in with `password`. As the database's owner."""
    _set_password(connection, watch_role(deployment), password)


def _set_password(connection: sa.Connection, role: str, password: str) -> None:
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
        sql.Identifier(role), sql.Literal(verifier(connection, password, role))
    )
    with driver(connection).cursor() as cursor:
        cursor.execute(statement)


def _row(cursor: psycopg2.extensions.cursor) -> tuple[bool, str]:
    row = cursor.fetchone()
    if row is None:
        raise RuntimeError("the server does not know its own user")
    return bool(row[0]), str(row[1])
