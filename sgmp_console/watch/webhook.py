"""Messages as signed JSON to an address of the recipient's.

A receiver computes HMAC-SHA256 of `<X-SGMP-Timestamp>.<body>` with the secret it shares with us, compares it with
`X-SGMP-Signature` (`sha256=<hex>`), refuses old timestamps, and takes a repeated `Idempotency-Key` for the message it has.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sgmp_console.errors import Unavailable, UserError

TIMEOUT_S = 10.0
_MAX_ANSWER = 65_536


class WebhookUnavailable(Unavailable):
    """It did not answer, or asks to be tried again. It may have taken the message."""


class WebhookRefused(UserError):
    """It does not take this message; trying again is in vain."""


def checked_address(address: str) -> str:
    """Raises UserError for what is not an https address (http to this computer only)."""
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    local = host is not None and (host == "localhost" or _is_loopback(host))
    if not host or parts.scheme not in (("https", "http") if local else ("https",)) or parts.username:
        raise UserError("A webhook's address looks like https://example.org/path, without a user's name.")
    return address


def post(address: str, secret: str, document: Mapping[str, Any], key: str) -> None:
    """Returns when it was taken (any 2xx). Raises WebhookUnavailable, WebhookRefused, UserError."""
    import requests

    checked_address(address)
    body = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    stamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        "X-SGMP-Timestamp": stamp,
        "X-SGMP-Signature": f"sha256={signature(secret, stamp, body)}",
    }
    where = urlsplit(address).netloc
    try:
        with requests.post(
            address, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False, stream=True
        ) as answer:
            answer.raw.read(_MAX_ANSWER)
            status = answer.status_code
    except (requests.RequestException, OSError) as error:
        raise WebhookUnavailable(f"{where} can't be reached ({type(error).__name__}).") from error
    if 200 <= status < 300:
        return
    if status in (408, 425, 429) or status >= 500:
        raise WebhookUnavailable(f"{where} answered {status}; it is tried again.")
    raise WebhookRefused(f"{where} answered {status}. Check the address.")


def signature(secret: str, stamp: str, body: bytes) -> str:
    """Hexadecimal."""
    return hmac.new(secret.encode("utf-8"), stamp.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
