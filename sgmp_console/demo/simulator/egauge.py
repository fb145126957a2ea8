"""An eGauge meter: the XML interface of every meter and the JSON WebAPI of newer ones.

`/cgi-bin/egauge?inst&tot` gives cumulative counters and the rates of the last second, `/cgi-bin/egauge-show?m` the
counters at past minutes, `/api/register?rate` the rates as JSON. Consumption counts down, generation up.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from sgmp_console.demo.simulator import noise
from sgmp_console.demo.simulator.clock import SimulatedClock
from sgmp_console.demo.simulator.house import Energy, House
from sgmp_console.demo.simulator.server import Request, Response, SimulatedDevice
from sgmp_console.demo.simulator.tokens import Tokens

SUB_PANEL_SHARE = 0.35
"""The part of the load that runs over the sub-panel."""

_QUANTA = {"P": 1, "V": 1000, "F": 1000}
"""A counter counts W s, mV s or mHz s."""

_GRANULARITIES = {"S": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_ROWS = 44_640
_REALM = "eGauge Administration"
_TOKEN_S = 600.0
_JUMP = 4_000_000_000_000


@dataclass(frozen=True)
class Register:
    """`integral`: what it has counted over a span of time, in W s, V s or Hz s."""

    name: str
    type: str
    integral: Callable[[Energy], float]
    total: bool = False
    stored_name: str = ""
    """The name in the stored data where it is another one."""


REGISTERS = (
    Register("A.Battery", "P", lambda energy: energy.battery),
    Register("A.SubPanel", "P", lambda energy: -SUB_PANEL_SHARE * energy.load),
    Register("A.GridPower", "P", lambda energy: 0.0 - energy.grid),
    Register("A.Solar", "P", lambda energy: energy.solar),
    Register("A.EV", "P", lambda energy: 0.0 - energy.ev),
    Register("A.L1_Voltage", "V", lambda energy: energy.l1),
    Register("A.L2_Voltage", "V", lambda energy: energy.l2),
    Register("A.L1_Frequency", "F", lambda energy: energy.frequency),
    Register("A.L2_Frequency", "F", lambda energy: energy.frequency),
    Register("A.Load", "P", lambda energy: -energy.load),
    Register("Total Usage", "P", lambda energy: energy.load + energy.ev, total=True, stored_name="use"),
    Register("Total Generation", "P", lambda energy: energy.solar, total=True, stored_name="gen"),
)


class EgaugeMeter(SimulatedDevice):
    """With a user name and a password every request needs them (digest, or a token of the WebAPI)."""

    name = "egauge"
    MODES: Mapping[str, str] = {
        "null_fields": "leaves the values of `register` (all) empty",
        "missing_register": "leaves out `register` (A.Solar)",
        "login_page": "answers 200 with a page saying that one is not authorized",
        "offline": "answers 404, as the maker's proxy does for a meter that is offline",
    }
    ONCE: Mapping[str, str] = {
        "counter_jump": "adds `amount` (4e12) to the counter of `register` (A.Load), for good",
        "serial_change": "has a new configuration: another serial, and counters from another start",
    }

    def __init__(self, house: House, clock: SimulatedClock, username: str = "", password: str = "") -> None:
        super().__init__(clock)
        self._house = house
        self._username = username
        self._password = password
        self._tokens = Tokens(_TOKEN_S)
        self._nonces: deque[str] = deque(maxlen=200)
        self._configurations = 0
        self._jumps: dict[str, int] = {}
        # Counters run from the begin of the month in which the meter started, so that a restart continues them and
        # counting up to now stays cheap. Who starts in another month finds another serial, as after a change of the
        # meter's configuration; so does who lets the house live in a time of its own, which begins with each start.
        self._epoch_ms = clock.started_ms // 1000 * 1000
        if clock.is_real:
            self._epoch_ms = _month_begin_ms(self._epoch_ms)
        self._energy(
            self._epoch_ms, clock.now_ms()
        )  # counted once, so that the first answer does not take long

    def begin(self, mode: str, options: Mapping[str, Any]) -> None:
        super().begin(mode, options)
        if mode in ("counter_jump", "missing_register"):
            name = options.get("register")
            if name is not None and name not in {register.name for register in REGISTERS}:
                raise ValueError(f"no register {name!r}")
        if mode == "counter_jump":
            name = options.get("register", "A.Load")
            self._jumps[name] = self._jumps.get(name, 0) + int(options.get("amount", _JUMP))
        elif mode == "serial_change":
            self._configurations += 1

    def start_over(self) -> None:
        self._tokens.forget()
        self._nonces.clear()

    def respond(self, request: Request) -> Response:
        mode = self.misbehaviour.mode
        if mode == "offline":
            return _page(404, "The device you requested is currently not connected to the proxy server.")
        if mode == "login_page":
            return _page(200, "Not authorized to view this page.")
        path = request.path
        if path.startswith("/api/"):
            return self._webapi(request)
        if path not in ("/cgi-bin/egauge", "/cgi-bin/egauge-show"):
            return _page(404, "Not found.")
        if self._username and not self._digest_accepted(request):
            return self._challenge()
        return self._instantaneous(request) if path == "/cgi-bin/egauge" else self._stored(request)

    # --- XML ------------------------------------------------------------------------------------------------------

    def _instantaneous(self, request: Request) -> Response:
        """Counters and rates at the last full second."""
        now_ms = self.now_ms() // 1000 * 1000
        registers = self._registers("tot" in request.query)
        energy = self._energy(self._epoch_ms, now_ms)
        second = self._energy(now_ms - 1000, now_ms)
        rows = []
        for did, register in registers:
            kind = f'rt="total" t="{register.type}"' if register.total else f't="{register.type}"'
            where = "" if register.total else f' did="{did}"'
            value = self._or_nothing(register, str(self._counter(register, energy)))
            rate = self._or_nothing(register, _rate(register, second)) if "inst" in request.query else None
            instant = "" if rate is None else f"<i>{rate}</i>"
            rows.append(f" <r {kind} n={quoteattr(register.name)}{where}><v>{value}</v>{instant}</r>\n")
        text = (
            f'<?xml version="1.0" encoding="UTF-8" ?>\n<data serial="{self._serial()}">\n'
            f" <ts>{now_ms // 1000}</ts>\n{''.join(rows)}</data>\n"
        )
        return Response(200, text.encode("utf-8"), "text/xml")

    def _stored(self, request: Request) -> Response:
        """Counters at past seconds, minutes, hours or days: newest first, each row as its difference to that before.

        `f` and `t` are the first and the last row's time, so `f` is the later one; `n` the number of rows.
        """
        query = request.query
        step = next((seconds for name, seconds in _GRANULARITIES.items() if name in query), 60)
        try:
            bounds = [int(query[name]) for name in ("f", "t") if query.get(name)]
            count = int(query.get("n") or 0)
        except ValueError:
            return _page(400, "Bad request.")
        newest = min(max(bounds, default=self.now_ms() // 1000), self.now_ms() // 1000) // step * step
        if len(bounds) == 2:
            oldest = -(-min(bounds) // step) * step
        else:
            oldest = newest - (max(1, count or 60) - 1) * step
        instants = range(newest, oldest - 1, -step)[: min(count or _MAX_ROWS, _MAX_ROWS)]
        registers = [register for _, register in self._registers(with_totals="a" in query)]
        names = "".join(
            f' <cname t="{register.type}">{escape(register.stored_name or register.name)}</cname>\n'
            for register in registers
        )
        rows = []
        newer: list[int] | None = None
        for instant in instants:
            counters = self._counters(registers, instant)
            shown = counters if newer is None else [b - a for a, b in zip(newer, counters, strict=True)]
            rows.append(f" <r>{''.join(f'<c>{value}</c>' for value in shown)}</r>\n")
            newer = counters
        text = (
            '<?xml version="1.0" encoding="UTF-8" ?>\n'
            '<!DOCTYPE group PUBLIC "-//ESL/DTD eGauge 1.0//EN" "http://www.egauge.net/DTD/egauge-hist.dtd">\n'
            f'<group serial="{self._serial()}">\n'
            f'<data columns="{len(registers)}" time_stamp="{newest:#x}" time_delta="{step}" delta="true" '
            f'epoch="{self._epoch_ms // 1000:#x}">\n{names}{"".join(rows)}</data>\n</group>\n'
        )
        return Response(200, text.encode("utf-8"), "text/xml")

    def _energy(self, start_ms: int, end_ms: int) -> Energy:
        """What was measured between two times of the meter's clock."""
        clock = self._clock
        energy = self._house.energy(clock.house_ms(start_ms), clock.house_ms(end_ms))
        return energy if clock.is_real else Energy(*[value / clock.speed for value in energy])

    def _counters(self, registers: Sequence[Register], instant_s: int) -> list[int]:
        energy = self._energy(self._epoch_ms, instant_s * 1000)
        return [self._counter(register, energy) for register in registers]

    def _registers(self, with_totals: bool) -> list[tuple[int, Register]]:
        """The registers it reports at present, with their numbers."""
        left_out = ""
        if self.misbehaviour.mode == "missing_register":
            left_out = self.misbehaviour.option("register", "A.Solar")
        return [
            (number, register)
            for number, register in enumerate(REGISTERS)
            if (with_totals or not register.total) and register.name != left_out
        ]

    def _or_nothing(self, register: Register, value: str) -> str:
        empty = (
            self.misbehaviour.mode == "null_fields"
            and self.misbehaviour.option("register", register.name) == register.name
        )
        return "" if empty else value

    def _counter(self, register: Register, energy: Energy) -> int:
        """A signed 64-bit counter, which need not begin at zero."""
        begin = (
            noise.stream(self._house.seed, self._configurations, register.name) % 2_000_000_000_000 - 10**12
        )
        counted = int(register.integral(energy) * _QUANTA[register.type] // 1)
        value = begin + counted + self._jumps.get(register.name, 0)
        return (value + 2**63) % 2**64 - 2**63

    def _serial(self) -> str:
        return f"{noise.stream(self._house.seed, 'serial', self._epoch_ms, self._configurations) & 0xFFFFFFFF:#x}"

    # --- Digest authentication --------------------------------------------------------------------------------------

    def _challenge(self) -> Response:
        nonce = secrets.token_hex(16)
        self._nonces.append(nonce)
        header = f'Digest realm="{_REALM}", qop="auth", algorithm=MD5, nonce="{nonce}"'
        return Response(401, b"Unauthorized", "text/plain", {"WWW-Authenticate": header})

    def _digest_accepted(self, request: Request) -> bool:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "digest":
            return False
        given = {
            name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', rest)
        }
        if given.get("nonce") not in self._nonces or given.get("username") != self._username:
            return False
        secret = _md5(self._username, _REALM, self._password)
        what = _md5(request.method, given.get("uri", ""))
        answer = _md5(secret, *(given.get(name, "") for name in ("nonce", "nc", "cnonce", "qop")), what)
        return secrets.compare_digest(answer, given.get("response", ""))

    # --- JSON WebAPI --------------------------------------------------------------------------------------------------

    def _webapi(self, request: Request) -> Response:
        if request.path == "/api/auth/unauthorized":
            return self._unauthorized("Authentication required.")
        if request.path == "/api/auth/login" and request.method == "POST":
            return self._login(request)
        if request.path != "/api/register":
            return Response.of_json({"error": "Not found."}, 404)
        if self._username and not self._tokens.accepts(request.headers.get("authorization", "")):
            return self._unauthorized("Authentication required.")
        return self._register(request)

    def _unauthorized(self, error: str) -> Response:
        nonce = secrets.token_hex(16)
        self._nonces.append(nonce)
        return Response.of_json({"rlm": _REALM, "nnc": nonce, "error": error}, 401)

    def _login(self, request: Request) -> Response:
        try:
            given = {str(name): str(value) for name, value in request.json().items()}
        except (AttributeError, ValueError):
            return Response.of_json({"error": "Invalid JSON."}, 400)
        secret = _md5(self._username, _REALM, self._password)
        nonce = given.get("nnc", "")
        wanted = _md5(secret, nonce, given.get("cnnc", ""))
        if nonce not in self._nonces:
            return self._unauthorized("Nonce expired.")
        if given.get("usr") != self._username or not secrets.compare_digest(wanted, given.get("hash", "")):
            return Response.of_json({"error": "Invalid user name or password."})
        return Response.of_json({"jwt": self._tokens.issue(), "rights": []})

    def _register(self, request: Request) -> Response:
        query = request.query
        now_ms = self.now_ms() // 1000 * 1000
        chosen = self._chosen(query.get("reg", "all"), with_totals="virtual" in query)
        second = self._energy(now_ms - 1000, now_ms)
        registers = []
        for number, register in chosen:
            entry: dict[str, Any] = {
                "name": register.name,
                "type": register.type,
                "idx": number,
                "did": number,
            }
            if "rate" in query:
                rate = self._or_nothing(register, _rate(register, second))
                entry["rate"] = float(rate) if rate else None
            registers.append(entry)
        answer: dict[str, Any] = {"ts": str(now_ms // 1000), "registers": registers}
        if query.get("time"):
            instants = _instants(query["time"], now_ms // 1000)
            if instants is None:
                return Response.of_json({"error": "Invalid time."}, 400)
            only = [register for _, register in chosen]
            rows = [
                [
                    self._or_nothing(r, str(c)) or None
                    for r, c in zip(only, self._counters(only, at), strict=True)
                ]
                for at in instants
            ]
            first = instants[0] if instants else now_ms // 1000
            answer["ranges"] = [{"ts": str(first), "delta": -instants.step, "rows": rows}]
        return Response.of_json(answer)

    def _chosen(self, wanted: str, with_totals: bool) -> list[tuple[int, Register]]:
        """Registers by number: `all`, or numbers and ranges like 0+2:4."""
        registers = self._registers(with_totals)
        if wanted in ("", "all"):
            return registers
        numbers: set[int] = set()
        for part in re.split(r"[+\s]+", wanted):
            first, _, last = part.partition(":")
            if first.isdecimal() and (not last or last.isdecimal()):
                numbers |= set(range(int(first), min(int(last or first), 1000) + 1))
        return [(number, register) for number, register in registers if number in numbers]


def _rate(register: Register, second: Energy) -> str:
    """The mean over a second in the register's unit of rate: W, V or Hz."""
    value = register.integral(second)
    return str(round(value)) if register.type == "P" else f"{value:.3f}"


def _instants(asked: str, now_s: int) -> range | None:
    """`now` or `first:step:last` in seconds, as instants newest first; None for anything else."""
    if asked == "now":
        return range(now_s, now_s - 1, -1)
    parts = asked.split(":")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        return None
    first, step, last = (int(part) for part in parts)
    if step < 1:
        return None
    newest = min(last, now_s) // step * step
    return range(newest, first - 1, -step)[:_MAX_ROWS]


def _page(status: int, text: str) -> Response:
    html = f"<html><head><title>eGauge</title></head><body><p>{text}</p></body></html>"
    return Response(status, html.encode("utf-8"), "text/html")


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode("utf-8"), usedforsecurity=False).hexdigest()


def _month_begin_ms(time_ms: int) -> int:
    now = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC)
    return round(datetime.datetime(now.year, now.month, 1, tzinfo=datetime.UTC).timestamp()) * 1000
