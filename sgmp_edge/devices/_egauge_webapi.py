"""The JSON WebAPI of newer eGauge firmware."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from sgmp_edge.common import BadAnswer, Unauthorized, Unreachable
from sgmp_edge.contract import integer_in
from sgmp_edge.devices._egauge_meter import History, HistoryRow, Register, Snapshot
from sgmp_edge.devices._http import HISTORY, Answer, HttpClient, Timeouts
from sgmp_edge.devices._values import number, plain_text

_MAX_STEP_S = 86_400


class WebApiMeter:
    """Logs in with user and password when the meter asks for it, and again when its token has run out."""

    def __init__(self, http: HttpClient, username: str, password: str) -> None:
        self._http = http
        self._username = username
        self._password = password
        self._token: str | None = None

    def snapshot(self) -> Snapshot:
        document = self._get("/api/register?virtual=value&raw&rate&time=now")
        columns = _columns(document)
        ts = number(document.get("ts"))
        counters: list[int | None] = [None] * len(columns)
        if rows := _rows(document, len(columns)):
            ts, _, counters = rows[0]
        if ts is None:
            raise BadAnswer("the meter's answer has no time stamp")
        registers: dict[str, Register] = {}
        for column, counter in zip(columns, counters, strict=True):
            if column is not None:
                registers.setdefault(column.name, Register(column.type, counter, column.rate))
        if not registers:
            raise BadAnswer("the meter's answer has no registers")
        # Registers that were deleted or reordered count on under other names; nothing else shows that.
        serial = ",".join(f"{column.name}:{column.type}:{column.did}" if column else "" for column in columns)
        return Snapshot(hashlib.sha256(serial.encode()).hexdigest(), ts, registers)

    def history(self, start_s: int, end_s: int) -> History:
        document = self._get(f"/api/register?virtual=value&raw&time={start_s}:60:{end_s}", HISTORY)
        columns = _columns(document)
        return History(
            {column.name: column.type for column in columns if column is not None},
            tuple(
                HistoryRow(
                    int(ts),
                    step,
                    {column.name: count for column, count in zip(columns, counts, strict=True) if column},
                )
                for ts, step, counts in _rows(document, len(columns))
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
            # The answer to a wrong password is HTTP 200 and an error text.
            raise Unauthorized(f"{self._http.who} refuses the sign-in; check user and password")


def _checked(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise BadAnswer("the meter's answer is not the JSON object it should be")
    if "error" in document:
        raise BadAnswer(f"the meter reports: {plain_text(str(document['error']))}")
    return document


@dataclass(frozen=True)
class _Column:
    """A register as it is announced."""

    name: str
    type: str
    did: object
    rate: float | None


def _columns(document: dict[str, Any]) -> list[_Column | None]:
    """The registers in the order of the rows' values, which is that of their indices; None for one without name."""
    announced = document.get("registers")
    if not isinstance(announced, list) or not announced:
        raise BadAnswer("the meter's answer has no registers")
    registers = [register if isinstance(register, dict) else {} for register in announced]
    return [
        _Column(name, _text(register, "type") or "", register.get("did"), number(register.get("rate")))
        if (name := _text(register, "name")) is not None
        else None
        for register in sorted(registers, key=lambda register: number(register.get("idx")) or 0)
    ]


def _rows(document: dict[str, Any], width: int) -> list[tuple[float, int, list[int | None]]]:
    """(time stamp in seconds, step in seconds, counters), newest first; counters come as decimal strings.

    A row or block that can't be read is left out alone. Raises BadAnswer where none can.
    """
    rows: list[tuple[float, int, list[int | None]]] = []
    unread = False
    for block in _listed(document.get("ranges")):
        newest = number(block.get("ts")) if isinstance(block, dict) else None
        if newest is None:
            unread = True
            continue
        step = number(block.get("delta")) or 1
        for index, row in enumerate(_listed(block.get("rows"))):
            if isinstance(row, list) and len(row) == width and abs(step) < _MAX_STEP_S:
                rows.append((newest - index * step, max(1, round(step)), [_count(value) for value in row]))
            else:
                unread = True
    if unread and not rows:
        raise BadAnswer("the meter's recorded values can't be read")
    return rows


def _listed(value: Any) -> list[Any]:
    """A list as it is; anything else but null holds one thing that can't be read."""
    return value if isinstance(value, list) else [] if value is None else [None]


def _count(value: Any) -> int | None:
    if isinstance(value, str):
        return integer_in(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(document: Any, key: str) -> str | None:
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, str) and value else None


def _md5(text: str) -> str:
    """MD5, as the meter's protocol prescribes it."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
