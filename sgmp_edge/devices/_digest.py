"""HTTP digest authentication (RFC 7616), with which meters protect themselves: the password is never sent."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable

from sgmp_edge.common import BadAnswer

_HASHES = {"MD5": "md5", "SHA": "sha1", "SHA-256": "sha256", "SHA-512": "sha512", "SHA-512-256": "sha512_256"}
_PARAMETER = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]+)')
_SCHEME = re.compile(r"(?:^|,\s*)([A-Za-z][A-Za-z0-9_-]*)\s+(?=[A-Za-z0-9_-]+\s*=)")


class DigestAuth:
    """Answers one server's challenges for one user."""

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password
        self._challenge: dict[str, str] | None = None
        self._count = 0

    def accept(self, challenges: Iterable[str], who: str) -> bool:
        """Take the challenge from the `WWW-Authenticate` headers; False if none of them is a digest one.

        Raises BadAnswer for a digest that can't be answered.
        """
        for text in challenges:
            challenge = _digest_challenge(text)
            if challenge is None:
                continue
            if "realm" not in challenge or "nonce" not in challenge:
                raise BadAnswer(f"{who} asks for a sign-in without saying for what (no realm or nonce)")
            if _algorithm(challenge)[0] not in _HASHES:
                raise BadAnswer(f"{who} asks for a kind of digest sign-in that is not known here")
            if "qop" in challenge and "auth" not in re.split(r"[\s,]+", challenge["qop"].casefold()):
                raise BadAnswer(f"{who} asks for a kind of digest sign-in that is not known here")
            self._challenge, self._count = challenge, 0
            return True
        return False

    def header(self, method: str, path: str) -> str | None:
        """The `Authorization` header; None before there was a challenge."""
        challenge = self._challenge
        if challenge is None:
            return None
        algorithm, session = _algorithm(challenge)

        def digest(*parts: str) -> str:
            joined = ":".join(parts).encode("utf-8")
            return hashlib.new(_HASHES[algorithm], joined, usedforsecurity=False).hexdigest()

        self._count += 1
        count, client_nonce, nonce = f"{self._count:08x}", secrets.token_hex(8), challenge["nonce"]
        secret = digest(self._username, challenge["realm"], self._password)
        if session:
            secret = digest(secret, nonce, client_nonce)
        fields = {"username": self._username, "realm": challenge["realm"], "nonce": nonce, "uri": path}
        plain: dict[str, str] = {}
        if "qop" in challenge:
            fields["cnonce"] = client_nonce
            plain = {"qop": "auth", "nc": count}
            fields["response"] = digest(secret, nonce, count, client_nonce, "auth", digest(method, path))
        else:
            fields["response"] = digest(secret, nonce, digest(method, path))
        if "opaque" in challenge:
            fields["opaque"] = challenge["opaque"]
        if "algorithm" in challenge:
            plain["algorithm"] = challenge["algorithm"]
        quoted = [f'{key}="{_escaped(value)}"' for key, value in fields.items()]
        return "Digest " + ", ".join(quoted + [f"{key}={value}" for key, value in plain.items()])


def _digest_challenge(text: str) -> dict[str, str] | None:
    """The parameters of the digest challenge in a header, which may hold other challenges, too."""
    schemes = list(_SCHEME.finditer(text))
    ends = [scheme.start() for scheme in schemes[1:]] + [len(text)]
    for scheme, end in zip(schemes, ends, strict=False):
        if scheme[1].casefold() == "digest":
            part = text[scheme.end() : end]
            return {key.casefold(): _unquoted(value) for key, value in _PARAMETER.findall(part)}
    return {} if text.strip().casefold() == "digest" else None


def _algorithm(challenge: dict[str, str]) -> tuple[str, bool]:
    """(name, whether it is one of a session)."""
    name = challenge.get("algorithm", "MD5").upper()
    return name.removesuffix("-SESS"), name.endswith("-SESS")


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
