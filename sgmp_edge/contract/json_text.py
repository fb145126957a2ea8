"""JSON as both sides read it: what JSON has no number for is refused."""

from __future__ import annotations

import json
from typing import Any

from .codes import RejectionCode
from .vocabulary import ContractError


def parse_json(payload: bytes | str, what: str) -> Any:
    """Raises ContractError, which begins with `what` ("the probe is") and quotes nothing of the text."""
    try:
        text = payload if isinstance(payload, str) else payload.decode("utf-8")
        return json.loads(text, parse_constant=_refuse_constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        # A JSON error quotes no payload text, only a position.
        known = isinstance(error, json.JSONDecodeError | UnicodeDecodeError | _Constant)
        reason = error if known else "it is nested too deeply, or holds a number of too many digits"
        raise ContractError(f"{what} not valid JSON: {reason}", RejectionCode.INVALID_JSON) from None


class _Constant(ValueError):
    """What Python reads as a number, and JSON does not know."""


def _refuse_constant(name: str) -> Any:
    raise _Constant(f"{name} is not a JSON number")
