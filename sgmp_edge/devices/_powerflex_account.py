"""One sign-in and one request for all stations of a PowerFlex account, whichever thread asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from weakref import WeakValueDictionary

from sgmp_edge.common import BadAnswer, DeviceError, Unauthorized
from sgmp_edge.devices._http import Answer, AnswerTooLarge, HttpClient
from sgmp_edge.devices._values import number

_TOKEN_LIFE_S = 23 * 3600
"""The token is valid for a day."""

_FRESH_S = 2.0
"""Stations polled at the same tick share one answer, or one failure."""

_TOGETHER_S = 15
"""A request begins this much earlier than asked, so that it serves the other stations of the account, too."""

_LATEST_S = 1e11
"""Far beyond any time in seconds, and far before any in milliseconds."""

LONGEST_WINDOW_S = 1800
"""The most that one request asks for, in seconds of recorded time: what was missed is fetched in pieces."""


@dataclass(frozen=True)
class Row:
    """What one station said at `time` (seconds, UTC), by the API's column names."""

    time: float
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class _Fetched:
    """The answer for [start, end] or its failure, at the monotonic time `at`."""

    at: float
    start: float
    end: float
    rows: Mapping[tuple[str, str], Sequence[Row]]
    failure: DeviceError | None


class Account:
    """The rows of any station of the account. May be used by several threads; requests are made one by one."""

    def __init__(self, url: str, username: str, password: str, certificate_sha256: str | None) -> None:
        self._http = HttpClient(
            "the PowerFlex API",
            url,
            headers={"Cache-Control": "no-cache"},
            certificate_sha256=certificate_sha256,
            remote=True,
        )
        self._credentials = {"username": username, "password": password}
        self._lock = threading.Lock()
        self._token: tuple[str, float] | None = None
        self._fetched: _Fetched | None = None
        self._window_s = LONGEST_WINDOW_S
        self._holders = 0

    def hold(self) -> Account:
        with self._lock:
            self._holders += 1
        return self

    def release(self) -> None:
        """End the connections when the last station is gone."""
        with self._lock:
            self._holders -= 1
            if self._holders <= 0:
                self._http.close()

    def rows(self, acc_id: str, acs_id: str, start: float, now: float) -> tuple[list[Row], float]:
        """(the station's rows in [start, end] in order of time, end); `end` is later than `now` when caught up.

        Times in seconds, UTC. Raises common.py's DeviceErrors.
        """
        with self._lock:
            fetched = self._fetched
            if fetched is None or not self._serves(fetched, start, now):
                fetched = self._fetched = self._fetch(start, now)
            if fetched.failure is not None:
                raise type(fetched.failure)(str(fetched.failure)) from fetched.failure
        mine = [row for row in fetched.rows.get((acc_id, acs_id), ()) if row.time >= start]
        return mine, fetched.end

    def _serves(self, fetched: _Fetched, start: float, now: float) -> bool:
        if time.monotonic() - fetched.at > _FRESH_S:
            return False
        return fetched.failure is not None or (fetched.start <= start <= fetched.end and fetched.end >= now)

    def _fetch(self, start: float, now: float) -> _Fetched:
        # A minute ahead, since the clock of the API need not be ours.
        begin = start - _TOGETHER_S
        end = min(now + 60, start + self._window_s)
        try:
            rows = self._measurements(begin, end)
        except AnswerTooLarge:
            self._window_s = max(60, self._window_s // 2)
            raise
        except DeviceError as error:
            return _Fetched(time.monotonic(), begin, end, {}, error)
        return _Fetched(time.monotonic(), begin, end, rows, None)

    def _measurements(self, start: float, end: float) -> dict[tuple[str, str], list[Row]]:
        body = {"measurement": "ct_response", "time_filter": [int(start), int(end) + 1]}
        answer = self._post(body)
        document = None if answer.status == 401 else self._http.decode_json(self._http.expect_ok(answer))
        if document is None or _token_refused(document):
            self._token = None
            document = self._http.decode_json(self._http.expect_ok(self._post(body)))
        return parse_rows(document)

    def _post(self, body: Mapping[str, Any]) -> Answer:
        if self._token is None or time.monotonic() - self._token[1] > _TOKEN_LIFE_S:
            self._token = (self._log_in(), time.monotonic())
        headers = {"Authorization": f"Bearer {self._token[0]}"}
        return self._http.request("POST", "/get_measurement_data", headers=headers, json_body=body)

    def _log_in(self) -> str:
        answer = self._http.request("POST", "/login", json_body=self._credentials)
        if answer.status in (400, 401, 403, 422):
            raise Unauthorized("the PowerFlex API refuses the sign-in; check user name and password")
        document = self._http.decode_json(self._http.expect_ok(answer))
        token = document.get("access_token") if isinstance(document, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.strip():
            raise Unauthorized("the PowerFlex API gives no token; check user name and password")
        return token


_accounts: WeakValueDictionary[tuple[str, str, str, str | None], Account] = WeakValueDictionary()
_accounts_lock = threading.Lock()


def account(url: str, username: str, password: str, certificate_sha256: str | None) -> Account:
    """The account's one client, for one more station, which must `release` it."""
    key = (url.rstrip("/"), username, password, certificate_sha256)
    with _accounts_lock:
        found = _accounts.get(key)
        if found is None:
            found = _accounts[key] = Account(*key)
        return found.hold()


def parse_rows(document: Any) -> dict[tuple[str, str], list[Row]]:
    """Rows by (acc_id, acs_id), in order of time, from InfluxDB's JSON. Raises BadAnswer.

    A window without rows has no series; an error can come as a result.
    """
    result = _result(document)
    if "error" in result:
        raise BadAnswer(f"the PowerFlex API says: {str(result['error'])[:200]}")
    stations: dict[tuple[str, str], list[Row]] = {}
    try:
        for series in result.get("series") or ():
            columns = list(series["columns"])
            for values in series["values"]:
                row = dict(zip(columns, values, strict=True))
                station = (str(row["acc_id"]), str(row["acs_id"]))
                stations.setdefault(station, []).append(Row(_seconds(row["time"]), row))
    except (TypeError, KeyError, ValueError) as error:
        raise BadAnswer("the PowerFlex API sent rows that can't be read") from error
    for rows in stations.values():
        rows.sort(key=lambda row: row.time)
    return stations


def _result(document: Any) -> dict[str, Any]:
    try:
        if "error" in document:
            raise BadAnswer(f"the PowerFlex API says: {str(document['error'])[:200]}")
        result = document["data"]["results"][0]
    except (TypeError, KeyError, IndexError) as error:
        raise BadAnswer("the PowerFlex API sent something else than measurements") from error
    if not isinstance(result, dict):
        raise BadAnswer("the PowerFlex API sent something else than measurements")
    return result


def _token_refused(document: Any) -> bool:
    """Whether an answer with HTTP 200 says that the token has run out."""
    text = (
        document.get("error") or document.get("message") or document.get("msg")
        if isinstance(document, dict)
        else ""
    )
    return isinstance(text, str) and any(
        word in text.casefold() for word in ("token", "unauthorized", "expired")
    )


def _seconds(stamp: Any) -> float:
    """InfluxDB's time: seconds, or the finer units by their size, or RFC 3339 text. Raises ValueError."""
    found = number(stamp)
    seconds = datetime.fromisoformat(str(stamp)).timestamp() if found is None else float(found)
    unit = next((unit for unit in (1e9, 1e6, 1e3) if seconds > _LATEST_S * unit / 100), 1)
    if not 0 < seconds / unit < _LATEST_S:
        raise ValueError("a row is of no time")
    return seconds / unit
