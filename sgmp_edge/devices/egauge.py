"""eGauge energy meters."""

from __future__ import annotations

DEVICE_TYPE = {
    "name": "egauge",
    "title": "eGauge meter",
    "fields": {
        "ip": {
            "title": "Local address",
            "kind": "host",
            "required": True,
            "help": "IP address or host name of the meter, with a port if it is not 80 (443 for https).",
        },
        "keys": {
            "title": "Registers",
            "kind": "text_list",
            "help": "Register names to read, as the meter shows them; `ts` is the meter's own clock. Empty: all.",
        },
        "interval": {
            "title": "Poll interval (s)",
            "kind": "number",
            "minimum": 1,
            "maximum": 3600,
            "help": "Seconds between two reads; without it, that of the house.",
        },
        "interface": {
            "title": "Interface",
            "kind": "choice",
            "choices": ["xml", "webapi"],
            "default": "xml",
            "help": "`xml` works on every meter; `webapi` is the JSON interface of newer firmware, which needs "
            "a user name and a password.",
        },
        "scheme": {
            "title": "Protocol",
            "kind": "choice",
            "choices": ["http", "https"],
            "default": "http",
            "help": "`https` for a meter that answers encrypted requests only.",
        },
        "certificate_sha256": {
            "title": "Certificate fingerprint",
            "kind": "text",
            "help": "With https: the SHA-256 fingerprint of the meter's self-signed certificate.",
        },
        "username": {
            "title": "User name",
            "kind": "text",
            "help": "Only for a meter that asks for a password.",
        },
        "password": {
            "title": "Password",
            "kind": "text",
            "secret": True,
            "help": "Only for a meter that asks for a password.",
        },
        "max_kw": {
            "title": "Largest plausible power (kW)",
            "kind": "number",
            "minimum": 1,
            "maximum": 100000,
            "default": 1000,
            "help": "A power register that says more has jumped; the value is left out.",
        },
    },
    "example": {
        "ip": "198.129.116.113",
        "keys": [
            "A.Battery",
            "A.SubPanel",
            "A.GridPower",
            "A.Solar",
            "A.EV",
            "A.L1_Voltage",
            "A.L2_Voltage",
            "A.L1_Frequency",
            "A.L2_Frequency",
            "A.Load",
            "ts",
        ],
    },
    # The type of a register is known to the meter only; its name tells, as far as names do.
    "units": {
        r"ts": "s",
        r"(?i).*volt.*": "V",
        r"(?i).*freq.*": "Hz",
        r"(?i).*(current|amps).*": "A",
        r"(?i).*temp.*": "°C",
        r"(?i).*(humidity|thd).*": "%",
        r"(?i).*irradiance.*": "W/m²",
        r"(?i).*(pressure|flow|wind|speed|angle|count|factor|ratio|co2|ppm).*": "",
        r"(?i).*reactive.*": "kvar",
        r".*\*": "kVA",
        r".*": "kW",
    },
}
