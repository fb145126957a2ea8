"""What lets a house's edge into the broker: one small interface for all that keep certificates.

Its acts can be repeated: what is there already is left as it is, and what is gone already is not an error. So an act that
failed half-way, or whose answer was lost, is undone or finished by calling the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sgmp_console.errors import SgmpError, Unavailable
from sgmp_edge.contract import ContractError, HouseCredentials, client_id, house_id_of

if TYPE_CHECKING:
    from sgmp_console.cloud.local_ca import LocalAuthority


class CredentialsService(Protocol):
    """Makes and revokes the credentials of the houses of one deployment.

    Each method raises Unavailable (no answer; it may have been done) and Refused. They block, for some seconds at most:
    call them on a worker thread.
    """

    def ready(self) -> None:
        """See whether credentials can be made at all; changes nothing."""

    def issue(self, house_id: int) -> HouseCredentials:
        """New credentials, valid when this returns, beside any older ones. Nothing of them is left if it raises."""

    def valid(self, house_id: int) -> list[str]:
        """The ids of the certificates that let this house in, the oldest first."""

    def revoke_others(self, house_id: int, keep: str | None) -> None:
        """Revoke and remove all certificates of the house but the one with the id `keep`."""

    def remove(self, house_id: int) -> None:
        """Revoke all certificates of the house, and remove what else is kept of it."""

    def houses(self) -> set[int]:
        """The houses of which anything is kept."""

    def what_remains(self, house_id: int) -> str:
        """What `remove` takes away, in words for the operator."""


@dataclass(frozen=True)
class LocalCredentials:
    """Credentials from our own authority, for our own Mosquitto at `endpoint` (`host:port`).

    The broker refuses what was revoked once it has read the revocation list again: see resources/mosquitto.
    """

    authority: LocalAuthority
    deployment: str
    endpoint: str

    def ready(self) -> None:
        self.authority.names()

    def issue(self, house_id: int) -> HouseCredentials:
        before = set(self.valid(house_id))
        try:
            issued = self.authority.issue(client_id(self.deployment, house_id))
        except SgmpError as error:
            self._undo(house_id, before, error)
            raise
        return issued.for_house(self.deployment, house_id, self.endpoint)

    def valid(self, house_id: int) -> list[str]:
        return self.authority.valid(client_id(self.deployment, house_id))

    def revoke_others(self, house_id: int, keep: str | None) -> None:
        for fingerprint in self.valid(house_id):
            if fingerprint != keep:
                self.authority.revoke(fingerprint)

    def remove(self, house_id: int) -> None:
        self.revoke_others(house_id, None)

    def _undo(self, house_id: int, before: set[str], cause: SgmpError) -> None:
        """Revoke what was issued nevertheless, as on a network's file system whose answer was lost; nobody has its key.

        Raises Unavailable where that fails, too.
        """
        try:
            for fingerprint in set(self.valid(house_id)) - before:
                self.authority.revoke(fingerprint)
        except SgmpError as error:
            raise Unavailable(
                f"{cause} A certificate may have been issued that could not be revoked ({error}); nobody has its key."
            ) from cause

    def houses(self) -> set[int]:
        return houses_among(self.deployment, self.authority.names())

    def what_remains(self, house_id: int) -> str:
        return f"valid certificates of {client_id(self.deployment, house_id)} in the local authority"


def houses_among(deployment: str, clients: set[str]) -> set[int]:
    """The houses of those client ids that are houses' of this deployment."""
    found = set()
    for client in clients:
        try:
            found.add(house_id_of(deployment, client))
        except ContractError:
            continue  # a service's, or another deployment's
    return found
