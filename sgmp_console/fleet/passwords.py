"""What passwords people may choose. The database is given a verifier only, so this is asked where the password is typed."""

from __future__ import annotations

import itertools
import re

MIN_LENGTH = 12
MAX_LENGTH = 256
"""What a Cognito user pool takes."""

RULES = (
    f"At least {MIN_LENGTH} characters. Not your name or email, not what anybody would try first, and not the same "
    "characters over and over."
)

_DISTINCT = 5
_LONGEST_UNIT = 6
_GUESSED_FIRST = frozenset(
    {
        "administrator",
        "changeme",
        "iloveyou",
        "letmein",
        "password",
        "passwort",
        "passw0rd",
        "qwertyuiop",
        "welcome",
    }
)


def problem(password: str, *, email: str = "", name: str = "", old: str | None = None) -> str | None:
    """Why a password can't be chosen, as a sentence; None where it can. It is never quoted."""
    if len(password) < MIN_LENGTH:
        return f"A password has at least {MIN_LENGTH} characters."
    if len(password) > MAX_LENGTH:
        return f"A password has at most {MAX_LENGTH} characters."
    if not password.isprintable() or password != password.strip():
        return "A password can't begin or end with a space, or hold characters that can't be seen."
    if old is not None and password == old:
        return "The new password is the old one."
    folded = password.casefold()
    own = [word for word in re.split(r"\W+", f"{email} {name}".casefold()) if len(word) >= 3]
    rest = folded
    for word in sorted(own, key=len, reverse=True):
        rest = rest.replace(word, "")
    if rest != folded and sum(map(str.isalnum, rest)) < MIN_LENGTH // 2:
        return "A password can't be little more than your own name or email."
    if len(set(folded)) < _DISTINCT or _is_repeated(folded) or _is_counted(folded):
        return "A password can't be a few characters over and over, or in a row."
    if re.sub(r"[^a-z]+$|^[^a-z]+", "", folded) in _GUESSED_FIRST:
        return "This password is among the first that anybody would try."
    return None


def _is_repeated(text: str) -> bool:
    """Whether it is one short text again and again."""
    return any(
        text == (text[:unit] * (len(text) // unit + 1))[: len(text)] for unit in range(1, _LONGEST_UNIT + 1)
    )


def _is_counted(text: str) -> bool:
    """Whether each character is the next, or the one before: abcdefghijkl, 210987654321."""
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(text)}
    return steps in ({1}, {-1}) or (text.isdigit() and {step % 10 for step in steps} in ({1}, {9}))
