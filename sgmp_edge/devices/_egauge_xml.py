"""The XML interface, which every eGauge meter has."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.entities import html5
from typing import TypeVar
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from sgmp_edge.common import BadAnswer, Unauthorized, Unreachable
from sgmp_edge.contract import integer_in
from sgmp_edge.devices._egauge_meter import History, HistoryRow, Register, Snapshot
from sgmp_edge.devices._http import HISTORY, HttpClient, Timeouts
from sgmp_edge.devices._values import number

# In the stored data the computed totals have other names than in the live data.
_STORED_NAMES = {"use": "Total Usage", "gen": "Total Generation"}


T = TypeVar("T")


class XmlMeter:
    def __init__(self, http: HttpClient) -> None:
        self._http = http

    def snapshot(self) -> Snapshot:
        return self._get("/cgi-bin/egauge?inst&tot", parse_snapshot)

    def history(self, start_s: int, end_s: int) -> History:
        # `f` is the newest row and `t` the oldest; `a` adds the totals and virtual registers.
        return self._get(f"/cgi-bin/egauge-show?a&m&f={end_s}&t={start_s}", parse_history, HISTORY)

    def close(self) -> None:
        self._http.close()

    def _get(self, path: str, parse: Callable[[bytes], T], timeouts: Timeouts | None = None) -> T:
        answer = self._http.request("GET", path, timeouts=timeouts)
        if answer.status == 404:
            raise Unreachable(
                f"{self._http.who} is not there (HTTP 404): offline behind its proxy, or not an eGauge"
            )
        try:
            return parse(self._http.expect_ok(answer).body)
        except BadAnswer as error:
            if answer.misnamed:
                raise self._http.unreadable(answer, "sent an answer that is not XML") from error
            raise


def parse_snapshot(body: bytes) -> Snapshot:
    """The answer to `inst&tot`. Raises BadAnswer or Unauthorized."""
    root = _root(body, "data")
    ts = number((root.findtext("ts") or "").strip())
    if ts is None:
        raise BadAnswer("the meter's answer has no time stamp")
    registers: dict[str, Register] = {}
    for element in root.iter("r"):
        name = element.get("n")
        if name is not None:
            rate = number((element.findtext("i") or "").strip())
            registers.setdefault(name, Register(element.get("t", ""), _integer(element.findtext("v")), rate))
    if not registers:
        raise BadAnswer("the meter's answer has no registers")
    return Snapshot(root.get("serial", ""), ts, registers)


def parse_history(body: bytes) -> History:
    """The answer of `egauge-show`: blocks of rows, newest first, each block with its own granularity.

    Register names come once. Where the group is `delta`, only its very first row is absolute, and each further
    one, also across blocks, is the difference to the row before it. A row or block that can't be read is left out
    alone. Raises BadAnswer where none can, or Unauthorized.
    """
    root = _root(body, "group")
    unread = 0
    columns: list[tuple[str, str]] = []
    rows: list[HistoryRow] = []
    delta = False
    last: list[int | None] | None = None
    for block in root.iter("data"):
        if block.get("delta") is not None:
            delta, last = block.get("delta") == "true", None
        if names := block.findall("cname"):
            columns = [(_stored_name(name.text or ""), name.get("t", "")) for name in names]
        newest, step = _hexadecimal(block.get("time_stamp")), _integer(block.get("time_delta"))
        for index, row in enumerate(block.findall("r")):
            counts = [_integer(cell.text) for cell in row.findall("c")]
            if len(counts) != len(columns):
                # It is left out, and so are those that count on from it.
                last, unread = [None] * len(columns), unread + 1
                continue
            if delta and last is not None:
                counts = [
                    None if before is None or change is None else before + change
                    for before, change in zip(last, counts, strict=True)
                ]
            last = counts
            if newest is None or step is None or step < 1:
                unread += 1
            else:
                counters = {name: count for (name, _), count in zip(columns, counts, strict=True)}
                rows.append(HistoryRow(newest - index * step, step, counters))
    if unread and not rows:
        raise BadAnswer("no row of the meter's history can be read")
    return History(dict(columns), tuple(rows))


def _root(body: bytes, tag: str) -> Element:
    """The document's root. A DOCTYPE is allowed, as the meter sends one; entities of its own are not."""
    try:
        try:
            root = _parsed(body)
        except ParseError:
            text = _repaired(body)
            try:
                root = _parsed(text)
            except ParseError:
                root = _parsed(_readable_registers(text))
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        _refuse_page(body)
        raise BadAnswer("the meter's answer is not the XML it should be") from error
    if root.tag != tag:
        _refuse_page(body)
        raise BadAnswer(f"the meter's answer is <{root.tag[:40]}> instead of <{tag}>")
    return root


def _refuse_page(body: bytes) -> None:
    if re.search(rb"not\s+authorized|unauthorized", body[:4096], re.IGNORECASE):
        raise Unauthorized("the meter answers that this user is not authorized; check user and password")


def _stored_name(name: str) -> str:
    return _STORED_NAMES.get(name, name)


def _parsed(document: bytes | str) -> Element:
    root: Element = fromstring(document, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    return root


def _repaired(body: bytes) -> str:
    """The document with what XML does not allow in a name replaced: a bare `&` or `<`, an entity of HTML, characters
    of another encoding or of none. One odd name never costs the other registers."""
    declared = re.match(rb"""\s*<\?xml[^>]*encoding=["']([\w.-]+)""", body)
    encoding = declared[1].decode("ascii") if declared else "utf-8"
    text = body.decode(encoding, "replace")
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text.removeprefix("\ufeff"))
    text = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", " ", text)
    text = re.sub(r"&(#?\w+;)?", _entity, text)
    return re.sub(r'="[^"<>]*<[^">]*"', lambda value: value[0].replace("<", "&lt;"), text)


def _readable_registers(text: str) -> str:
    """The document of current values without the registers that can't be read: their names hold quotes or tags."""
    begin, *parts = re.split(r"(?=<r\s)", text)
    registers = []
    for part in parts:
        register, closed, _ = part.partition("</r>")
        try:
            _parsed(register + closed)
        except ParseError:
            continue
        registers.append(register + closed)
    return f"{begin}{''.join(registers)}</data>"


def _entity(reference: re.Match[str]) -> str:
    """A reference as XML has it."""
    name = reference[1]
    if name in ("amp;", "lt;", "gt;", "quot;", "apos;"):
        return reference[0]
    if name and name.startswith("#"):
        digits = name[1:-1]
        code = _hexadecimal(digits[1:]) if digits[:1] in ("x", "X") else integer_in(digits)
        allowed = code is not None and (code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE)
        return reference[0].lower() if allowed or (code or 0) in range(0x10000, 0x110000) else " "
    return escape(html5.get(name or "", "&" + (name or "")))


def _integer(text: str | None) -> int | None:
    return integer_in(text) if text is not None else None


def _hexadecimal(text: str | None) -> int | None:
    """Also with 0x before it; of a time or a character, so of few digits."""
    return int(text, 16) if text and re.fullmatch(r"(0[xX])?[0-9a-fA-F]{1,12}", text.strip()) else None
