"""sonnen battery storage."""

from __future__ import annotations

DEVICE_TYPE = {
    "name": "sonnen",
    "title": "sonnenBatterie",
    "fields": {
        "ip": {
            "title": "Local address",
            "kind": "host",
            "required": True,
            "help": "IP address or host name of the battery; a port only where it is not the usual 80 or 8080.",
        },
        "serial": {
            "title": "Serial number",
            "kind": "text",
            "help": "For the remote interface, used when the battery does not answer locally.",
        },
        "token": {
            "title": "Token",
            "kind": "text",
            "secret": True,
            "help": "Authorization token of the remote interface; also given to the battery itself unless it has "
            "a token of its own.",
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
            "choices": ["auto", "v2", "v1", "cloud"],
            "default": "auto",
            "help": "`auto` tries v2, v1 and the remote interface, and stays with the one that answers.",
        },
        "local_token": {
            "title": "Token of the battery",
            "kind": "text",
            "secret": True,
            "help": "The JSON API token made on the battery's own page, where it differs from the token above.",
        },
        "cloud_url": {
            "title": "Remote address",
            "kind": "url",
            "default": "https://core-api.sonnenbatterie.de",
            "help": "Web address of the remote interface.",
        },
        "max_charge_w": {
            "title": "Charge limit (W)",
            "kind": "integer",
            "minimum": 0,
            "maximum": 100000,
            "help": "The most that a control message may charge with. Without it, charging is refused.",
        },
        "max_discharge_w": {
            "title": "Discharge limit (W)",
            "kind": "integer",
            "minimum": 0,
            "maximum": 100000,
            "help": "The most that a control message may discharge with. Without it, discharging is refused.",
        },
        "self_consumption_mode": {
            "title": "Mode after control",
            "kind": "choice",
            "choices": ["8", "2"],
            "help": "Operating mode that is self-consumption: 8 in the US, 2 in Europe and Australia. Without it, "
            "the mode that was found.",
        },
    },
    "example": {
        "ip": "198.129.119.220",
        "serial": "12345",
        "token": "0123456701234567012345670123456701234567012345670123456701234567",
    },
    "units": {
        r"status\.(.+_W|Consumption_Avg)": "W",
        r"status\.(Apparent_output|Sac\d)": "VA",
        r"status\.(RSOC|USOC|BackupBuffer)": "%",
        r"status\.RemainingCapacity_Wh": "Wh",
        r"status\.(Uac|Ubat)": "V",
        r"status\.Fac": "Hz",
        r"battery\.battery_status\.(relativestateofcharge|stateofhealth)": "%",
        r"battery\.battery_status\..*voltagenum": "",
        r"battery\.battery_status\..*voltage": "V",
        r"battery\.battery_status\..*(current|currentlimit)": "A",
        r"battery\.battery_status\..*temperature": "°C",
        r"battery\.battery_status\..*capacitywh": "Wh",
        r"battery\.battery_status\..*capacity": "Ah",
        r"battery\.battery_status\.systemtime": "s",
    },
}
