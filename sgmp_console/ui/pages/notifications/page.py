"""Who is notified of findings: mail addresses and webhooks, of one house or of all; a test message for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtWidgets import QLineEdit, QWidget

from sgmp_console.errors import UserError
from sgmp_console.store import House, findings, houses
from sgmp_console.store.findings import Channel, Recipient, Sent, Severity
from sgmp_console.ui import finding_words, fonts, formats
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.dialogs.form_dialog import FormDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import ComboBox
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.list_page import CREATE_KEYS, DELETE_KEYS, ListAction, ListPage
from sgmp_console.ui.parts.message_bar import Tone
from sgmp_console.ui.parts.rows import Column, Mark
from sgmp_console.ui.tasks import Report
from sgmp_console.watch import recipients

_TEST_S = 60.0
_CHANNELS = {Channel.MAIL: "Mail", Channel.WEBHOOK: "Webhook"}
_SEVERITIES = {
    Severity.INFO: "Everything",
    Severity.WARNING: "Warnings and worse",
    Severity.CRITICAL: "Critical only",
}


@dataclass(frozen=True)
class RecipientRow:
    recipient: Recipient
    house: str
    now_ms: int


@dataclass(frozen=True)
class RecipientsFound:
    recipients: tuple[Recipient, ...]
    houses: tuple[House, ...]
    watch_age_ms: int | None


def _state(row: RecipientRow) -> str:
    one = row.recipient
    if one.problem:
        return one.problem
    if one.waiting:
        return f"{formats.count(one.waiting, 'message')} waiting"
    return "Nothing was sent yet" if one.sent_ms is None else "Ok"


def _mark(row: RecipientRow) -> Mark | None:
    one = row.recipient
    if one.problem:
        return Mark("warning", "state_warning")
    return Mark("check", "state_ok") if one.sent_ms is not None and not one.waiting else None


def _sent(row: RecipientRow) -> str:
    sent_ms = row.recipient.sent_ms
    return formats.MISSING if sent_ms is None else formats.age(sent_ms, row.now_ms)


COLUMNS: tuple[Column[RecipientRow], ...] = (
    Column("Address", lambda row: row.recipient.address, 240, strong=True),
    Column("By", lambda row: _CHANNELS[row.recipient.channel], 88),
    Column("House", lambda row: row.house, 160),
    Column("Findings", lambda row: _SEVERITIES[row.recipient.least_severity], 160),
    Column("Last sent", _sent, 112, sort=lambda row: float(row.recipient.sent_ms or 0), whole=True),
    Column("State", _state, mark=_mark),
)


class NotificationsPage(ListPage[RecipientRow, RecipientsFound]):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(
            services,
            noun="recipient",
            columns=COLUMNS,
            id_=lambda row: row.recipient.recipient_id,
            of_house=False,
            every_ms=10_000,
            parent=parent,
        )
        self.declare(
            (
                ListAction("remove", "Remove", self._ask_to_remove, "some", counted=True, keys=DELETE_KEYS),
                ListAction("test", "Send test message", self._test, "one"),
                ListAction("add", "Add recipient", self._add, keys=CREATE_KEYS, primary=True),
            )
        )

    def reader(self) -> Callable[[], RecipientsFound]:
        database = self.services.session.database

        def read() -> RecipientsFound:
            with database.begin() as connection:
                return RecipientsFound(
                    tuple(findings.recipients(connection)),
                    tuple(houses.list_all(connection)),
                    findings.watch_age_ms(connection),
                )

        return read

    def rows_of(self, found: RecipientsFound) -> Sequence[RecipientRow]:
        names = {house.house_id: house.name for house in found.houses}
        now_ms = self.services.now_ms()
        return [
            RecipientRow(
                one,
                "All houses" if one.house_id is None else names.get(one.house_id, "A deleted house"),
                now_ms,
            )
            for one in found.recipients
        ]

    def empty_state(self, found: RecipientsFound) -> EmptyState:
        return EmptyState(
            "info",
            "Nobody is notified yet",
            "Recipients get one message when something is found to be wrong, and one when it is over, by mail or by a "
            f"signed webhook. {self._watch_problem(found)}".rstrip(),
            (("add", "Add recipient"),),
        )

    def standing(self) -> tuple[Tone, str, tuple[tuple[str, str], ...]] | None:
        """That no watch runs."""
        problem = self._watch_problem(self.found) if self.found is not None else ""
        return ("warning", problem, ()) if problem else None

    def _watch_problem(self, found: RecipientsFound) -> str:
        now_ms = self.services.now_ms()
        watched_ms = None if found.watch_age_ms is None else now_ms - found.watch_age_ms
        problem = finding_words.watch_problem(watched_ms, now_ms)
        return f"{problem}. No messages are sent until it runs." if problem else ""

    def _add(self) -> None:
        if self.found is not None:
            dialog = AddRecipient(self.services, self.found.houses, self)
            dialog.saved.connect(self._saved)
            dialog.left.connect(self.reload)
            dialog.open()

    def _saved(self, recipient_id: int) -> None:
        self.say("")
        self.reload_and_select(recipient_id)

    def _test(self) -> None:
        chosen = self.table.chosen()
        if len(chosen) != 1:
            return
        database, one = self.services.session.database, chosen[0].recipient

        def work(_report: Report) -> Sent:
            return recipients.send_test(database, one.recipient_id, _TEST_S)

        self.run_act(f"Sending a test message to {one.address}", work, partial(self._tested, one))

    def _tested(self, one: Recipient, sent: Sent) -> None:
        if sent.failed:
            self.say(sent.problem)
        else:
            self.say(f"{one.address} has taken a test message.", "info")
        self.reload()

    def _ask_to_remove(self) -> None:
        chosen = [row.recipient for row in self.table.chosen()]
        what = chosen[0].address if len(chosen) == 1 else f"{len(chosen)} recipients"
        confirm(
            f"Remove {what}?",
            "Messages that wait are not sent. This can't be undone; the secret of a webhook is forgotten.",
            f"Remove {what}",
            self,
            partial(self._remove, [one.recipient_id for one in chosen]),
        )

    def _remove(self, recipient_ids: Sequence[int]) -> None:
        database = self.services.session.database

        def work(_report: Report) -> None:
            with database.begin() as connection:
                for recipient_id in recipient_ids:
                    findings.remove_recipient(connection, recipient_id)

        self.run_act("Removing recipients", work, self.changed)


class AddRecipient(FormDialog[int]):
    """`saved` carries the recipient's id. The secret of a webhook is shown here, and nowhere else."""

    def __init__(self, services: Services, known: Sequence[House], parent: QWidget) -> None:
        super().__init__(
            services, "Add recipient", "Add recipient", "Adding recipient", parent,
            context=services.session.profile.name,
        )  # fmt: skip
        self._all_houses = services.session.may("all_houses")
        self.address = QLineEdit()
        self.house = ComboBox()
        if self._all_houses:
            self.house.addItem("All houses", None)
        for house in known:
            self.house.addItem(house.name, house.house_id)
        self.severity = ComboBox()
        for severity, words in _SEVERITIES.items():
            self.severity.addItem(words, severity.value)
        self.severity.setCurrentIndex(1)
        self.secret = QLineEdit(recipients.new_secret())
        self.secret.setReadOnly(True)
        help_text = "An email address, or a webhook such as https://example.org/sgmp."
        self.naming = self.add_field(
            "Address",
            self.address,
            help_text if self._all_houses else "An email address.",
            check=self._address_problem,
        )
        self.add_field("House", self.house, "Whose findings they are notified of.")
        self.add_field("Findings", self.severity)
        self._secret_field = self.add_field(
            "Secret of the webhook",
            self.secret,
            "Copy it to the receiver, which checks the signature with it. It is shown only now.",
        )
        self.secret.setFont(fonts.font("fixed"))
        self.address.textChanged.connect(self._address_changed)
        self._address_changed()
        self.ready()
        self.address.setFocus()

    def entries(self) -> tuple[str, int | None, str]:
        return self.address.text().strip(), self.house.currentData(), self.severity.currentData()

    def work(self) -> Callable[[Report], int]:
        database, address, secret = (
            self.services.session.database,
            self.address.text(),
            self.secret.text(),
        )
        house_id, severity = self.house.currentData(), Severity(self.severity.currentData())

        def add(_report: Report) -> int:
            with database.begin() as connection:
                recipients.add(connection, address, secret=secret, house_id=house_id, least_severity=severity)
                return recipients.by_address(connection, address, house_id).recipient_id

        return add

    def _address_changed(self) -> None:
        self._secret_field.setVisible("://" in self.address.text())
        self.fit()

    def _address_problem(self) -> str:
        try:
            channel, _ = recipients.checked(self.address.text())
        except UserError as error:
            return str(error)
        if channel is Channel.WEBHOOK and not self._all_houses:
            return "Only who sees all houses may add a webhook."
        return ""
