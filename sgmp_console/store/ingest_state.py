"""How each ingest is doing, as it reports itself, for the console's status bar."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sgmp_console.store.rows import to_ms


class Alarm(StrEnum):
    """What needs somebody, worst first."""

    BROKER_DROPPED = "broker_dropped"
    NOT_STORING = "not_storing"
    CERTIFICATE_EXPIRED = "certificate_expired"
    TAKEN_OVER = "taken_over"
    ONLY_REPEATS = "only_repeats"
    QUARANTINE_FULL = "quarantine_full"
    FLOOD = "flood"
    REFUSED = "refused"
    BROKER_FILLING = "broker_filling"
    LATE_HOUSES = "late_houses"
    WITHOUT_RECEIPT = "without_receipt"
    RETAINED = "retained"
    NOT_NOTIFYING = "not_notifying"


@dataclass(frozen=True)
class IngestState:
    """`updated_ms`: UTC ms by the database's clock. A state that has not been updated for long is of a dead ingest."""

    name: str
    updated_ms: int
    statistics: Mapping[str, Any]

    @property
    def alarms(self) -> dict[Alarm, str]:
        """Each with its sentence for operators, worst first."""
        reported = self.statistics.get("alarms")
        if not isinstance(reported, Mapping):
            return {}
        return {
            alarm: sentence(alarm, reported[alarm.value])
            for alarm in Alarm
            if isinstance(reported.get(alarm.value), Mapping)
        }


def sentence(alarm: Alarm, about: Mapping[str, Any]) -> str:
    """For operators: what happened, and what to do."""
    houses = about.get("houses", {})
    which = ", ".join(str(one)[:64] for one in list(houses)[:5]) + (", ..." if len(houses) > 5 else "")
    count, reason = about.get("messages", 0), about.get("reason", "")
    match alarm:
        case Alarm.BROKER_DROPPED:
            return (
                f"The broker dropped {count:,} messages because its queue was full. Raise max_queued_messages and "
                "max_queued_bytes in mosquitto.conf; what it dropped is lost."
            )
        case Alarm.NOT_STORING:
            return (
                f"For {about.get('seconds', 0)} s nothing could be stored{f': {reason}' if reason else '.'} The broker keeps "
                "what arrives; ingest's log says more."
            )
        case Alarm.CERTIFICATE_EXPIRED:
            return "The broker's certificate is not valid at this time. It needs a new one; check the clocks, too."
        case Alarm.TAKEN_OVER:
            return (
                f"The broker ends the connection of ingest {str(about.get('name', ''))[:64]} again and again, as it does when "
                "two ingests have one name. Stop one, or give it a name and certificate of its own."
            )
        case Alarm.ONLY_REPEATS:
            return "For a minute nearly all that ingest received was stored before. New readings wait in the broker."
        case Alarm.FLOOD:
            return (
                f"House {which} sends far more messages than an edge does ({', '.join(f'{rate:,} a second' for rate in list(houses.values())[:5])}). "
                "Others take their turn; renew its credentials if the edge is not to blame."
            )
        case Alarm.REFUSED:
            return (
                f"House {which} sent far more messages than an edge does: for a while the broker refuses what it publishes, "
                "so that others don't wait. Its edge keeps its readings; renew its credentials if the edge is not to blame."
            )
        case Alarm.BROKER_FILLING:
            return f"{count:,} messages wait in the broker. When its queue is full, it drops messages."
        case Alarm.LATE_HOUSES:
            return f"House {which}: no new readings, though its edge has not said good-bye."
        case Alarm.WITHOUT_RECEIPT:
            return (
                f"House {which} sends messages that ask for no receipt (QoS 0). They are not stored: an edge of SGMP "
                "always asks for one."
            )
        case Alarm.QUARANTINE_FULL:
            return (
                f"House {which} has sent more unreadable messages than quarantine holds; further ones are lost. Look at their "
                "reason, then discard them or have them read again (0 stands for messages of no house)."
            )
        case Alarm.RETAINED:
            return (
                f"House {which} leaves messages in the broker for good (retained), which no edge of SGMP does. They take the "
                "broker's memory: renew its credentials, and remove them (mosquitto_pub -r -n)."
            )
        case Alarm.NOT_NOTIFYING:
            return (
                "Open windows are not notified of new readings: PostgreSQL's queue of notifications is full."
            )


def report(connection: sa.Connection, name: str, statistics: Mapping[str, Any]) -> None:
    """As ingest or owner."""
    connection.execute(
        sa.text("SELECT sgmp.report_ingest(:name, CAST(:statistics AS jsonb))"),
        {"name": name, "statistics": json.dumps(statistics)},
    )


def read(connection: sa.Connection) -> list[IngestState]:
    """All that ever reported, in order of name. Alarms of other houses than the account's are left out."""
    rows = connection.exec_driver_sql(
        "SELECT name, updated_at, statistics FROM sgmp.ingest_states ORDER BY name"
    )
    return [IngestState(name, to_ms(at), statistics) for name, at, statistics in rows]
