"""The JSON WebAPI of newer eGauge firmware."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from sgmp_edge.common import BadAnswer, Unauthorized, Unreachable
from sgmp_edge.devices._egauge_meter import History, HistoryRow, Register, Snapshot
from sgmp_edge.devices._http import HISTORY, Answer, HttpClient, Timeouts
from sgmp_edge.devices._values import number


class WebApiMeter:
    """Logs in with user and password when the meter asks for it, and again when its token has run out."""

    def __init__(self, http: HttpClient, username: str, password: str) -> None:
        self._http = http
        self._username = username
        self._password = password
        self._token: str | None = None

    def snapshot(self) -> Snapshot:
        document = self._get("/api/register?virtual=value&raw&rate&time=now")
        registers = _registers(document)
        rows = _rows(document, len(registers))
        counters: list[int | None] = [None] * len(registers)
        ts = number(document.get("ts"))
        if rows:
            ts, _, values = rows[0]
            counters = list(values)
        if ts is None:
            raise BadAnswer("the meter's answer has no time stamp")
        # Registers that were deleted or reordered count on under other names; nothing else tells.
        serial = ",".join(f"{r['name']}:{r['type']}:{r.get('did')}" for r in registers)
        return Snapshot(
            hashlib.sha256(serial.encode()).hexdigest(),
            ts,
            {
                register["name"]: Register(register["type"], counter, number(register.get("rate")))
                for register, counter in zip(registers, counters, strict=True)
            },
        )

    def history(self, start_s: int, end_s: int) -> History:
        document = self._get(f"/api/register?virtual=value&raw&time={start_s}:60:{end_s}", HISTORY)
        registers = _registers(document)
        names = [register["name"] for register in registers]
        return History(
            {register["name"]: register["type"] for register in registers},
            tuple(
                HistoryRow(int(ts), step, dict(zip(names, values, strict=True)))
                for ts, step, values in _rows(document, len(registers))
            ),
        )

    def close(self) -> None:
        self._http.close()

    def _get(self, path: str, timeouts: Timeouts | None = None) -> dict[str, Any]:
        answer = self._authorized(path, timeouts)
        if answer.status == 401:
            self._log_in()
            answer = self._authorized(path, timeouts)
        if answer.status == 404:
            raise Unreachable(f"{self._http.who} has no WebAPI here (HTTP 404): offline, or older firmware")
        document = self._http.decode_json(self._http.expect_ok(answer))
        return _checked(document)

    def _authorized(self, path: str, timeouts: Timeouts | None) -> Answer:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return self._http.request("GET", path, headers=headers, timeouts=timeouts)

    def _log_in(self) -> None:
        """Exchange a digest of the password for a token of about ten minutes."""
        self._token = None
        challenge = self._http.decode_json(self._http.request("GET", "/api/auth/unauthorized"))
        realm, nonce = _text(challenge, "rlm"), _text(challenge, "nnc")
        if realm is None or nonce is None:
            raise BadAnswer(f"{self._http.who} offers no sign-in")
        client_nonce = secrets.token_hex(16)
        digest = _md5(f"{_md5(f'{self._username}:{realm}:{self._password}')}:{nonce}:{client_nonce}")
        answer = self._http.request(
            "POST",
            "/api/auth/login",
            json_body={
                "rlm": realm,
                "usr": self._username,
                "nnc": nonce,
                "cnnc": client_nonce,
                "hash": digest,
            },
        )
        if answer.status == 400:
            raise Unauthorized(f"{self._http.who} refuses the sign-in; check user and password")
        self._token = _text(self._http.decode_json(self._http.expect_ok(answer)), "jwt")
        if self._token is None:
            # A wrong password is told with HTTP 200 and an error text.
            raise Unauthorized(f"{self._http.who} refuses the sign-in; check user and password")


def _checked(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise BadAnswer("the meter's answer is not the JSON object it should be")
    if "error" in document:
        raise BadAnswer(f"the meter says: {str(document['error'])[:200]}")
    return document


def _registers(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The registers in the order of the rows' values, which is that of their indices."""
    registers = document.get("registers")
    if not isinstance(registers, list) or not registers:
        raise BadAnswer("the meter's answer has no registers")
    for register in registers:
        if (
            not isinstance(register, dict)
            or _text(register, "name") is None
            or _text(register, "type") is None
        ):
            raise BadAnswer("a register of the meter has no name or type")
    return sorted(registers, key=lambda register: number(register.get("idx")) or 0)


def _rows(document: dict[str, Any], width: int) -> list[tuple[float, int, list[int]]]:
    """(time stamp in seconds, step in seconds, counters), newest first; counters come as decimal strings."""
    ranges = document.get("ranges", [])
    found: list[tuple[float, int, list[int]]] = []
    try:
        for block in ranges:
            newest, step = float(block["ts"]), block["delta"]
            for index, row in enumerate(block["rows"]):
                counts = [int(value) for value in row]
                if len(counts) != width:
                    raise BadAnswer("a row of the meter does not have the registers it was announced with")
                found.append((newest - index * step, max(1, round(step)), counts))
    except (TypeError, KeyError, ValueError) as error:
        raise BadAnswer("the meter's recorded values can't be read") from error
    return found


def _text(document: Any, key: str) -> str | None:
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, str) and value else None


def _md5(text: str) -> str:
    """MD5, as the meter's protocol prescribes it."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
