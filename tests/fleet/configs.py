"""Configs of devices, as the playbook's examples."""

from __future__ import annotations

from typing import Any

TOKEN = "0123456701234567012345670123456701234567012345670123456701234567"

KEYS = [
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
]

SONNEN: dict[str, Any] = {"ip": "198.129.119.220", "serial": "12345", "token": TOKEN}
EGAUGE: dict[str, Any] = {"ip": "198.129.116.113", "keys": KEYS}
POWERFLEX: dict[str, Any] = {
    "acc_id": "03",
    "acs_id": "02",
    "password": "mysuperstrongpassword",
    "url": "https://slac.powerflex.com:9443",
    "username": "user@domain.name",
}
