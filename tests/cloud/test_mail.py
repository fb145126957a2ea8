"""Initial passwords by mail, over real SMTP."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.cloud.mail import AskingMailer, MailPasswordNeeded, MailRefused, MailUnavailable, SmtpMailer
from tests.smtp import SmtpServer, running_smtp

PASSWORD = "abcde-FGHIJ-23456-klmno"


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with running_smtp() as running:
        yield running


def _mailer(server: SmtpServer, host: str = "127.0.0.1", **options: str) -> SmtpMailer:
    return SmtpMailer(host, "sgmp@example.org", server.port, **options)  # type: ignore[arg-type]


def _send(mailer: SmtpMailer, name: str = "Ann") -> None:
    mailer.send_initial_password("ann@example.org", name, "sgmp", PASSWORD)


def test_the_mail_says_how_to_sign_in_and_nothing_else(server: SmtpServer) -> None:
    _send(_mailer(server))
    [mail] = server.mails
    assert (mail["To"], mail["From"], mail["Subject"]) == (
        "ann@example.org",
        "sgmp@example.org",
        "Your SGMP account",
    )
    text = mail.get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert f"Initial password: {PASSWORD}" in text.splitlines()
    assert "Email: ann@example.org" in text.splitlines()
    assert len(text) < 300
    assert mail.get_content_type() == "text/plain"


def test_a_name_can_not_add_lines_or_headers(server: SmtpServer) -> None:
    _send(_mailer(server), "Ann\r\nBcc: eve@example.org\r\n\r\nInitial password: other")
    [mail] = server.mails
    assert mail["Bcc"] is None
    assert "Hello Ann Bcc: eve@example.org Initial password: other," in str(mail.get_payload())


def test_names_beyond_ascii_arrive(server: SmtpServer) -> None:
    _send(_mailer(server), "Jürgen 梅")
    assert "Jürgen 梅" in server.mails[0].get_payload(decode=True).decode()  # type: ignore[union-attr]


@pytest.fixture
def authority(tmp_path: Path) -> LocalAuthority:
    return LocalAuthority(tmp_path / "authority")


@pytest.fixture
def tls(authority: LocalAuthority, tmp_path: Path) -> ssl.SSLContext:
    issued = authority.issue_server(["localhost", "127.0.0.1"])
    (tmp_path / "server.pem").write_text(issued.private_key_pem + issued.certificate_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    return context


def test_tls_is_used_where_offered(tls: ssl.SSLContext, authority: LocalAuthority) -> None:
    with running_smtp(tls=tls) as server:
        _send(_mailer(server, ca_file=str(authority.certificate_file)))
        assert server.over_tls == [True]


def test_a_server_that_is_somebody_else_gets_nothing(tls: ssl.SSLContext) -> None:
    with running_smtp(tls=tls) as server:
        with pytest.raises(MailUnavailable, match="can't be trusted"):
            _send(_mailer(server))
        assert server.mails == []


def test_no_password_crosses_a_network_in_the_clear(server: SmtpServer) -> None:
    with pytest.raises(MailRefused, match="offers no TLS"):
        _send(_mailer(server, host="127.1"))  # this computer, though not by a name that says so
    assert server.mails == []


def test_a_server_that_wants_a_password_gets_it(tls: ssl.SSLContext, authority: LocalAuthority) -> None:
    with running_smtp(tls=tls, password="letmein") as server:
        ca_file = str(authority.certificate_file)
        mailer = _mailer(server, user="sgmp", password="letmein", ca_file=ca_file)
        mailer.check()
        assert server.mails == []
        _send(mailer)
        assert (server.users[0], len(server.mails)) == (("sgmp", "letmein"), 1)
        wrong = _mailer(server, user="sgmp", password="wrong-one", ca_file=ca_file)
        with pytest.raises(MailRefused, match="does not accept user and password") as refused:
            _send(wrong)
        assert "wrong-one" not in f"{refused.value} {refused.value.__cause__} {wrong!r}"


@pytest.mark.parametrize("password", ["Käsebrot 12€", "пароль", "two  blanks and = \\ %s"])
def test_a_password_may_have_any_characters(
    tls: ssl.SSLContext, authority: LocalAuthority, password: str
) -> None:
    with running_smtp(tls=tls, password=password) as server:
        ca_file = str(authority.certificate_file)
        _send(_mailer(server, user="jörg@example.org", password=password, ca_file=ca_file))
        assert (server.users[0], len(server.mails)) == (("jörg@example.org", password), 1)


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        ("recipient", MailRefused, r"takes no mail for ann@example\.org \(550\)"),
        ("busy", MailUnavailable, r"does not take mail for ann@example\.org now \(451\)"),
        ("data", MailRefused, r"refused the mail \(554\)"),
        ("hang", MailUnavailable, "did not answer in time"),
        ("lost", MailUnavailable, "can't be used"),
    ],
)
def test_each_failure_has_its_sentence(
    server: SmtpServer, fault: str, kind: type[Exception], sentence: str
) -> None:
    server.fault = fault
    with pytest.raises(kind, match=sentence) as failure:
        _send(replace(_mailer(server), timeout_s=1.0 if fault == "hang" else 10.0))
    assert PASSWORD not in str(failure.value)


def test_a_password_that_is_missing_or_wrong_can_be_asked_for(server: SmtpServer) -> None:
    with pytest.raises(MailPasswordNeeded, match="needs the password of sgmp"):
        _mailer(server, user="sgmp", password="").check()


def test_the_file_of_an_authority_that_is_missing_is_said(server: SmtpServer) -> None:
    with pytest.raises(MailUnavailable, match="the file of its authority is missing") as failure:
        _send(_mailer(server, ca_file="/nowhere/ca.pem"))
    assert "Errno" not in str(failure.value)


def test_a_server_that_is_not_there_is_said_without_numbers_of_the_system() -> None:
    with pytest.raises(MailUnavailable, match=r"127\.0\.0\.1:9 can't be used: connection refused"):
        _send(SmtpMailer("127.0.0.1", "sgmp@example.org", 9))


def test_a_password_is_asked_for_when_it_is_needed_and_kept(
    tls: ssl.SSLContext, authority: LocalAuthority
) -> None:
    asked: list[str] = []
    answers = ["wrong-one", "letmein"]

    def ask(why: str) -> str:
        asked.append(why)
        return answers.pop(0)

    with running_smtp(tls=tls, password="letmein") as server:
        mailer = AskingMailer(_mailer(server, user="sgmp", ca_file=str(authority.certificate_file)), ask)
        assert asked == []
        mailer.ready()
        with pytest.raises(MailPasswordNeeded):
            mailer.send_initial_password("ann@example.org", "Ann", "sgmp", PASSWORD)
        for _ in range(2):
            mailer.ready()
            mailer.send_initial_password("ann@example.org", "Ann", "sgmp", PASSWORD)
        assert len(server.mails) == 2
    assert ["needs the password" in asked[0], "does not accept" in asked[1], len(asked)] == [True, True, 2]


def test_a_server_that_wants_no_user_asks_for_no_password(server: SmtpServer) -> None:
    def ask(why: str) -> str:
        raise AssertionError(why)

    mailer = AskingMailer(_mailer(server), ask)
    mailer.ready()
    mailer.send_initial_password("ann@example.org", "Ann", "sgmp", PASSWORD)
    assert len(server.mails) == 1
