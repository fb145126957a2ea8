"""The certificate authority of an installation without AWS: it lets houses and services into its own broker.

One folder holds the authority: `ca.crt`, `ca.key` (0600), `revoked.pem` (the revocation list that the broker reads)
and `issued.json` (serial, fingerprint, name and expiry of each certificate, no keys). The private keys of what it
issues are handed out once and kept nowhere. An authority made elsewhere, as with openssl, is a folder with the first two.

Certificates of houses last as long as AWS IoT Core's own do, for decades: nothing renews a Pi's certificate, so a short
life would take houses off line that nobody visits. What ends a certificate is the revocation list.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from filelock import FileLock, Timeout

from sgmp_console.errors import SgmpError, Unavailable, UserError
from sgmp_console.files import write_atomic
from sgmp_edge.contract import HouseCredentials, client_id

_AUTHORITY_DAYS = 30 * 365
_CERTIFICATE_DAYS = 20 * 365  # see above; never longer than the authority's
_CLOCK_SLACK = datetime.timedelta(days=1)  # a Pi's or broker's clock may be behind ours
_MAX_COMMON_NAME = 64
_LOCK_TIMEOUT_S = 10.0

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_MIN_RSA_BITS = 2048


class UnknownCertificate(UserError):
    def __init__(self) -> None:
        super().__init__("This authority has not issued that certificate, so it can't revoke it.")


class AuthorityDamaged(SgmpError):
    def __init__(self, folder: Path, reason: str = "") -> None:
        self.reason = reason
        super().__init__(
            f"The certificate authority in {folder} can't be used{reason and ': '}{reason}. If it was in use, restore the "
            "folder from a backup: without its key, every house needs new credentials."
        )


class _Unusable(ValueError):
    """What is wrong with an authority's files, as the end of a sentence."""


class AuthorityExpired(UserError):
    def __init__(self, folder: Path, ended: datetime.datetime) -> None:
        super().__init__(
            f"The certificate authority in {folder} ended on {ended:%Y-%m-%d}, so it can't issue anything. Renew its "
            "certificate with the same key, and give brokers and edges the new one."
        )


class AuthorityUnwritable(Unavailable):
    """Nothing was issued or revoked."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"The certificate authority in {folder} can't be written ({reason}). Make the folder writable for you and "
            "see that its disk has room, then try again."
        )


@dataclass(frozen=True)
class Credentials:
    """A certificate with its keys. `private_key_pem` is a secret: it is not part of the repr, never log it."""

    common_name: str
    certificate_pem: str
    private_key_pem: str
    public_key_pem: str
    ca_pem: str
    fingerprint: str
    """SHA-256 of the certificate, lower-case hex: all that is kept of it."""

    def __repr__(self) -> str:
        return f"Credentials(common_name={self.common_name!r}, fingerprint={self.fingerprint!r}, ...)"

    def for_house(self, deployment: str, house_id: int, endpoint: str) -> HouseCredentials:
        """What the operator pastes on the house's Pi. `endpoint`: the broker, `host:port`."""
        return HouseCredentials(
            certificate_pem=self.certificate_pem,
            private_key_pem=self.private_key_pem,
            public_key_pem=self.public_key_pem,
            root_ca_pem=self.ca_pem,
            endpoint=endpoint,
            client_id=client_id(deployment, house_id),
            house_id=house_id,
            deployment=deployment,
            certificate_id=self.fingerprint,
        )


class LocalAuthority:
    """Opens the authority in `folder`, or founds it there. Raises AuthorityDamaged.

    Several processes may have it open (a console, the demo's supervisor): a change waits for another's to end, and
    begins from what that one left.
    """

    def __init__(
        self, folder: Path, *, name: str = "SGMP local authority", patience_s: float = _LOCK_TIMEOUT_S
    ) -> None:
        """`patience_s`: for how long a change waits for another process's to end."""
        self._folder = folder
        self._lock = FileLock(folder / "lock", timeout=patience_s)
        self.certificate_file = folder / "ca.crt"
        self.revocation_file = folder / "revoked.pem"
        self._key_file = folder / "ca.key"
        self._issued_file = folder / "issued.json"
        try:
            if not self._key_file.exists():
                folder.mkdir(parents=True, exist_ok=True)
                with self._lock:
                    if not self._key_file.exists():
                        self._require_unfounded()
                        self._create(name)
            self._open()
        except _Unusable as error:
            raise AuthorityDamaged(folder, str(error)) from error
        except (OSError, ValueError) as error:
            raise AuthorityDamaged(folder) from error

    @property
    def ca_pem(self) -> str:
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def issue(self, common_name: str) -> Credentials:
        """A client certificate. The broker takes the common name as the user that the access list knows."""
        return self._issue(common_name, ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def issue_server(self, names: Sequence[str]) -> Credentials:
        """A broker's certificate, valid for these host names and IP addresses; the first is its common name."""
        return self._issue(names[0], ExtendedKeyUsageOID.SERVER_AUTH, names)

    def revoke(self, fingerprint: str) -> None:
        """Put a certificate on the revocation list; doing it twice does no harm.

        The broker refuses it at its next connection once it has read the list again (Mosquitto: SIGHUP).
        Raises UnknownCertificate.
        """
        with self._changing() as issued:
            found = next((row for row in issued if row["fingerprint"] == fingerprint), None)
            if found is None:
                raise UnknownCertificate
            if found["revoked"] is None:
                found["revoked"] = _now().isoformat()
                self._save_issued(issued)
            # Also when it was there: the last attempt may have ended between the two files.
            self._write_revocations(issued)

    def valid(self, common_name: str) -> list[str]:
        """The fingerprints of the certificates of this name that the broker lets in, oldest first."""
        return [row["fingerprint"] for row in self._let_in() if row["common_name"] == common_name]

    def names(self) -> set[str]:
        """The common names of all that the broker lets in."""
        return {row["common_name"] for row in self._let_in()}

    def _let_in(self) -> list[dict[str, Any]]:
        """What is neither expired nor on the revocation list, which alone counts: the broker knows nothing else."""
        try:
            revoked = {
                entry.serial_number for entry in x509.load_pem_x509_crl(self.revocation_file.read_bytes())
            }
        except (OSError, ValueError) as error:
            raise AuthorityDamaged(self._folder) from error
        now = _now()
        return [
            row
            for row in self._read_issued()
            if int(row["serial"]) not in revoked and datetime.datetime.fromisoformat(row["expires"]) > now
        ]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[dict[str, Any]]]:
        """The certificates issued so far, while nobody else changes them. Raises AuthorityUnwritable."""
        try:
            with self._lock:
                yield self._read_issued()
        except Timeout as error:
            raise AuthorityUnwritable(self._folder, "another program holds it") from error
        except OSError as error:
            raise AuthorityUnwritable(self._folder, error.strerror or type(error).__name__) from error

    def _read_issued(self) -> list[dict[str, Any]]:
        try:
            issued: list[dict[str, Any]] = json.loads(self._issued_file.read_text("utf-8"))
            for row in issued:
                _check_row(row)
        except OSError as error:
            raise AuthorityDamaged(self._folder) from error
        except (ValueError, TypeError, KeyError) as error:
            reason = "issued.json is not the list of its certificates"
            raise AuthorityDamaged(self._folder, reason) from error
        return issued

    def _require_unfounded(self) -> None:
        """Without its key an authority is lost, and must not be replaced by another in silence. A founding that was cut
        off left a list of nothing."""
        founded = bool(self._read_issued()) if self._issued_file.exists() else self.certificate_file.exists()
        if founded:
            raise _Unusable("ca.key, its private key, is missing")

    def _open(self) -> None:
        self._certificate = _authority_certificate(self.certificate_file)
        self._key = _private_key(self._key_file)
        if self._key.public_key() != self._certificate.public_key():
            raise _Unusable("ca.key is not the key of ca.crt")
        if not self._issued_file.exists():
            if self.revocation_file.exists():
                raise _Unusable("issued.json, the list of its certificates, is missing")
            self._adopt()
        issued = self._read_issued()
        if not self.revocation_file.exists():
            self._write_revocations(issued)

    def _adopt(self) -> None:
        """Begin the lists of an authority that was made elsewhere."""
        with self._lock:
            if not self._issued_file.exists():
                self._save_issued([])

    def _create(self, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._key = key
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = (
            _builder(subject, subject, key.public_key(), _now() + datetime.timedelta(days=_AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        self._save_issued([])
        self._write_revocations([])
        _write(self.certificate_file, self.ca_pem.encode("ascii"))
        _write(self._key_file, _key_pem(key), secret=True)  # last: its presence says that all is there

    def _issue(self, common_name: str, usage: x509.ObjectIdentifier, names: Sequence[str]) -> Credentials:
        if not 1 <= len(common_name) <= _MAX_COMMON_NAME:
            raise ValueError(f"a common name has 1 to {_MAX_COMMON_NAME} characters")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        authority_ends = self._certificate.not_valid_after_utc
        if authority_ends <= _now():
            raise AuthorityExpired(self._folder, authority_ends)
        ends = min(_now() + datetime.timedelta(days=_CERTIFICATE_DAYS), authority_ends)
        builder = (
            _builder(subject, self._certificate.subject, key.public_key(), ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if names:
            alternatives = x509.SubjectAlternativeName([_alternative_name(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
        with self._changing() as issued:
            issued.append(
                {
                    "common_name": common_name,
                    "fingerprint": fingerprint,
                    "serial": str(certificate.serial_number),
                    "expires": certificate.not_valid_after_utc.isoformat(),
                    "revoked": None,
                }
            )
            self._save_issued(issued)
        return Credentials(
            common_name=common_name,
            certificate_pem=certificate.public_bytes(serialization.Encoding.PEM).decode("ascii"),
            private_key_pem=_key_pem(key).decode("ascii"),
            public_key_pem=key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode("ascii"),
            ca_pem=self.ca_pem,
            fingerprint=fingerprint,
        )

    def _save_issued(self, issued: list[dict[str, Any]]) -> None:
        _write(self._issued_file, json.dumps(issued, indent=1).encode("utf-8"))

    def _write_revocations(self, issued: list[dict[str, Any]]) -> None:
        # Of several lists it holds, OpenSSL follows the one dated last, to the second: two within a second must
        # still differ, and none may lie in the future.
        dated = _now() - _CLOCK_SLACK
        if self.revocation_file.exists():
            previous = x509.load_pem_x509_crl(self.revocation_file.read_bytes()).last_update_utc
            dated = max(dated, previous + datetime.timedelta(seconds=1))
        # A list past its next update makes the broker refuse everybody, so it lasts as long as the authority.
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(dated)
            .next_update(self._certificate.not_valid_after_utc)
        )
        for row in issued:
            if row["revoked"] is not None:
                builder = builder.add_revoked_certificate(
                    x509.RevokedCertificateBuilder()
                    .serial_number(int(row["serial"]))
                    .revocation_date(datetime.datetime.fromisoformat(row["revoked"]))
                    .build()
                )
        revocations = builder.sign(self._key, hashes.SHA256())
        _write(self.revocation_file, revocations.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, ends: datetime.datetime
) -> x509.CertificateBuilder:
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(ends)
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _check_row(row: Any) -> None:
    """Of issued.json. Raises ValueError, TypeError, KeyError."""
    if not all(isinstance(row[key], str) for key in ("common_name", "fingerprint")):
        raise TypeError
    int(row["serial"])
    for key in ("expires", "revoked"):
        if row[key] is not None or key == "expires":
            datetime.datetime.fromisoformat(row[key])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # "BEGIN EC PRIVATE KEY": the one form that awscrt takes on every system.
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _authority_certificate(file: Path) -> x509.Certificate:
    """Raises _Unusable where it can't issue what a broker takes."""
    if not file.exists():
        raise _Unusable("ca.crt, its certificate, is missing (a PEM file of that name)")
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError:
        raise _Unusable("ca.crt is not a certificate in PEM form") from None
    try:
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    if not is_authority:
        raise _Unusable("ca.crt is not the certificate of an authority (basicConstraints CA:TRUE)")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return certificate  # then all is allowed
    if not (usage.key_cert_sign and usage.crl_sign):
        raise _Unusable(
            "ca.crt may not sign certificates and revocation lists (keyUsage keyCertSign, cRLSign)"
        )
    return certificate


def _private_key(file: Path) -> _Key:
    """Raises _Unusable."""
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except TypeError:
        raise _Unusable(
            "ca.key is encrypted; decrypt it (openssl pkey -in ca.key -out ca.key), and let only its owner read it"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _Unusable("ca.key is not a private key in PEM form") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _MIN_RSA_BITS:
        raise _Unusable(f"ca.key has {key.key_size} bits; an RSA key needs {_MIN_RSA_BITS}")
    if not isinstance(key, _Key):
        raise _Unusable("ca.key is neither an elliptic curve nor an RSA key")
    return key


def _write(path: Path, data: bytes, *, secret: bool = False) -> None:
    """Brokers, which run as other users, read the rest."""
    write_atomic(path, data, mode=0o600 if secret else 0o644)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)
