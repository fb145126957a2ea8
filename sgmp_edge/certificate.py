"""When a certificate expires: read by the standard library alone, since an X.509 library costs an edge megabytes of memory."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

_SEQUENCE, _VERSION = 0x30, 0xA0
_UTC_TIME = 0x17
"""Tags of DER. A time is a UTCTime, with two digits for the years 1950 to 2049, or a GeneralizedTime (RFC 5280, 4.1.2.5)."""


def expires_ms(pem: str) -> int | None:
    """UTC ms of the first certificate of a PEM text; None where there is none that can be read."""
    try:
        certificate, _ = _contents(ssl.PEM_cert_to_DER_cert(_first(pem)), _SEQUENCE)
        rest, _ = _contents(certificate, _SEQUENCE)
        if rest[0] == _VERSION:
            rest = _contents(rest)[1]
        for _ in ("serial number", "signature algorithm", "issuer"):
            rest = _contents(rest)[1]
        validity, _ = _contents(rest, _SEQUENCE)
        until = _contents(validity)[1]
        text = _contents(until)[0].decode("ascii")
        if until[0] == _UTC_TIME:
            text = ("19" if text[:2] >= "50" else "20") + text
        moment = datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except (ValueError, IndexError):
        return None
    return int(moment.timestamp() * 1000)


def _first(pem: str) -> str:
    end = "-----END CERTIFICATE-----"
    start = pem.index("-----BEGIN CERTIFICATE-----")
    return pem[start : pem.index(end, start) + len(end)]


def _contents(der: bytes, tag: int | None = None) -> tuple[bytes, bytes]:
    """Of the first value of DER: what is in it, and what comes after it. Raises ValueError, IndexError."""
    if tag is not None and der[0] != tag:
        raise ValueError("another value than expected")
    length, at = der[1], 2
    if length & 0x80:
        at += length & 0x7F
        length = int.from_bytes(der[2:at], "big")
    if len(der) < at + length:
        raise ValueError("cut off")
    return der[at : at + length], der[at + length :]
