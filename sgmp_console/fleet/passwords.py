"""What passwords people may choose. The database is given a verifier only, so this is checked where the password is typed."""

from __future__ import annotations

import re

MIN_LENGTH = 12
MAX_LENGTH = 256
"""What a Cognito user pool takes."""

RULES = (
    f"At least {MIN_LENGTH} characters. Not your name or email, not what anybody would try first, and not the same "
    "characters over and over."
)

_MIN_SCORE = 4
"""The best of zxcvbn's 0 to 4: more than 10^10 guesses. Below it are a name or a common word with a year behind it."""

_ESTIMATED_LENGTH = 72
"""zxcvbn's limit: its time grows with the square of the length."""


def problem(password: str, *, email: str = "", name: str = "", old: str | None = None) -> str | None:
    """Why a password can't be chosen, as a sentence; None where it can. It is never quoted.

    The first call takes 0.2 s, unless `load` was called: make it on a worker thread.
    """
    if len(password) < MIN_LENGTH:
        return f"A password has at least {MIN_LENGTH} characters."
    if len(password) > MAX_LENGTH:
        return f"A password has at most {MAX_LENGTH} characters."
    if not password.isprintable() or password != password.strip():
        return "A password can't begin or end with a space, or hold characters that can't be seen."
    if old is not None and password == old:
        return "The new password is the old one."
    own = [word for word in re.split(r"\W+", f"{email} {name}".casefold()) if len(word) >= 3]
    rest = password.casefold()
    for word in sorted(own, key=len, reverse=True):
        rest = rest.replace(word, "")
    if rest != password.casefold() and sum(map(str.isalnum, rest)) < MIN_LENGTH // 2:
        return "A password can't be little more than your own name or email."
    from zxcvbn import zxcvbn

    if (
        zxcvbn(password[:_ESTIMATED_LENGTH], user_inputs=[email, *own, "sgmp", "console"])["score"]
        < _MIN_SCORE
    ):
        return (
            "This password would be guessed quickly: it is a few characters over and over or in a row, or among the first "
            "that anybody would try. Take several words that do not belong together."
        )
    return None


def load() -> None:
    """Load the lists of words that `problem` needs."""
    import zxcvbn  # noqa: F401
