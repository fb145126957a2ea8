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


_ZONE = re.compile(r"[A-Za-z0-9._-]{1,15}")
"""A network interface, as Linux names them (IFNAMSIZ)."""


def is_host(text: str) -> bool:
    """`host`, `host:port`, `[IPv6]`, `[IPv6]:port` or a bare IPv6 address, which may name its interface (`fe80::1%eth0`).

    What ends in a number is an IPv4 address (WHATWG URL, "ends in a number"): 192.168.1.300 is not a name.
    """
    bracketed = re.fullmatch(r"\[([^\[\]]+)\](?::([0-9]{1,5}))?", text)
    if bracketed is not None:
        return _is_ipv6(bracketed[1]) and 0 < int(bracketed[2] or 1) < 65536
    if _is_ipv6(text):
        return True
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if host is None or parts.netloc != text or parts.username is not None or port == 0 or text.endswith(":"):
        return False
    if re.fullmatch(r"[0-9]+|0[xX][0-9a-fA-F]*", host.rpartition(".")[2]):
        return _is_ipv4(host)
    return len(host) <= 253 and all(
        re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", label) for label in host.split(".")
    )


def _is_ipv6(text: str) -> bool:
    address, percent, zone = text.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return not percent or _ZONE.fullmatch(zone) is not None


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def url_problem(text: str) -> str | None:
    """Why a text can't be the address of a service that is sent passwords or tokens; None if it can."""
    try:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            return "must be a web address (https://host:port)"
    except ValueError:
        return "must be a web address (https://host:port)"
    if re.search(r"[\s\\?#]", text) or not text.isprintable():
        return "must be a web address without blanks, `\\`, `?` and `#` (https://host:port)"
    if "@" in parts.netloc:
        return "must not hold a user or password: everybody who sees the device would see them"
    if parts.netloc.isascii() and not is_host(parts.netloc):
        return "names a host that there can't be"
    if parts.scheme == "http" and not _is_local(parts.hostname):
        return (
            "must begin with https:// outside the local network: what is sent to it could be read on the way"
        )
    return None


def _is_local(host: str) -> bool:
    """A private address, or a name that no public server answers to."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".lan", ".home.arpa", ".internal"))
    return address.is_private or address.is_loopback or address.is_link_local


def certificate_sha256(text: str) -> str | None:
    """The 64 hexadecimal digits of a certificate's SHA-256 fingerprint, as programs print it; None if it is not one.

    `sha256 Fingerprint=AB:CD:...` of openssl, `AB:CD:...`, `AB-CD-...` or `Fingerprint (SHA-256): ...` of a browser, or the
    bare digits.
    """
    digits = re.sub(
        r"(?i)^.*?sha-?256\W*(fingerprint|fingerabdruck|thumbprint|hash)?\W*", "", text, flags=re.DOTALL
    )
    digits = re.sub(r"[^0-9A-Za-z]", "", digits).lower()
    return digits if re.fullmatch(r"[0-9a-f]{64}", digits) else None
