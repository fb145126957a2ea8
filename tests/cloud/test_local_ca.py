"""The local certificate authority: what it issues, keeps and revokes."""

from __future__ import annotations

import datetime
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from sgmp_console.cloud.local_ca import (
    AuthorityDamaged,
    AuthorityUnwritable,
    LocalAuthority,
    UnknownCertificate,
)
from sgmp_edge import contract


@pytest.fixture
def authority(tmp_path: Path) -> LocalAuthority:
    return LocalAuthority(tmp_path / "authority")


def _certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def _revoked_serials(authority: LocalAuthority) -> set[int]:
    return {entry.serial_number for entry in x509.load_pem_x509_crl(authority.revocation_file.read_bytes())}


def test_a_certificate_names_the_house_and_belongs_to_its_key(authority: LocalAuthority) -> None:
    credentials = authority.issue("sgmp_house_7")
    certificate = _certificate(credentials.certificate_pem)
    key = serialization.load_pem_private_key(credentials.private_key_pem.encode(), password=None)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert [name.value for name in names] == ["sgmp_house_7"]
    assert key.public_key() == certificate.public_key()
    assert serialization.load_pem_public_key(credentials.public_key_pem.encode()) == certificate.public_key()


def test_a_house_can_not_pass_for_a_broker(authority: LocalAuthority) -> None:
    usage = _certificate(authority.issue("sgmp_house_7").certificate_pem).extensions
    assert list(usage.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    assert not usage.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_brokers_certificate_holds_for_its_names_only(authority: LocalAuthority) -> None:
    server = _certificate(authority.issue_server(["localhost", "127.0.0.1"]).certificate_pem)
    store = Store([_certificate(authority.ca_pem)])
    verifier = PolicyBuilder().store(store)
    verifier.build_server_verifier(x509.DNSName("localhost")).verify(server, [])
    with pytest.raises(VerificationError):
        verifier.build_server_verifier(x509.DNSName("elsewhere.example")).verify(server, [])


def test_a_certificate_is_valid_for_a_clock_that_is_behind(authority: LocalAuthority) -> None:
    certificate = _certificate(authority.issue("sgmp_house_7").certificate_pem)
    assert certificate.not_valid_before_utc <= datetime.datetime.now(datetime.UTC) - datetime.timedelta(
        hours=23
    )
    assert certificate.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + datetime.timedelta(
        days=15 * 365
    )


def test_the_authority_is_the_same_after_a_restart(authority: LocalAuthority, tmp_path: Path) -> None:
    before = authority.issue("sgmp_house_7")
    again = LocalAuthority(tmp_path / "authority")
    assert again.ca_pem == authority.ca_pem
    again.revoke(before.fingerprint)
    assert _revoked_serials(again) == {_certificate(before.certificate_pem).serial_number}


def test_a_revocation_list_replaces_the_one_before(authority: LocalAuthority) -> None:
    first, second = authority.issue("sgmp_house_1"), authority.issue("sgmp_house_2")
    dates = [x509.load_pem_x509_crl(authority.revocation_file.read_bytes()).last_update_utc]
    for credentials in (first, second):
        authority.revoke(credentials.fingerprint)
        dates.append(x509.load_pem_x509_crl(authority.revocation_file.read_bytes()).last_update_utc)
    assert _revoked_serials(authority) == {
        _certificate(credentials.certificate_pem).serial_number for credentials in (first, second)
    }
    # OpenSSL follows the list with the latest date, and none from the future.
    assert dates[0] < dates[1] < dates[2] < datetime.datetime.now(datetime.UTC)


def test_revoking_twice_does_no_harm_and_a_stranger_is_refused(authority: LocalAuthority) -> None:
    credentials = authority.issue("sgmp_house_7")
    authority.revoke(credentials.fingerprint)
    authority.revoke(credentials.fingerprint)
    assert len(_revoked_serials(authority)) == 1
    with pytest.raises(UnknownCertificate):
        authority.revoke("00" * 32)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_only_the_owner_reads_the_authoritys_key(authority: LocalAuthority, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        LocalAuthority(tmp_path / "other")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "other" / "ca.key").stat().st_mode) == 0o600


def test_private_keys_are_neither_kept_nor_shown(authority: LocalAuthority, tmp_path: Path) -> None:
    credentials = authority.issue("sgmp_house_7")
    secret = credentials.private_key_pem.splitlines()[1]
    assert secret not in repr(credentials)
    assert all(secret not in file.read_text() for file in (tmp_path / "authority").iterdir())


def test_a_damaged_authority_is_said_not_replaced(authority: LocalAuthority, tmp_path: Path) -> None:
    key = tmp_path / "authority" / "ca.key"
    key.write_text("")
    with pytest.raises(AuthorityDamaged, match="backup"):
        LocalAuthority(tmp_path / "authority")
    assert key.read_text() == ""


def test_the_credentials_of_a_house_are_what_the_pi_takes(authority: LocalAuthority) -> None:
    credentials = authority.issue("sgmp_house_7")
    text = contract.dump_credentials(credentials.for_house("sgmp", 7, "broker.example:8883"))
    assert json.loads(text)["keyPair"]["PrivateKey"] == credentials.private_key_pem
    parsed = contract.parse_credentials(text)
    assert (parsed.client_id, parsed.house_id, parsed.endpoint) == ("sgmp_house_7", 7, "broker.example:8883")
    assert parsed.root_ca_pem == authority.ca_pem


def test_an_authority_that_another_program_holds_is_said_in_time(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path, patience_s=0.1)
    issued = authority.issue("sgmp_house_1")
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(AuthorityUnwritable, match="another program holds it"):
            authority.issue("sgmp_house_2")
        with pytest.raises(AuthorityUnwritable, match="another program holds it"):
            authority.revoke(issued.fingerprint)
        holder.stdin.close()
        holder.wait(10)
    authority.revoke(issued.fingerprint)
    assert authority.names() == set()


_HOLD = """
import fcntl, sys
with open(sys.argv[1], "a+b") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print(flush=True)
    sys.stdin.read()
"""


_OPENSSL_KEYS = {
    "RSA": ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "elliptic curve": ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "elliptic curve with its parameters": ["ecparam", "-genkey", "-name", "prime256v1"],
}


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def _openssl_authority(folder: Path, key: list[str], *extensions: str) -> None:
    """As a page of instructions has it: two commands, and files of the names that we ask for."""
    _openssl(folder, *key, "-out", "ca.key")
    options = [option for extension in extensions for option in ("-addext", extension)]
    subject = ("-subj", "/O=Example/CN=Our own authority")
    _openssl(
        folder, "req", "-x509", "-new", "-key", "ca.key", "-days", "365", *subject, *options, "-out", "ca.crt"
    )


@pytest.mark.parametrize("key", _OPENSSL_KEYS.values(), ids=_OPENSSL_KEYS)
def test_an_authority_made_with_openssl_issues_and_revokes(tmp_path: Path, key: list[str]) -> None:
    _openssl_authority(tmp_path, key)
    authority = LocalAuthority(tmp_path)
    house = authority.issue("sgmp_house_7")
    (tmp_path / "house.crt").write_text(house.certificate_pem)
    _openssl(tmp_path, "verify", "-CAfile", "ca.crt", "-purpose", "sslclient", "house.crt")
    certificate = _certificate(house.certificate_pem)
    assert certificate.not_valid_after_utc <= _certificate(authority.ca_pem).not_valid_after_utc
    assert authority.valid("sgmp_house_7") == [house.fingerprint]
    LocalAuthority(tmp_path).revoke(house.fingerprint)
    _openssl(tmp_path, "crl", "-in", "revoked.pem", "-CAfile", "ca.crt", "-noout")
    assert LocalAuthority(tmp_path).valid("sgmp_house_7") == []


def _encrypted(folder: Path) -> None:
    _openssl_authority(folder, _OPENSSL_KEYS["RSA"])
    _openssl(folder, "pkey", "-in", "ca.key", "-aes256", "-passout", "pass:secret", "-out", "ca.key.new")
    (folder / "ca.key.new").replace(folder / "ca.key")


def _of_another_key(folder: Path) -> None:
    _openssl_authority(folder, _OPENSSL_KEYS["RSA"])
    _openssl(folder, *_OPENSSL_KEYS["elliptic curve"], "-out", "ca.key")


def _no_authority(folder: Path) -> None:
    _openssl_authority(folder, _OPENSSL_KEYS["RSA"], "basicConstraints=critical,CA:FALSE")


def _may_not_revoke(folder: Path) -> None:
    _openssl_authority(folder, _OPENSSL_KEYS["RSA"], "keyUsage=critical,keyCertSign")


def _without_certificate(folder: Path) -> None:
    _openssl_authority(folder, _OPENSSL_KEYS["RSA"])
    (folder / "ca.crt").rename(folder / "ca.pem")


def _binary(folder: Path) -> None:
    _openssl_authority(folder, _OPENSSL_KEYS["RSA"])
    _openssl(folder, "x509", "-in", "ca.crt", "-outform", "DER", "-out", "ca.der")
    (folder / "ca.der").replace(folder / "ca.crt")


def _small_key(folder: Path) -> None:
    _openssl_authority(folder, ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"])


def _another_algorithm(folder: Path) -> None:
    _openssl_authority(folder, ["genpkey", "-algorithm", "ED25519"])


def _without_key(folder: Path) -> None:
    _openssl_authority(folder, _OPENSSL_KEYS["RSA"])
    (folder / "ca.key").unlink()


def _that_lost_its_key(folder: Path) -> None:
    LocalAuthority(folder).issue("sgmp_house_7")
    (folder / "ca.key").unlink()
    (folder / "ca.crt").unlink()


def _with_another_list(folder: Path) -> None:
    LocalAuthority(folder)
    (folder / "issued.json").write_text('[{"fingerprint": 5}]', "utf-8")


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (_without_key, "ca.key, its private key, is missing"),
        (_that_lost_its_key, "ca.key, its private key, is missing"),
        (_with_another_list, "issued.json is not the list of its certificates"),
        (_encrypted, "ca.key is encrypted"),
        (_of_another_key, "ca.key is not the key of ca.crt"),
        (_no_authority, "CA:TRUE"),
        (_may_not_revoke, "cRLSign"),
        (_without_certificate, "ca.crt, its certificate, is missing"),
        (_binary, "PEM"),
        (_small_key, "1024 bits"),
        (_another_algorithm, "neither an elliptic curve nor an RSA key"),
    ],
)
def test_what_an_authority_is_missing_is_said(
    tmp_path: Path, prepare: Callable[[Path], None], why: str
) -> None:
    prepare(tmp_path)
    kept = {file.name: file.read_bytes() for file in tmp_path.glob("*.*")}
    with pytest.raises(AuthorityDamaged, match=re.escape(why)):
        LocalAuthority(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.glob("*.*")} == kept


def test_an_authority_in_use_that_lost_its_list_is_not_taken_for_a_new_one(
    authority: LocalAuthority, tmp_path: Path
) -> None:
    authority.issue("sgmp_house_7")
    (tmp_path / "authority" / "issued.json").unlink()
    with pytest.raises(AuthorityDamaged, match=r"issued\.json"):
        LocalAuthority(tmp_path / "authority")
