"""Whether a database is reached, is who it should be, and was migrated for this deployment."""

from __future__ import annotations

import datetime
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sgmp_console.diagnosis.steps import NotAsNeeded, Step, step
from sgmp_console.store import Database, SignInRefused, migrations
from sgmp_console.store.connecting import connect, is_this_machine, parameters_of

_TIMEOUT_S = 8.0
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@dataclass(frozen=True)
class Place:
    """One of the places where the database may be. `name` is what its certificate must be for."""

    name: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


def places(parameters: dict[str, str]) -> list[Place]:
    """Those that are reached over a network; sockets of this machine need no looking at."""
    hosts, addresses = parameters["host"].split(","), parameters["hostaddr"].split(",")
    ports = parameters.get("port", "5432").split(",")
    found = []
    for number in range(max(len(hosts), len(addresses))):
        host = hosts[number] if number < len(hosts) else ""
        address = addresses[number] if number < len(addresses) else ""
        port = ports[number] if number < len(ports) else ports[-1]
        if (host or address) and not host.startswith(("/", "@")):
            found.append(Place(host or address, address or host, int(port or 5432)))
    return found


def place_steps(place: Place, parameters: dict[str, str]) -> Iterator[Step]:
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


def _tls(place: Place, parameters: dict[str, str]) -> str:
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


def answers(url: str) -> str:
    """Whether a database answers, to whom nobody signs in. Raises NotAsNeeded, DatabaseUnavailable."""
    try:
        connect({**parameters_of(url), "user": "sgmp_check", "password": "none"}).close()
    except SignInRefused:
        return "It answers and asks for a password."
    raise NotAsNeeded("The server accepts any user without a password.", "Set scram-sha-256 in pg_hba.conf.")


def schema(database: Database, deployment: str) -> str:
    """What the database was migrated to. Raises NotAsNeeded."""
    with database.begin() as connection:
        state = migrations.state(connection)
    if state is None:
        raise NotAsNeeded("The database has no tables of SGMP.", "Run `sgmp-console migrate` as its owner.")
    if state.deployment != deployment:
        raise NotAsNeeded(
            f"The database belongs to deployment {state.deployment}, not {deployment}.",
            "Correct the profile.",
        )
    if not state.is_current:
        raise NotAsNeeded(
            f"The database was made by another version of SGMP (migration {state.revision}).",
            "Run `sgmp-console migrate` of the newest version as its owner, and use that version everywhere.",
        )
    where = " on TimescaleDB" if state.timescale else ""
    return f"It is up to date (migration {state.revision}), for deployment {deployment}{where}."
