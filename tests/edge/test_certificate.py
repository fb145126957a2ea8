"""When a certificate expires, as the edge reads it without an X.509 library."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from sgmp_edge.certificate import expires_ms

KEY = ed25519.Ed25519PrivateKey.generate()
MOMENTS = st.datetimes(datetime(1951, 1, 1), datetime(9998, 12, 31)).map(lambda at: at.replace(microsecond=0))


def certificate(until: datetime, name: str = "sgmp_house_3", extended: bool = False) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - timedelta(days=90))
        .not_valid_after(until)
    )
    if extended:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(KEY, None).public_bytes(Encoding.PEM).decode()


@given(MOMENTS, st.text("abcdefg", min_size=1, max_size=64), st.booleans())
def test_the_end_of_any_certificate_is_read(until: datetime, name: str, extended: bool) -> None:
    pem = certificate(until, name, extended)
    assert expires_ms(pem) == int(until.replace(tzinfo=UTC).timestamp() * 1000)


def test_of_a_chain_the_edges_own_certificate_counts_which_comes_first() -> None:
    own, authority = datetime(2030, 1, 1), datetime(2050, 1, 1)
    chain = f"Bag Attributes\n{certificate(own)}{certificate(authority)}"
    assert expires_ms(chain) == int(own.replace(tzinfo=UTC).timestamp() * 1000)


@given(st.binary(max_size=300))
def test_what_is_not_a_certificate_has_no_end(content: bytes) -> None:
    assert expires_ms(ssl.DER_cert_to_PEM_cert(content)) is None
    assert expires_ms(content.decode("latin-1")) is None


@given(st.data())
def test_a_damaged_certificate_never_stops_the_edge(data: st.DataObject) -> None:
    pem = certificate(datetime(2031, 5, 1))
    place = data.draw(st.integers(0, len(pem) - 1))
    expires_ms(pem[:place] + data.draw(st.characters()) + pem[place + data.draw(st.integers(0, 20)) :])
