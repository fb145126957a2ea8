"""One sign-in and one request for all stations of a PowerFlex account, whichever thread asks."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from weakref import WeakValueDictionary

from sgmp_edge.common import BadAnswer, DeviceError, Unauthorized
from sgmp_edge.devices._http import Answer, AnswerTooLarge, HttpClient, repeated
from sgmp_edge.devices._notices import Notices
from sgmp_edge.devices._values import number, plain_text

_TOKEN_LIFE_S = 23 * 3600
"""The token is valid for a day."""

_SIGN_IN_AGAIN_S = 600.0
"""After a sign-in that did not help: the earliest next one."""

_FRESH_S = 2.0
"""Stations polled at the same tick share one answer, or one failure."""

_TOGETHER_S = 15
"""A request begins this much earlier than asked, so that it serves the other stations of the account, too."""

MAX_TIME_S = 1e11
"""Far beyond any time in seconds, and far before any in milliseconds."""

LONGEST_WINDOW_S = 1800.0
_SHORTEST_WINDOW_S = 10.0
"""What one request asks for, in seconds of recorded time: what was missed is fetched in pieces."""

_AHEAD_S = 60
"""How much later than now is asked for, since the clock of the API need not be ours."""

UNKNOWN = -math.inf

_COLUMNS = ("time", "acc_id", "acs_id")
"""Without which a row belongs to no time or station."""

_NO_TOKEN_FAULT = frozenset({408, 429, 502, 503, 504})
"""Statuses for which the token is not the reason."""


@dataclass(frozen=True)
class Row:
    """What one station reported at `time` (seconds, UTC), by the API's column names."""

    time: float
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class Rows:
    """Rows by (acc_id, acs_id), in order of time. `complete_to`: where a partial answer ends (seconds, UTC), UNKNOWN
    where it does not show, None if the answer is complete. `unread`: how many rows could not be read; `outside`: how
    many are of another time than was asked for, which must not count as the newest."""

    stations: Mapping[tuple[str, str], Sequence[Row]]
    complete_to: float | None = None
    unread: int = 0
    outside: int = 0


@dataclass(frozen=True)
class Piece:
    """One station's rows in [start, end), complete as far as the API had them. `faults` are for the operator."""

    rows: Sequence[Row]
    end: float
    faults: Sequence[str]


@dataclass(frozen=True)
class _Fetched:
    """The answer for [start, end) or its failure, at the monotonic time `at`."""

    at: float
    start: float
    end: float
    rows: Rows
    failure: DeviceError | None = None


@dataclass(frozen=True)
class _Token:
    text: str
    since: float
    """Monotonic seconds."""


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
        self._token: _Token | None = None
        self._token_worked = False
        self._fetched: _Fetched | None = None
        self._window_s = LONGEST_WINDOW_S
        self._notices = Notices()
        self._faults: list[str] = []
        self._users = 0

    def acquire(self) -> Account:
        with self._lock:
            self._users += 1
        return self

    def release(self) -> None:
        """End the connections when the last station is gone."""
        with self._lock:
            self._users -= 1
            if self._users <= 0:
                self._http.close()

    def rows(self, acc_id: str, acs_id: str, start: float, now: float) -> Piece:
        """The station's rows from `start` on (seconds, UTC), up to a minute after `now` or in part.

        Raises common.py's DeviceErrors.
        """
        with self._lock:
            fetched = self._fetched
            if fetched is None or not self._serves(fetched, start, now):
                fetched = self._fetched = self._fetch(start, now)
            if fetched.failure is not None:
                raise repeated(fetched.failure) from fetched.failure
            faults, self._faults = self._faults, []
        mine = [row for row in fetched.rows.stations.get((acc_id, acs_id), ()) if row.time >= start]
        return Piece(mine, fetched.end, faults)

    def _serves(self, fetched: _Fetched, start: float, now: float) -> bool:
        if time.monotonic() - fetched.at > _FRESH_S:
            return False
        return fetched.failure is not None or (fetched.start <= start <= fetched.end and fetched.end >= now)

    def _fetch(self, start: float, now: float) -> _Fetched:
        begin = start - _TOGETHER_S
        while True:
            end = min(now + _AHEAD_S, start + self._window_s)
            try:
                rows = self._measurements(begin, end)
                if rows.complete_to == UNKNOWN:
                    raise AnswerTooLarge("the PowerFlex API gives only a part of what it is asked for")
            except AnswerTooLarge as error:
                if self._window_s > _SHORTEST_WINDOW_S:
                    self._window_s = max(self._window_s / 2, _SHORTEST_WINDOW_S)
                    continue
                return _Fetched(time.monotonic(), begin, end, Rows({}), error)
            except DeviceError as error:
                return _Fetched(time.monotonic(), begin, end, Rows({}), error)
            if rows.complete_to is not None:
                if rows.complete_to <= start and begin < start:
                    begin = start
                    continue
                # At least a second on, or the same question would be asked for ever.
                end = min(end, max(rows.complete_to, start + 1))
            break
        self._window_s = min(self._window_s * 1.25, LONGEST_WINDOW_S)
        faults: dict[str, str] = {}
        if rows.unread:
            faults["row"] = "the PowerFlex API sent a row without a time or station; such rows are left out"
        if rows.outside:
            faults["time"] = (
                "the PowerFlex API sent rows of another time than it was asked for; such rows are left out"
            )
        self._faults += self._notices.new(faults)
        return _Fetched(time.monotonic(), begin, end, rows)

    def _measurements(self, start: float, end: float) -> Rows:
        """Raises DeviceError. An answer that may mean that the token is not known any more leads to a new sign-in."""
        between = int(start), int(end) + 1
        answer = self._ask(between)
        try:
            rows = self._rows_in(answer, between)
        except AnswerTooLarge:
            raise
        except DeviceError:
            if not self._may_sign_in_again(answer.status):
                raise
            self._token = None
            rows = self._rows_in(self._ask(between), between)
        self._token_worked = True
        return rows

    def _rows_in(self, answer: Answer, between: tuple[int, int]) -> Rows:
        if answer.status in (401, 403):
            raise BadAnswer(
                f"the PowerFlex API gives no measurements to this user although it let them sign in (HTTP {answer.status})"
            )
        return parse_rows(self._http.decode_json(self._http.expect_ok(answer)), between)

    def _ask(self, between: tuple[int, int]) -> Answer:
        if self._token is None or time.monotonic() - self._token.since > _TOKEN_LIFE_S:
            self._token, self._token_worked = _Token(self._sign_in(), time.monotonic()), False
        headers = {"Authorization": f"Bearer {self._token.text}"}
        body = {"measurement": "ct_response", "time_filter": between}
        return self._http.request("POST", "/get_measurement_data", headers=headers, json_body=body)

    def _may_sign_in_again(self, status: int) -> bool:
        """Whether a failure can be the token's, whatever the service calls it, and a new one was not tried lately."""
        if self._token is None or status in _NO_TOKEN_FAULT:
            return False
        return self._token_worked or time.monotonic() - self._token.since > _SIGN_IN_AGAIN_S

    def _sign_in(self) -> str:
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
        known = _accounts.get(key)
        if known is None:
            known = _accounts[key] = Account(*key)
        return known.acquire()


def parse_rows(document: Any, between: tuple[float, float] = (-math.inf, math.inf)) -> Rows:
    """Rows from InfluxDB's JSON, of the time asked for (seconds, UTC). Raises BadAnswer.

    A window without rows has no series; an error can come as a result. A row that can't be read is left out, as is one
    of several series; a series without one of the columns that every row needs is a failure.
    """
    result = _result(document)
    if "error" in result:
        raise BadAnswer(f"the PowerFlex API reports: {plain_text(str(result['error']))}")
    stations: dict[tuple[str, str], list[Row]] = {}
    times: list[float] = []
    partial, by_station = bool(result.get("partial")), False
    unread = outside = 0
    all_series: Sequence[Any] = result.get("series") or []
    if not isinstance(all_series, list):
        raise BadAnswer("the PowerFlex API sent rows that can't be read")
    for series in all_series:
        try:
            tags, columns = dict(series.get("tags") or {}), list(series["columns"])
            if missing := [column for column in _COLUMNS if column not in columns and column not in tags]:
                raise BadAnswer(f"the PowerFlex API sent rows without {missing[0]}")
            partial, by_station = partial or bool(series.get("partial")), by_station or bool(tags)
            for values in series.get("values") or ():
                row = _row(tags, columns, values)
                if row is None:
                    unread += 1
                    continue
                if not between[0] <= row.time <= between[1]:
                    outside += 1
                    continue
                times.append(row.time)
                station = (row.columns["acc_id"], row.columns["acs_id"])
                stations.setdefault(station, []).append(row)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            if len(all_series) == 1:
                raise BadAnswer("the PowerFlex API sent rows that can't be read") from error
            unread += 1
    for rows in stations.values():
        rows.sort(key=lambda row: row.time)
    complete_to = None
    if partial:
        # Others of the same instant may have been cut off; where each station has a series, all of a station.
        in_order = len(all_series) == 1 and not by_station and times == sorted(times)
        complete_to = max(times, default=0.0) if in_order else UNKNOWN
    return Rows(stations, complete_to, unread, outside)


def _row(tags: Mapping[str, Any], columns: Sequence[str], values: Any) -> Row | None:
    """One row; None if it can't be read."""
    try:
        row = {**tags, **dict(zip(columns, values, strict=True))}
        for column in ("acc_id", "acs_id"):
            if not isinstance(row[column], str | int) or isinstance(row[column], bool):
                return None
            row[column] = str(row[column])
        return Row(_seconds(row["time"]), row)
    except (TypeError, ValueError, OverflowError):
        return None


def _result(document: Any) -> dict[str, Any]:
    try:
        if "error" in document:
            raise BadAnswer(f"the PowerFlex API reports: {plain_text(str(document['error']))}")
        result = document["data"]["results"][0]
    except (TypeError, KeyError, IndexError) as error:
        raise BadAnswer("the PowerFlex API sent something else than measurements") from error
    if not isinstance(result, dict):
        raise BadAnswer("the PowerFlex API sent something else than measurements")
    return result


def _seconds(stamp: Any) -> float:
    """InfluxDB's time: seconds, or the finer units by their size, or RFC 3339 text. Raises ValueError."""
    value = number(stamp)
    seconds = datetime.fromisoformat(str(stamp)).timestamp() if value is None else float(value)
    unit = next((unit for unit in (1e9, 1e6, 1e3) if seconds > MAX_TIME_S * unit / 100), 1)
    if not 0 < seconds / unit < MAX_TIME_S:
        raise ValueError("a row is of no time")
    return seconds / unit
