"""How a connection to the database is made: addresses, TLS, time-outs, and what a refusal means."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import certifi
import psycopg2
import psycopg2.extensions

from sgmp_console.errors import UserError
from sgmp_console.store.errors import AccountDisabled, DatabaseUnavailable, SignInRefused

CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_MS = 60_000
LOCK_TIMEOUT_MS = 10_000

# A server that vanished without a word (pulled cable, dead router) is noticed after about half a minute.
_LIVENESS = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}

SCRAM_ONLY = {"require_auth": "scram-sha-256"} if psycopg2.extensions.libpq_version() >= 160_000 else {}
"""So that no server, ours or not, gets a password in clear. Older libraries have no such option."""

# WORKAROUND https://github.com/psycopg/psycopg/issues/1188: an attempt to connect that fails has no SQLSTATE. A server
# whose `lc_messages` is another language is reported as not reached, with its own text.
_REFUSED = re.compile(
    r"password authentication failed|authentication failed for user"
    r"|no password supplied|role \"[^\"]*\" does not exist|permission denied for database"
)
_DISABLED = re.compile(r"is not permitted to log in")
"""Said only to who gave the right password."""

_AS_IT_IS = {
    "gssencmode": ("disable",),
    "service": ("",),
    "servicefile": ("",),
    "ssl_min_protocol_version": ("TLSv1.2", "TLSv1.3"),
}
"""What parameters of an address may say, beside `sslmode`, where it leads to other machines: anything else could lead
elsewhere than it says, or make less of TLS."""


def parameters_of(url: str, *, user: str | None = None, password: str | None = None) -> dict[str, str]:
    """libpq's parameters for an address such as `postgresql://h1,h2:5433/sgmp?target_session_attrs=primary`.

    Adds TLS with a verified certificate unless all hosts are this machine. Raises UserError for an address that
    can't be read or that asks for less.
    """
    given = _parsed(url)
    if given is None:
        raise UserError("The database address can't be read. It looks like postgresql://host:5432/database.")
    # Named even where they are empty: the environment and service files then have no say in where this leads.
    parameters = {"dbname": "sgmp", "host": "", "hostaddr": "", **_LIVENESS, **given}
    if user is not None:
        parameters |= {"user": user, **SCRAM_ONLY}
    if password is not None:
        parameters["password"] = password
    if not is_this_machine(parameters):
        if parameters.setdefault("sslmode", "verify-full") != "verify-full":
            raise UserError(
                "Databases on other machines are reached with TLS and a verified certificate only: remove `sslmode` "
                "from the database address. If the server's certificate is from a private authority, name its file "
                "in `sslrootcert`."
            )
        for name, allowed in _AS_IT_IS.items():
            if given.get(name, allowed[0]) not in allowed:
                raise UserError(
                    f"Remove `{name}` from the database address: databases on other machines are reached with TLS as it "
                    "is, at the hosts that the address names."
                )
        # Kerberos' own encryption would be tried before TLS, and would stand in its place.
        parameters["gssencmode"] = "disable"
        if "sslrootcert" not in parameters and not (Path.home() / ".postgresql" / "root.crt").exists():
            parameters["sslrootcert"] = certifi.where()
    return parameters


def _parsed(url: str) -> dict[str, str] | None:
    """None for what is no address. Nothing is raised: the driver's exception quotes the text, passwords included."""
    try:
        return dict(psycopg2.extensions.parse_dsn(url))
    except psycopg2.ProgrammingError:
        return None


def dsn_of(parameters: Mapping[str, str], **settings: Any) -> str:
    """libpq's connection string. `settings` are server settings for the session (`statement_timeout=60000`)."""
    options = [parameters.get("options", ""), *(f"-c {name}={value}" for name, value in settings.items())]
    return psycopg2.extensions.make_dsn(
        **{"connect_timeout": str(CONNECT_TIMEOUT_S), **parameters, "options": " ".join(options).strip()}
    )


def connect(parameters: Mapping[str, str], **settings: Any) -> psycopg2.extensions.connection:
    """A new connection. Raises DatabaseUnavailable, SignInRefused."""
    try:
        connection: psycopg2.extensions.connection = psycopg2.connect(dsn_of(parameters, **settings))
    except psycopg2.OperationalError as error:
        text = str(error)
        if _DISABLED.search(text):
            raise AccountDisabled from None
        if _REFUSED.search(text):
            raise SignInRefused from None
        raise DatabaseUnavailable(_sentence(text)) from None
    connection.set_client_encoding("UTF8")
    return connection


def _sentence(text: str) -> str:
    """libpq's account of a failed attempt in one line: it names hosts and reasons, never the password."""
    # Without the indented hint, a question about the server.
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("\t", " "))]
    sentence = "; ".join(lines[:2]).rstrip(".?") or "no connection"
    if "certificate verify failed" in text:
        sentence += (
            ". If the server's certificate is from a private authority, add its file to the database address: "
            "?sslrootcert=/path/ca.crt"
        )
    return sentence


def is_this_machine(parameters: Mapping[str, str]) -> bool:
    """Whether all that libpq may try is: for each place its address, where it has one, else its name."""
    hosts, addresses = parameters["host"].split(","), parameters["hostaddr"].split(",")
    places = zip_longest(hosts, addresses, fillvalue="")
    return all(_is_loopback((address or host).strip()) for host, address in places)


def _is_loopback(host: str) -> bool:
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
