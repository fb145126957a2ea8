"""When certificates expire that nobody renews by themselves: of the broker, ingest, the console, the authority."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sgmp_console.watch.facts import Certificate


def look_at(files: Sequence[Path]) -> list[Certificate]:
    """Of each file the certificate that expires first."""
    return [_look_at(file) for file in files]


def _look_at(file: Path) -> Certificate:
    from cryptography import x509

    try:
        certificates = x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        return Certificate(str(file), None, f"it can't be read ({error.strerror})")
    except ValueError:
        return Certificate(str(file), None, "it holds no certificate in PEM")
    expires = min(certificate.not_valid_after_utc for certificate in certificates)
    return Certificate(str(file), int(expires.timestamp() * 1000))
