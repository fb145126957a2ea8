"""Who is notified of what, over real SMTP and real HTTP."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from email.message import Message
from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.cloud import mail
from sgmp_console.cloud.mail import SmtpMailer
from sgmp_console.errors import UserError
from sgmp_console.store import findings, watching
from sgmp_console.store.findings import Channel, Once, Severity
from sgmp_console.watch import webhook as webhook_module
from sgmp_console.watch.delivery import Sender, deliver
from sgmp_console.watch.service import notify
from sgmp_console.watch.webhook import checked_address
from tests.smtp import SmtpServer, running_smtp
from tests.waiting import wait_until
from tests.watch.conftest import MINUTE, Fleet, WatchedHouse
from tests.webhook import Webhook, running_webhook

pytestmark = pytest.mark.expected_warnings("watch.delivery: message")


LOOPBACK = (ipaddress.ip_network("127.0.0.1"),)

DOWN = "Device is down: no answer within 3 s"
SECRET = "a secret of the receiver's"


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with running_smtp() as running:
        yield running


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with running_webhook() as running:
        yield running


class Post:
    """Sends what is due, as the watch's thread does."""

    def __init__(self, fleet: Fleet, smtp: SmtpServer) -> None:
        self._fleet = fleet
        self._smtp = smtp

    def send(self, patience_s: float = 20.0) -> None:
        """All that is due now. `patience_s`: how long the mail server may be silent."""
        mailer = SmtpMailer("127.0.0.1", "watch@example.org", self._smtp.port, timeout_s=patience_s)
        sender = Sender("sgmp", mailer, LOOPBACK)
        stop = threading.Event()

        def send(claimed: watching.Claimed) -> None:
            sender.send(claimed)

        def ends_when_idle() -> None:
            wait_until(lambda: not self._due(), 20)
            stop.set()

        waiting = threading.Thread(target=ends_when_idle)
        waiting.start()
        deliver(self._fleet.database, send, stop)
        waiting.join()

    def _due(self) -> bool:
        with self._fleet.database.begin() as connection:
            return bool(
                connection.exec_driver_sql(
                    "SELECT EXISTS (SELECT FROM sgmp.notification WHERE sent_at IS NULL AND failed_at IS NULL"
                    " AND not_before <= clock_timestamp())"
                ).scalar_one()
            )


@pytest.fixture
def post(fleet: Fleet, smtp: SmtpServer) -> Post:
    return Post(fleet, smtp)


def add_recipient(fleet: Fleet, channel: Channel, address: str, **options: Any) -> int:
    with fleet.database.begin() as connection:
        number = findings.add_recipient(connection, channel, address, **options)
        # Before anything that the test lets happen.
        connection.exec_driver_sql("UPDATE sgmp.recipient SET created_at = now() - interval '1 day'")
        return number


def subjects(mails: list[Message]) -> list[str]:
    return [" ".join(str(mail["Subject"]).split()) for mail in mails]


def breaks_and_recovers(fleet: Fleet, house: WatchedHouse, post: Post) -> None:
    house.warns(DOWN, "down", since_ms=fleet.now_ms)
    fleet.turn(1_000)
    post.send()
    house.warns("Device is back", "back")
    fleet.turn(1_000)
    fleet.all_is_well(MINUTE)
    fleet.turn()
    post.send()


def test_one_mail_when_a_finding_opens_and_one_when_it_closes(
    fleet: Fleet, north: WatchedHouse, smtp: SmtpServer, post: Post
) -> None:
    add_recipient(fleet, Channel.MAIL, "ann@example.org")
    breaks_and_recovers(fleet, north, post)
    for _ in range(3):
        fleet.turn(1_000)
        post.send()
    assert subjects(smtp.mails) == [
        "[sgmp] North: battery is down: no answer within 3 s",
        "[sgmp] Over: North: battery is down: no answer within 3 s",
    ]
    opened, over = (mail.get_payload(decode=True).decode() for mail in smtp.mails)  # type: ignore[union-attr]
    assert "Critical." in opened
    assert "Look at the device, its network and its credentials." in opened
    assert "over at" in over
    assert "after 1 s" in over


def test_a_webhook_gets_signed_json(fleet: Fleet, north: WatchedHouse, webhook: Webhook, post: Post) -> None:
    add_recipient(fleet, Channel.WEBHOOK, webhook.url, secret=SECRET)
    breaks_and_recovers(fleet, north, post)
    headers, body = webhook.received[0]
    signed = hmac.new(
        SECRET.encode(), f"{headers['X-SGMP-Timestamp']}.".encode() + body, hashlib.sha256
    ).hexdigest()
    assert headers["X-SGMP-Signature"] == f"sha256={signed}"
    opened, closed = webhook.documents()
    assert headers["Idempotency-Key"] == opened["key"] != closed["key"]
    assert [one["kind"] for one in (opened, closed)] == ["opened", "closed"]
    (about,) = opened["findings"]
    assert (about["house"], about["device"], about["rule"], about["severity"]) == (
        "North",
        "battery",
        "device_down",
        "critical",
    )


@pytest.mark.parametrize(
    ("fault", "channel"), [("busy", "mail"), ("hang", "mail"), ("503", "webhook"), ("429", "webhook")]
)
def test_what_is_not_taken_is_sent_again_with_the_same_key(
    fleet: Fleet,
    north: WatchedHouse,
    smtp: SmtpServer,
    webhook: Webhook,
    post: Post,
    fault: str,
    channel: str,
) -> None:
    server: SmtpServer | Webhook = smtp if channel == "mail" else webhook
    address = "ann@example.org" if channel == "mail" else webhook.url
    add_recipient(fleet, Channel(channel), address)
    server.fault = fault
    north.warns(DOWN, "down")
    fleet.turn(1_000)
    post.send(0.5 if fault == "hang" else 20.0)
    assert (smtp.mails, webhook.received) == ([], [])
    with fleet.database.begin() as connection:
        (recipient,) = findings.recipients(connection)
        connection.exec_driver_sql("UPDATE sgmp.notification SET not_before = now()")
    assert (recipient.waiting, recipient.problem != "") == (1, True)
    post.send()
    assert len(smtp.mails) + len(webhook.received) == 1


def test_a_mail_whose_answer_was_lost_is_the_same_mail_again(
    fleet: Fleet, north: WatchedHouse, smtp: SmtpServer, post: Post
) -> None:
    add_recipient(fleet, Channel.MAIL, "ann@example.org")
    smtp.fault = "lost"
    north.warns(DOWN, "down")
    fleet.turn(1_000)
    post.send()
    with fleet.database.begin() as connection:
        connection.exec_driver_sql("UPDATE sgmp.notification SET not_before = now()")
    post.send()
    first, second = smtp.mails
    assert first["Message-ID"] == second["Message-ID"]


def test_a_refused_address_is_a_finding_and_keeps_nobody_elses_messages(
    fleet: Fleet, north: WatchedHouse, smtp: SmtpServer, post: Post
) -> None:
    add_recipient(fleet, Channel.MAIL, "gone@example.org")
    smtp.fault = "recipient"
    north.warns(DOWN, "down")
    fleet.turn(1_000)
    post.send()
    for _ in range(12):
        fleet.all_is_well(MINUTE)
        fleet.turn()
    assert [one.subject for one in fleet.open() if one.rule == "delivery"] == ["gone@example.org"]


def test_recipients_hear_of_their_houses_and_severities_only(
    fleet: Fleet, smtp: SmtpServer, post: Post
) -> None:
    north, south = fleet.add("North"), fleet.add("South")
    fleet.all_is_well()
    add_recipient(fleet, Channel.MAIL, "all@example.org", least_severity=Severity.INFO)
    add_recipient(fleet, Channel.MAIL, "north@example.org", house_id=north.house.house_id)
    add_recipient(fleet, Channel.MAIL, "worst@example.org", least_severity=Severity.CRITICAL)
    north.warns("the fan is loud")
    south.warns(DOWN, "down")
    fleet.turn(1_000)
    post.send()
    assert sorted((str(mail["To"]), str(mail["Subject"])[:12]) for mail in smtp.mails) == [
        ("all@example.org", "[sgmp] North"),
        ("all@example.org", "[sgmp] South"),
        ("north@example.org", "[sgmp] North"),
        ("worst@example.org", "[sgmp] South"),
    ]


def test_what_names_an_account_or_another_recipient_goes_to_those_of_all_houses(
    fleet: Fleet, north: WatchedHouse, smtp: SmtpServer, post: Post
) -> None:
    add_recipient(fleet, Channel.MAIL, "all@example.org", least_severity=Severity.INFO)
    for address in ("north@example.org", "gone@example.org"):
        add_recipient(
            fleet, Channel.MAIL, address, house_id=north.house.house_id, least_severity=Severity.INFO
        )
    with fleet.database.begin() as connection:
        store.accounts.create(
            connection,
            email="new@example.org",
            name="New",
            role="visitor",
            house_id=north.house.house_id,
            password="correct horse battery",
        )
        connection.exec_driver_sql("UPDATE sgmp.account SET password_set_at = now() - interval '6 days'")
        connection.exec_driver_sql(
            "INSERT INTO sgmp.notification (recipient_id, kind, created_at, attempts, problem, not_before)"
            " SELECT recipient_id, 'opened', now() - interval '1 hour', 1, 'refused', now() + interval '1 day'"
            " FROM sgmp.recipient WHERE address = 'gone@example.org'"
        )
    for _ in range(12):
        fleet.all_is_well(MINUTE)
        fleet.turn()
    assert {"initial_password", "delivery"} <= fleet.rules()
    post.send()
    assert {str(mail["To"]) for mail in smtp.mails} == {"all@example.org"}


def test_who_is_added_later_is_not_notified_of_what_is_open(
    fleet: Fleet, north: WatchedHouse, smtp: SmtpServer, post: Post
) -> None:
    north.warns(DOWN, "down")
    fleet.turn(1_000)
    with fleet.database.begin() as connection:
        findings.add_recipient(connection, Channel.MAIL, "late@example.org")
    fleet.turn(1_000)
    post.send()
    assert smtp.mails == []


def test_above_twenty_messages_in_five_minutes_come_as_one(
    fleet: Fleet, smtp: SmtpServer, webhook: Webhook, post: Post
) -> None:
    houses = [fleet.add(f"House {number}") for number in range(30)]
    fleet.all_is_well()
    add_recipient(fleet, Channel.MAIL, "ann@example.org")
    add_recipient(fleet, Channel.WEBHOOK, webhook.url)
    for house in houses:
        house.warns(DOWN, "down")
    fleet.turn(1_000)
    post.send()
    assert len(smtp.mails) == len(webhook.received) == 20
    houses[29].warns("Device is back", "back")
    fleet.turn(1_000)
    fleet.all_is_well(MINUTE)
    fleet.turn()
    post.send()
    assert len(smtp.mails) == 20
    with fleet.database.begin() as connection:
        connection.exec_driver_sql("UPDATE sgmp.notification SET not_before = now() WHERE kind = 'digest'")
    post.send()
    assert subjects(smtp.mails)[20:] == ["[sgmp] 10 findings, 1 over, in 10 houses"]
    (digest,) = webhook.documents()[20:]
    assert sorted(one["kind"] for one in digest["findings"]) == ["closed"] + ["opened"] * 10


def test_a_time_of_maintenance_keeps_messages_back_and_what_is_open_after_it_is_sent(
    fleet: Fleet, smtp: SmtpServer, post: Post
) -> None:
    north, south = fleet.add("North"), fleet.add("South")
    fleet.all_is_well()
    add_recipient(fleet, Channel.MAIL, "ann@example.org")
    with fleet.database.begin() as connection:
        findings.add_window(
            connection, Once(fleet.now_ms, fleet.now_ms + MINUTE), house_id=north.house.house_id
        )
    north.warns(DOWN, "down")
    south.warns(DOWN, "down")
    fleet.turn(1_000)
    post.send()
    assert subjects(smtp.mails) == ["[sgmp] South: battery is down: no answer within 3 s"]
    fleet.ingest()
    fleet.turn(MINUTE)
    post.send()
    assert subjects(smtp.mails)[1:] == ["[sgmp] North: battery is down: no answer within 3 s"]


def test_nobody_is_notified_of_what_somebody_took_note_of(
    fleet: Fleet, north: WatchedHouse, smtp: SmtpServer, post: Post
) -> None:
    north.warns(DOWN, "down")
    (finding,) = [one for one in fleet.turn(1_000) if one.rule == "device_down"]
    with fleet.database.begin() as connection:
        assert findings.acknowledge(connection, finding.finding_id, " I am on my way ")
    add_recipient(fleet, Channel.MAIL, "ann@example.org")
    fleet.turn(1_000)
    post.send()
    assert smtp.mails == []
    (noted,) = [one for one in fleet.open() if one.rule == "device_down"]
    assert (noted.state, noted.note) == ("acknowledged", "I am on my way")


def test_what_is_silenced_comes_back_with_a_reminder(
    fleet: Fleet, north: WatchedHouse, smtp: SmtpServer, post: Post
) -> None:
    add_recipient(fleet, Channel.MAIL, "ann@example.org")
    north.warns(DOWN, "down")
    (finding,) = [one for one in fleet.turn(1_000) if one.rule == "device_down"]
    post.send()
    with fleet.database.begin() as connection:
        until_ms = int(connection.exec_driver_sql("SELECT extract(epoch FROM now()) * 1000").scalar_one())
        findings.silence(connection, finding.finding_id, until_ms + MINUTE)
        assert notify(connection, fleet.now_ms) == 0
    (silenced,) = [one for one in fleet.open() if one.rule == "device_down"]
    assert silenced.state == "silenced"
    with fleet.database.begin() as connection:
        connection.exec_driver_sql("UPDATE sgmp.finding_act SET until = clock_timestamp()")
    fleet.turn(1_000)
    fleet.turn(1_000)
    post.send()
    assert subjects(smtp.mails)[1:] == ["[sgmp] Still: North: battery is down: no answer within 3 s"]
    (again,) = [one for one in fleet.open() if one.rule == "device_down"]
    assert again.state == "active"


def test_a_test_message_says_what_became_of_it(
    fleet: Fleet, north: WatchedHouse, smtp: SmtpServer, post: Post
) -> None:
    number = add_recipient(fleet, Channel.MAIL, "ann@example.org")
    with fleet.database.begin() as connection:
        sent = findings.send_test(connection, number)
    post.send()
    smtp.fault = "recipient"
    with fleet.database.begin() as connection:
        assert findings.sent(connection, sent).sent_ms is not None
        refused = findings.send_test(connection, number)
    post.send()
    with fleet.database.begin() as connection:
        became = findings.sent(connection, refused)
    assert became.failed
    assert "takes no mail for ann@example.org (550)" in became.problem
    assert subjects(smtp.mails) == ["[sgmp] Test message"]


def test_what_was_to_be_sent_to_a_removed_recipient_is_not_sent(
    fleet: Fleet, north: WatchedHouse, smtp: SmtpServer, post: Post
) -> None:
    number = add_recipient(fleet, Channel.MAIL, "ann@example.org")
    north.warns(DOWN, "down")
    fleet.turn(1_000)
    with fleet.database.begin() as connection:
        findings.remove_recipient(connection, number)
        assert watching.claim(connection, 10) == []
        assert findings.recipients(connection) == []


def test_a_claim_of_a_sender_that_is_no_more_is_taken_over(fleet: Fleet, north: WatchedHouse) -> None:
    add_recipient(fleet, Channel.MAIL, "ann@example.org")
    north.warns(DOWN, "down")
    fleet.turn(1_000)
    sender = store.Database.connect(fleet.database_url)
    with sender.begin() as connection:
        (first,) = watching.claim(connection, 10)
    with fleet.database.begin() as connection:
        assert watching.claim(connection, 10) == []
    sender.dispose()

    def claimed_again() -> list[str]:
        with fleet.database.begin() as connection:
            return [one.key for one in watching.claim(connection, 10)]

    wait_until(lambda: claimed_again() == [first.key])


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/x",
        "ftp://example.org",
        "https://user:pass@example.org",
        "https://:pass@example.org",
        "https://@example.org",
        "https://example.org:0",
        "https://exa mple.org",
        "https://example.org/a\r\nX-Evil: 1",
        "https://example.org\\.evil.example",
        "https://example.org/ä",
        "https://" + "a" * 70 + ".example.org",
        "https://.example.org",
        "https://",
        "example.org",
        "https://[::1",
        "https://example.org:99999",
    ],
)
def test_a_webhook_is_reached_over_tls_only(address: str) -> None:
    with pytest.raises(UserError, match="looks like https"):
        checked_address(address)


INTERNAL = [
    "https://127.0.0.1/x",
    "http://localhost:9/x",
    "https://[::1]/",
    "https://169.254.169.254/latest/meta-data",
    "https://[fd00:ec2::254]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://2130706433/",
    "https://127.1/",
    "https://0/",
    "https://10.0.0.1/",
    "https://192.168.1.1:8443/",
    "https://100.64.0.1/",
    "https://[fe80::1]/",
    "https://224.0.1.1/",
]


@pytest.mark.parametrize("address", INTERNAL)
def test_a_webhook_is_not_sent_into_the_watchs_own_networks(address: str) -> None:
    with pytest.raises(webhook_module.WebhookRefused, match="may not send to"):
        webhook_module.post(address, SECRET, {}, "key")


def test_a_name_of_an_internal_address_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked up once: a name server that says something else the second time changes nothing."""
    answers = iter(["127.0.0.1", "93.184.215.14"])
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, **_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))],
    )
    with pytest.raises(webhook_module.WebhookRefused, match="may not send to"):
        webhook_module.post("https://rebinding.example.org/", SECRET, {}, "key")


def test_why_a_receiver_can_not_be_reached_is_said_in_plain_words() -> None:
    with pytest.raises(webhook_module.WebhookUnavailable, match="its name is not known here"):
        webhook_module.post("https://nobody.invalid/sgmp", SECRET, {}, "key")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(webhook_module.WebhookUnavailable, match="nothing listens there"):
        webhook_module.post(f"http://127.0.0.1:{port}/", SECRET, {}, "key", LOOPBACK)


@pytest.mark.parametrize(
    "part",
    [
        b"H",
        b"HTTP/1.1 103 Hints\r\nX: ",
        b"HTTP/1.1 103 Hints\r\n\r\n" * 99,
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 204 No Content\r\n\r\nmuch",
    ],
)
def test_a_receiver_that_sends_a_byte_now_and_then_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, part: bytes
) -> None:
    monkeypatch.setattr(webhook_module, "WITHIN_S", 0.2)
    with trickling(part) as port:
        began = time.monotonic()
        with contextlib.suppress(webhook_module.WebhookUnavailable):
            webhook_module.post(f"http://127.0.0.1:{port}/", SECRET, {}, "key", LOOPBACK)
        assert time.monotonic() - began < 20


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_an_interim_answer_of_a_receiver_is_not_the_answer(interim: bytes) -> None:
    before = b"HTTP/1.1 " + interim + b"\r\nLink: </a>\r\n\r\n"
    with trickling(before + before + b"HTTP/1.1 204 No Content\r\n\r\n") as port:
        webhook_module.post(f"http://127.0.0.1:{port}/", SECRET, {}, "key", LOOPBACK)
    with (
        trickling(before + b"HTTP/1.1 410 Gone\r\n\r\n") as port,
        pytest.raises(webhook_module.WebhookRefused, match="answered 410"),
    ):
        webhook_module.post(f"http://127.0.0.1:{port}/", SECRET, {}, "key", LOOPBACK)


@pytest.mark.parametrize("part", [b"2", b"220-welcome\r\n"])
def test_a_mail_server_that_sends_a_byte_now_and_then_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, part: bytes
) -> None:
    monkeypatch.setattr(mail, "WITHIN_S", 0.2)
    with trickling(part) as port:
        began = time.monotonic()
        with pytest.raises(mail.MailUnavailable, match="did not answer in time"):
            SmtpMailer("127.0.0.1", "watch@example.org", port, timeout_s=2).check()
        assert time.monotonic() - began < 20


@contextlib.contextmanager
def trickling(part: bytes) -> Iterator[int]:
    """A server that sends a part at once and goes on with it, byte by byte, without end."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(part)
            while not stop.wait(0.05):
                connection.sendall(part[-1:] if len(part) < 10 or part[:1] == b"H" else part)

    with listener:
        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            serving.join()


def test_a_message_that_takes_long_keeps_no_other_from_another_sender(
    fleet: Fleet, north: WatchedHouse
) -> None:
    for name in ("ann", "bob"):
        add_recipient(fleet, Channel.MAIL, f"{name}@example.org")
    north.warns(DOWN, "down")
    fleet.turn(1_000)
    stop, sending, taken = threading.Event(), threading.Event(), []

    def send(claimed: watching.Claimed) -> None:
        taken.append(claimed.address)
        sending.set()
        stop.wait(20)

    sender = threading.Thread(target=deliver, args=(fleet.database, send, stop))
    sender.start()
    try:
        assert sending.wait(20)
        with fleet.database.begin() as connection:
            other = [claimed.address for claimed in watching.claim(connection, 10)]
    finally:
        stop.set()
        sender.join()
    assert sorted([*taken[:1], *other]) == ["ann@example.org", "bob@example.org"]


def test_after_a_restart_of_the_database_claims_last_longer_than_a_message_takes_and_no_minute() -> None:
    assert max(mail.WITHIN_S, webhook_module.WITHIN_S) < watching.CLAIM_GRACE_S < 60


def test_the_secret_of_a_webhook_is_shown_to_nobody(fleet: Fleet) -> None:
    add_recipient(fleet, Channel.WEBHOOK, "https://example.org/x", secret=SECRET)
    with fleet.database.begin() as connection:
        assert SECRET not in repr(findings.recipients(connection))
        assert SECRET not in repr(store.audit.read(connection))
        assert SECRET not in repr(watching.claim(connection, 10))
