"""Hosts, web addresses and brokers, as people write them."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from .vocabulary import ContractError

DEFAULT_MQTT_PORT = 8883


def endpoint_of(text: str) -> tuple[str, int]:
    """Host and port of an `endpoint`, `host`, `host:port` or `[IPv6]:port`. Raises ContractError."""
    if not is_host(text):
        raise ContractError("`endpoint` must be a host name or IP address, with a port if it is not 8883")
    if text.count(":") > 1 and not text.startswith("["):
        return text, DEFAULT_MQTT_PORT
    parts = urlsplit(f"//{text}")
    return parts.hostname or text, parts.port or DEFAULT_MQTT_PORT


def is_host(text: str) -> bool:
    """`host`, `host:port`, `[IPv6]`, `[IPv6]:port` or a bare IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        return True
    try:
        parts = urlsplit(f"//{text}")
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if host is None or parts.netloc != text or parts.username is not None:
        return False
    if text.startswith("["):
        return True
    return len(host) <= 253 and all(
        re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", label) for label in host.split(".")
    )


def is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def certificate_sha256(text: str) -> str | None:
    """The 64 hexadecimal digits of a certificate's SHA-256 fingerprint, as programs print it; None if it is not one.

    `sha256 Fingerprint=AB:CD:...` of openssl, `AB:CD:...` of a browser, or the bare digits.
    """
    digits = re.sub(r"(?i)^\s*sha-?256(\s+fingerprint)?\s*[=:]?|[\s:]", "", text).lower()
    return digits if re.fullmatch(r"[0-9a-f]{64}", digits, re.ASCII) else None
