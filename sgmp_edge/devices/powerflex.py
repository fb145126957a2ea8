"""PowerFlex charging stations."""

from __future__ import annotations

DEVICE_TYPE = {
    "name": "powerflex",
    "title": "PowerFlex charging station",
    "fields": {
        "acc_id": {
            "title": "Garage (acc_id)",
            "kind": "text",
            "required": True,
            "help": "PowerFlex's number of the parking garage or building, as text with its zeros: 03.",
        },
        "acs_id": {
            "title": "Station (acs_id)",
            "kind": "text",
            "required": True,
            "help": "PowerFlex's number of the charging station, as text with its zeros: 02.",
        },
        "password": {
            "title": "Password",
            "kind": "text",
            "required": True,
            "secret": True,
            "help": "Password of the PowerFlex API.",
        },
        "url": {
            "title": "Web address",
            "kind": "url",
            "required": True,
            "help": "Endpoint of the PowerFlex API.",
        },
        "username": {
            "title": "User name",
            "kind": "text",
            "required": True,
            "help": "User name of the PowerFlex API.",
        },
        "interval": {
            "title": "Poll interval (s)",
            "kind": "number",
            "minimum": 1,
            "maximum": 3600,
            "help": "Seconds between two reads; without it, that of the house. No row is lost by a longer one.",
        },
        "certificate_sha256": {
            "title": "Certificate fingerprint",
            "kind": "text",
            "help": "The SHA-256 fingerprint of the endpoint's certificate, where no public authority signed it.",
        },
    },
    "example": {
        "acc_id": "03",
        "acs_id": "02",
        "password": "mysuperstrongpassword",
        "url": "https://slac.powerflex.com:9443",
        "username": "user@domain.name",
    },
    "units": {
        r"power": "kW",
        r"energy_delivered": "mWh",
        r"mamps_actual": "mA",
        r"voltage": "mV",
        r"pilot_actual": "A",
    },
}
