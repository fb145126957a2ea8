"""The Quarantine page: messages that ingest could not read, with the reason; they are read again or discarded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from sgmp_console.reports.export import write_file
from sgmp_console.store import houses, quarantine
from sgmp_console.store.quarantine import Quarantined, Rejected, Usage
from sgmp_console.ui import formats, plain_text
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.details_card import DetailsCard
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.files import ask_where_to_save
from sgmp_console.ui.parts.list_page import DELETE_KEYS, ListAction, ListPage
from sgmp_console.ui.parts.message_bar import Tone
from sgmp_console.ui.parts.rows import Column, Mark
from sgmp_console.ui.tasks import Report
from sgmp_console.ui.zones import clock_of_computer, this_computers_zone

_MOST = 1_000
"""Messages in the list, the newest; discarding some shows older ones."""
_EVERY_MS = 10_000


@dataclass(frozen=True)
class Row:
    """`house` is a name, or says that there is none."""

    message: Quarantined
    house: str


@dataclass(frozen=True)
class QuarantineFound:
    messages: tuple[Quarantined, ...]
    usage: Mapping[int | None, Usage]
    houses: Mapping[int, str]


class QuarantinePage(ListPage[Row, QuarantineFound]):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        self._opened_id = 0
        """Of the message whose payload is shown; 0: none is."""
        super().__init__(
            services,
            noun="message",
            called="messages in quarantine",
            columns=self._columns(),
            id_=lambda row: row.message.quarantine_id,
            of_house=False,
            every_ms=_EVERY_MS,
            parent=parent,
        )
        self._payload = LatestOnly[Rejected | None](services.tasks, self._show_payload, self.not_done, self)
        self.table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
        self.declare(
            (
                ListAction(
                    "discard", "Discard", self._ask_to_discard, "some", counted=True, keys=DELETE_KEYS
                ),
                ListAction("save", "Save payload", self._ask_where_to_save, "one"),
                ListAction("replay", "Read again", self._replay, "some", counted=True, primary=True),
            )
        )
        if not services.session.may("manage_devices"):
            for act in ("discard", "replay"):
                self.action(act).setVisible(False)
            self.actions_bar.arrange()

    def _columns(self) -> tuple[Column[Row], ...]:
        return (
            Column(
                clock_of_computer("Received"),
                self._time,
                176,
                sort=lambda row: float(row.message.quarantine_id),
                whole=True,
            ),
            Column("House", lambda row: row.house, 144),
            Column("Reason", lambda row: row.message.reason, mark=_mark),
            Column("Topic", lambda row: row.message.topic, 240, strong=True),
            Column("Size", _size, 96, sort=lambda row: float(row.message.size), right=True, searched=False),
            Column("State", _state, 128),
        )

    def _time(self, row: Row) -> str:
        zone = ZoneInfo(this_computers_zone())
        return formats.moment(row.message.received_ms, self.services.now_ms(), zone, seconds=True)

    # --- The list --------------------------------------------------------------------------------------------------

    def reader(self) -> Callable[[], QuarantineFound]:
        database = self.services.session.database

        def read() -> QuarantineFound:
            with database.begin() as connection:
                return QuarantineFound(
                    tuple(quarantine.list_all(connection, limit=_MOST)),
                    quarantine.usage(connection),
                    {house.house_id: house.name for house in houses.list_all(connection)},
                )

        return read

    def rows_of(self, found: QuarantineFound) -> Sequence[Row]:
        return [Row(message, _house(message.house_id, found.houses)) for message in found.messages]

    def empty_state(self, found: QuarantineFound) -> EmptyState:
        return EmptyState(
            "check",
            "No message is in quarantine",
            f"What ingest can't read is kept here for {quarantine.KEEP_DAYS} days, with the reason.",
        )

    def standing(self) -> tuple[Tone, str, tuple[tuple[str, str], ...]] | None:
        if self.found is None:
            return None
        sentences = []
        stored = sum(usage.messages for usage in self.found.usage.values())
        if stored > len(self.found.messages):
            sentences.append(
                f"The newest {len(self.found.messages):,} of {formats.count(stored, 'message')} are listed."
            )
        if refused := sum(usage.refused for usage in self.found.usage.values()):
            sentences.append(
                f"{formats.count(refused, 'message')} found no room and {'is' if refused == 1 else 'are'} lost."
                " Discard what is not needed."
            )
        return ("warning", " ".join(sentences), ()) if sentences else None

    # --- One message -----------------------------------------------------------------------------------------------

    def below(self, layout: QVBoxLayout) -> None:
        self.details = DetailsCard("Payload")
        layout.addWidget(self.details)

    def actions_shown(self, chosen: Sequence[Row]) -> None:
        if len(chosen) != 1:
            self._opened_id = 0
            self.details.hide()
            return
        message = chosen[0].message
        if message.quarantine_id != self._opened_id:
            self._opened_id = message.quarantine_id
            self._payload.forget()
            self.details.show_details(message.reason, as_text(message.beginning))
            if message.size > len(message.beginning):
                self._payload.ask(partial(_whole, self.services, message.quarantine_id))

    def _show_payload(self, message: Rejected | None) -> None:
        if message is not None:
            self.details.show_details(message.reason, as_text(message.payload))

    def _ask_where_to_save(self) -> None:
        (chosen,) = self.table.chosen()
        name = plain_text.file_name(f"message {chosen.message.quarantine_id}.bin")
        ask_where_to_save(
            self,
            "Save payload",
            name,
            "Payloads (*.bin)",
            partial(self.save_to, chosen.message.quarantine_id),
        )

    def save_to(self, quarantine_id: int, path: Path) -> None:
        """Byte for byte."""

        def work(_report: Report) -> str:
            message = _whole(self.services, quarantine_id)
            if message is None:
                return "The message is gone: it was read again or discarded."
            write_file(path, message.payload)
            return f"{formats.count(len(message.payload), 'byte')} written to {path}."

        self.run_act("Saving the payload", work, lambda sentence: self.say(sentence, "info"))

    # --- Acts ------------------------------------------------------------------------------------------------------

    def _replay(self) -> None:
        ids, database = self._chosen_ids(), self.services.session.database

        def work(_report: Report) -> int:
            with database.begin() as connection:
                return quarantine.request_replay(connection, ids)

        self.run_act("Having messages read again", work, self._replayed)

    def _replayed(self, number: int) -> None:
        self.say(
            f"Ingest reads {formats.count(number, 'message')} again within a minute. What it can't read stays here.",
            "info",
        )
        self.reload()

    def _ask_to_discard(self) -> None:
        ids = self._chosen_ids()
        what = "this message" if len(ids) == 1 else f"{len(ids):,} messages"
        confirm(
            f"Discard {what}?",
            "What is in it is lost for good. Save the payload first if it may be needed.",
            f"Discard {what}",
            self,
            partial(self._discard, ids),
        )

    def _discard(self, ids: Sequence[int]) -> None:
        database = self.services.session.database

        def work(_report: Report) -> int:
            with database.begin() as connection:
                return quarantine.discard(connection, ids)

        self.run_act("Discarding messages", work, self.changed)

    def _chosen_ids(self) -> list[int]:
        return [row.message.quarantine_id for row in self.table.chosen()]


def _whole(services: Services, quarantine_id: int) -> Rejected | None:
    with services.session.database.begin() as connection:
        return quarantine.whole(connection, quarantine_id)


def as_text(payload: bytes) -> str:
    """As text where it is UTF-8, else its bytes in hexadecimal, 16 in a line."""
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        # The beginning of a text may end within a character.
        if error.start > 0 and error.start >= len(payload) - 3 and error.reason == "unexpected end of data":
            return payload[: error.start].decode()
    return "\n".join(
        f"{start:08x}  {payload[start : start + 16].hex(' ')}" for start in range(0, len(payload), 16)
    )


def _house(house_id: int | None, known: Mapping[int, str]) -> str:
    return "No house" if house_id is None else known.get(house_id, "A deleted house")


def _size(row: Row) -> str:
    return f"{row.message.size:,} B"


def _state(row: Row) -> str:
    return "Is read again" if row.message.replay else "Set aside"


def _mark(row: Row) -> Mark | None:
    return Mark("clock", "ink_muted") if row.message.replay else Mark("warning", "state_warning")
