"""Whether this computer reaches all that a connection profile names, step by step, for whoever enters one.

Each step says what it found, or which part failed and what to do. Nothing is changed anywhere.
"""

from __future__ import annotations

import datetime
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sgmp_console.cloud.checking import NotAsNeeded, Step, step
from sgmp_console.errors import SgmpError
from sgmp_console.fleet import deployment
from sgmp_console.settings import Profile
from sgmp_console.store import Database, SignInRefused, login_name, server_version
from sgmp_console.store.connecting import connect, is_this_machine, parameters_of

_TIMEOUT_S = 8.0
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@dataclass(frozen=True)
class _Place:
    """One of the places where the database may be. `name` is what its certificate must be for."""

    name: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


def steps(
    profile: Profile, email: str = "", password: str = "", *, smtp_password: str = ""
) -> Iterator[Step]:
    """One Step after the other, as they are looked at; each may take seconds.

    With `email` and `password` it signs in, which alone tells the database's version and what is in it.
    """
    try:
        parameters = parameters_of(profile.database_url)
    except SgmpError as error:
        yield Step("Database address", False, str(error), "Correct the database address.")
        return
    places = _places(parameters)
    reached = not places
    for place in places:
        for one in _place_steps(place, parameters):
            yield one
            ok = one.ok is not False
            if not ok:
                break
        else:
            reached = True
    if not reached:
        yield Step("Database", None, "Not looked at: it is not reached.")
    elif email and password:
        yield from _signed_in(profile, email, password)
    else:
        yield step("Database", lambda: _answers(profile))
        yield Step(
            "Deployment",
            None,
            "Not looked at: enter email and password on the sign-in page, then test again.",
        )
    yield from deployment.outside(profile, smtp_password)


def _places(parameters: dict[str, str]) -> list[_Place]:
    """Those that are reached over a network; sockets of this machine need no looking at."""
    hosts, addresses = parameters["host"].split(","), parameters["hostaddr"].split(",")
    ports = parameters.get("port", "5432").split(",")
    found = []
    for number in range(max(len(hosts), len(addresses))):
        host = hosts[number] if number < len(hosts) else ""
        address = addresses[number] if number < len(addresses) else ""
        port = ports[number] if number < len(ports) else ports[-1]
        if (host or address) and not host.startswith(("/", "@")):
            found.append(_Place(host or address, address or host, int(port or 5432)))
    return found


def _place_steps(place: _Place, parameters: dict[str, str]) -> Iterator[Step]:
    def resolve() -> str:
        try:
            found = socket.getaddrinfo(place.address, place.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NotAsNeeded(
                f"{place.address} is not known ({error.strerror or error}).",
                "Check the name in the database address, and this computer's network.",
            ) from error
        return f"{place.name} is {', '.join(sorted({str(one[4][0]) for one in found}))}."

    def open_port() -> str:
        try:
            socket.create_connection((place.address, place.port), _TIMEOUT_S).close()
        except OSError as error:
            raise NotAsNeeded(
                f"{place} does not answer ({error.strerror or error}).",
                "Check that the database runs, its port, and that no firewall is between.",
            ) from error
        return f"{place} is open."

    yield step(f"Name of {place.name}", resolve)
    yield step(f"Port {place.port} of {place.name}", open_port)
    if is_this_machine(parameters):
        yield Step(f"TLS of {place.name}", None, "Not needed: the database is on this computer.")
    else:
        yield step(f"TLS of {place.name}", lambda: _tls(place, parameters))


def _tls(place: _Place, parameters: dict[str, str]) -> str:
    authority = parameters.get("sslrootcert", "")
    try:
        context = ssl.create_default_context(cafile=authority if authority not in ("", "system") else None)
    except (OSError, ssl.SSLError) as error:
        raise NotAsNeeded(
            f"The authority's file {authority} can't be used.", "Correct `sslrootcert` in the address."
        ) from error
    try:
        with socket.create_connection((place.address, place.port), _TIMEOUT_S) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) != b"S":
                raise NotAsNeeded(
                    f"{place} offers no TLS, so no password is sent to it.",
                    "Turn TLS on at the database server (ssl = on).",
                )
            with context.wrap_socket(plain, server_hostname=place.name) as secured:
                certificate = secured.getpeercert() or {}
                ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
                until = datetime.datetime.fromtimestamp(ends, datetime.UTC)
                return f"{secured.version()}, with a certificate for {place.name} until {until:%Y-%m-%d}."
    except ssl.SSLCertVerificationError as error:
        raise NotAsNeeded(
            f"The certificate of {place} can't be trusted ({error.verify_message}).",
            "Use the name that the certificate is for. If it is from a private authority, name its file in "
            "`sslrootcert` at the end of the database address.",
        ) from error
    except OSError as error:
        raise NotAsNeeded(
            f"{place} ended the connection ({error.strerror or error}).",
            "Check that it is a PostgreSQL server.",
        ) from error


def _answers(profile: Profile) -> str:
    try:
        connect({**parameters_of(profile.database_url), "user": "sgmp_check", "password": "none"}).close()
    except SignInRefused:
        return "It answers and asks for a password."
    raise NotAsNeeded("It lets anybody in, whoever they say they are.", "Set scram-sha-256 in pg_hba.conf.")


def _signed_in(profile: Profile, email: str, password: str) -> Iterator[Step]:
    opened: list[Database] = []

    def enter() -> str:
        user = login_name(profile.deployment, email)
        opened.append(
            Database.connect(profile.database_url, user=user, password=password, application="sgmp-test")
        )
        with opened[0].begin() as connection:
            version = server_version(connection)
        return f"PostgreSQL {version} accepts {email}."

    def look() -> str:
        return deployment.schema(opened[0], profile.deployment)

    yield step(
        "Database",
        enter,
        "Check the database's name in the address, the deployment's name, email and password.",
    )
    try:
        if opened:
            yield step("Deployment", look)
    finally:
        for database in opened:
            database.dispose()
