"""An eGauge meter after the vendor's documents: registers that count, live and recorded answers of both interfaces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from tests.edge.drivers_http import Reply, Request, as_json

START = 1_700_000_040
"""A full minute, UTC seconds."""

QUANTUM = {"P": 1, "V": 0.001, "F": 0.001, "T": 0.001}


@dataclass
class Register:
    """Counts `per_second(second)` in counts of its type; an `offset` stands for what it counted before. `rated`: what
    it says of the last second, where that is not what it counts."""

    name: str
    type: str
    per_second: Callable[[int], int]
    offset: int = 0
    rated: float | None = None
    rewound_s: int = 0
    """By how many seconds its counter was set back, as by a restored backup."""
    _totals: list[int] = field(default_factory=lambda: [0])

    def counter(self, ts: int) -> int:
        ts = max(ts - self.rewound_s, START)
        while len(self._totals) <= ts - START:
            self._totals.append(self._totals[-1] + self.per_second(START + len(self._totals) - 1))
        return (self.offset + self._totals[ts - START] + 2**63) % 2**64 - 2**63

    def rate(self, ts: int) -> float:
        if self.rated is not None:
            return self.rated
        return self.per_second(ts - 1) * QUANTUM.get(self.type, 1)


@dataclass
class Meter:
    """Its clock `ts` stands where the test sets it."""

    registers: list[Register]
    ts: int = START + 3600
    serial: str = "0x4e842294"
    clock_error_s: int = 0
    """By how much what it shows as its time differs from `ts`."""
    with_rates: bool = True
    doctype: str = ""
    compressed: bool = False
    gaps: Sequence[tuple[int, int]] = ()
    """[from, to) in which the meter was off and recorded nothing."""
    username: str = "owner"
    password: str = "meter-password"
    logins: list[str] = field(default_factory=list)
    valid_tokens: set[str] = field(default_factory=set)

    def answer(self, request: Request) -> Reply:
        if request.path == "/cgi-bin/egauge" and {"inst", "tot"} <= request.query.keys():
            return Reply(self.live())
        if request.path == "/cgi-bin/egauge-show" and "m" in request.query:
            return Reply(
                self.stored(
                    int(request.query["f"][0]) - self.clock_error_s,
                    int(request.query["t"][0]) - self.clock_error_s,
                )
            )
        if request.path == "/api/auth/unauthorized":
            return as_json({"rlm": "eGauge Administration", "nnc": "server-nonce"}, 401)
        if request.path == "/api/auth/login":
            return self._log_in(request)
        if request.path == "/api/register":
            return self._register(request)
        return Reply("<html>not found</html>", 404)

    # --- XML ------------------------------------------------------------------------------------------------------

    def live(self) -> str:
        rows = "".join(
            f"<r t={quoteattr(r.type)} n={quoteattr(r.name)}><v>{r.counter(self.ts)}</v>"
            + (f"<i>{r.rate(self.ts):.3f}</i>" if self.with_rates else "")
            + "</r>\n"
            for r in self.registers
        )
        head = '<?xml version="1.0" encoding="UTF-8" ?>'
        return f'{head}{self.doctype}<data serial="{self.serial}"><ts>{self.ts + self.clock_error_s}</ts>{rows}</data>'

    def stored(self, newest: int, oldest: int) -> str:
        """Minute rows, newest first, a new block after each gap."""
        names = "".join(f"<cname t={quoteattr(r.type)}>{escape(r.name)}</cname>" for r in self.registers)
        blocks, last = [], None
        for index, minutes in enumerate(self._runs(newest, oldest)):
            rows = []
            for minute in minutes:
                counts = [r.counter(minute) for r in self.registers]
                shown = counts if last is None or not self.compressed else _minus(counts, last)
                rows.append("<r>" + "".join(f"<c>{count}</c>" for count in shown) + "</r>")
                last = counts
            extra = f' columns="{len(self.registers)}" epoch="{START:#x}"' if index == 0 else ""
            extra += ' delta="true"' if index == 0 and self.compressed else ""
            blocks.append(
                f'<data time_stamp="{minutes[0] + self.clock_error_s:#x}" time_delta="60"{extra}>'
                f"{names if index == 0 else ''}{''.join(rows)}</data>"
            )
        if not blocks:
            blocks = [f'<data time_stamp="{newest:#x}" time_delta="60">{names}</data>']
        return f'<?xml version="1.0"?>{self.doctype}<group serial="{self.serial}">{"".join(blocks)}</group>'

    def _runs(self, newest: int, oldest: int) -> list[list[int]]:
        top = min(newest, self.ts) // 60 * 60
        runs: list[list[int]] = []
        for minute in range(top, max(oldest, START) - 1, -60):
            if any(start <= minute < end for start, end in self.gaps):
                continue
            if runs and runs[-1][-1] - minute == 60:
                runs[-1].append(minute)
            else:
                runs.append([minute])
        return runs

    # --- WebAPI ---------------------------------------------------------------------------------------------------

    def _log_in(self, request: Request) -> Reply:
        given = request.json()
        ha1 = _md5(f"{self.username}:{given['rlm']}:{self.password}")
        wanted = _md5(f"{ha1}:server-nonce:{given['cnnc']}")
        if given["nnc"] != "server-nonce" or given["usr"] != self.username or given["hash"] != wanted:
            return as_json({"error": "Invalid credentials."})
        self.logins.append(given["cnnc"])
        token = f"token-{len(self.logins)}"
        self.valid_tokens = {token}
        return as_json({"jwt": token})

    def _register(self, request: Request) -> Reply:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.valid_tokens:
            return as_json(
                {"error": "Authentication required.", "rlm": "eGauge Administration", "nnc": "x"}, 401
            )
        when = request.query["time"][0]
        document: dict[str, object] = {
            "ts": f"{self.ts + self.clock_error_s}.000",
            "registers": [
                {"name": r.name, "type": r.type, "idx": index, "did": index}
                | ({"rate": r.rate(self.ts)} if "rate" in request.query else {})
                for index, r in enumerate(self.registers)
            ],
        }
        if when == "now":
            rows = [[str(r.counter(self.ts)) for r in self.registers]]
            document["ranges"] = [{"ts": f"{self.ts + self.clock_error_s}.000", "delta": 1, "rows": rows}]
        else:
            oldest, _, newest = when.split(":")
            document["ranges"] = [
                {
                    "ts": str(run[0] + self.clock_error_s),
                    "delta": 60,
                    "rows": [[str(r.counter(minute)) for r in self.registers] for minute in run],
                }
                for run in self._runs(int(newest) - self.clock_error_s, int(oldest) - self.clock_error_s)
            ]
        return as_json(document)


def steady(name: str, type_: str, count: int) -> Register:
    """A register that counts the same each second."""
    return Register(name, type_, lambda second: count)


def _minus(counts: list[int], others: list[int]) -> list[int]:
    return [one - other for one, other in zip(counts, others, strict=True)]


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
