"""Mail over SMTP: initial passwords to users, notifications of findings."""

from __future__ import annotations

import ipaddress
import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Protocol

from sgmp_console.cloud.limited_time import limited, tls_context
from sgmp_console.errors import Unavailable, UserError

SUBMISSION_PORT = 587
TLS_PORT = 465

WITHIN_S = 30.0
"""For a whole conversation: a server that sends a little now and then must not keep others' mail."""


class MailUnavailable(Unavailable):
    """The mail server does not answer or can't take mail now. The mail may have been sent."""


class MailRefused(UserError):
    """The mail server does not take this mail; trying again as it stands is in vain."""


class MailPasswordNeeded(MailRefused):
    """The mail server wants a password of its user, and has none or another one of us."""


def submission(server: str, sender: str) -> tuple[str, int]:
    """Host and port of `HOST[:PORT]`, through which the address `sender` is to send mail. Raises UserError where it can't."""
    host, separator, port = server.rpartition(":")
    if not separator or port.endswith("]"):
        host, port = server, str(SUBMISSION_PORT)
    if not _HOST.fullmatch(host) or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65536:
        raise UserError(f"The mail server {server!r} can't be read. It looks like mail.example.org:587.")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", sender):
        raise UserError("--mail-server needs --mail-from, the address that messages are from.")
    return host.strip("[]"), int(port)


_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:]+|\[[0-9A-Fa-f:.]+\]")


class Mailer(Protocol):
    """What is needed of a way to send mail."""

    def ready(self) -> None:
        """Called before anything is begun that ends with a mail. Raises MailRefused where nothing could be sent."""

    def send_initial_password(self, email: str, name: str, deployment: str, password: str) -> None:
        """Raises MailUnavailable, MailRefused."""


@dataclass(frozen=True)
class SmtpMailer:
    """Sends through `host`. Port 465 is TLS from the beginning, on others TLS is used when offered.

    Without TLS nothing is sent, but to this computer itself. `password` is a secret; without a `user` the server is not
    signed in to. `timeout_s` is for each step of the conversation, which ends after WITHIN_S in any case. `ca_file`: PEM of the server's authority, if it is
    not one of the system's.
    """

    host: str
    sender: str
    port: int = SUBMISSION_PORT
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    timeout_s: float = 10.0

    def ready(self) -> None:
        """Raises MailPasswordNeeded where it is missing. Contacts nobody."""
        if self.user and not self.password:
            raise MailPasswordNeeded(
                f"The mail server {self.host}:{self.port} needs the password of {self.user}."
            )

    def send_initial_password(self, email: str, name: str, deployment: str, password: str) -> None:
        """Send it and return when the server has taken it. Blocks: call it on a worker thread."""
        message = self._message(email, "Your SGMP account", make_msgid("sgmp", self._domain))
        message.set_content(
            f"Hello {' '.join(name.split())},\n\n"
            f"sign in to the SGMP console (deployment {deployment}) with:\n\n"
            f"Email: {email}\n"
            f"Initial password: {password}\n\n"
            "The console then asks you for a password of your own.\n"
        )
        self._send(message, email)

    def send_notification(self, email: str, subject: str, text: str, key: str) -> None:
        """Send it and return when the server has taken it. A repeat with the same `key` is the same message to a mailbox
        that looks at Message-IDs. Blocks. Raises MailUnavailable, MailRefused."""
        message = self._message(email, " ".join(subject.split()), f"<{key}@{self._domain}>")
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        self._send(message, email)

    @property
    def _domain(self) -> str:
        return self.sender.rpartition("@")[2]

    def _message(self, email: str, subject: str, message_id: str) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = email
        message["Subject"] = subject
        message["Date"] = formatdate()
        message["Message-ID"] = message_id
        return message

    def check(self) -> None:
        """Connect, and sign in if there is a user, without sending anything. Raises MailUnavailable, MailRefused."""
        self._send(None, "")

    def _send(self, message: EmailMessage | None, recipient: str) -> None:
        where = f"The mail server {self.host}:{self.port}"
        self.ready()
        try:
            with self._connected() as server:
                if self.user:
                    server.login(_Utf8(self.user), _Utf8(self.password))
                if message is None:
                    server.noop()
                else:
                    server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            if code < 500:
                raise MailUnavailable(
                    f"{where} does not take mail for {recipient} now ({code}). Try again later."
                ) from None
            raise MailRefused(f"{where} takes no mail for {recipient} ({code}). Check the address.") from None
        except smtplib.SMTPAuthenticationError as error:
            raise MailPasswordNeeded(
                f"{where} does not accept user and password ({error.smtp_code}). Enter the password again, or correct the "
                f"user {self.user} in the connection profile."
            ) from None
        except UnicodeError:
            raise MailRefused(
                f"{where} has no way of signing in for a user or password with such characters. Give it ones of plain letters "
                "and digits."
            ) from None
        except smtplib.SMTPNotSupportedError as error:
            raise MailRefused(f"{where} can't do what is needed: {error}. Check its port.") from None
        except smtplib.SMTPResponseException as error:
            kind = MailRefused if error.smtp_code >= 500 else MailUnavailable
            raise kind(
                f"{where} refused the mail ({error.smtp_code}). Check the sender {self.sender}."
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise MailUnavailable(
                f"{where} can't be trusted ({error.verify_message}). Check its name, or name its authority's file."
            ) from error
        except (OSError, smtplib.SMTPException) as error:
            # smtplib has no exception of its own for a time-out in mid-conversation: it is the context of another.
            late = any(isinstance(one, TimeoutError) for one in (error, error.__context__))
            why = "it did not answer in time" if late else _reason(error)
            raise MailUnavailable(
                f"{where} can't be used: {why}. Check its address, then try again."
            ) from None

    def _connected(self) -> smtplib.SMTP:
        context = tls_context(self.ca_file)
        if self.port == TLS_PORT:
            return _TlsServer(self.host, self.port, timeout=self.timeout_s, context=context)
        server = _Server(self.host, self.port, timeout=self.timeout_s)
        try:
            server.ehlo_or_helo_if_needed()
            if server.has_extn("starttls"):
                server.starttls(context=context)
                server.limit()
            elif not _is_this_computer(self.host):
                raise MailRefused(
                    f"The mail server {self.host}:{self.port} offers no TLS, so passwords are not sent through it. Use "
                    f"its port {SUBMISSION_PORT} or {TLS_PORT}."
                )
        except BaseException:
            server.close()
            raise
        return server


class _Limited(smtplib.SMTP):
    """WORKAROUND (no upstream report): smtplib has a time-out for each step only, and its socket can't be had before the
    greeting otherwise."""

    ends: float

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        self.ends = time.monotonic() + WITHIN_S
        return limited(super()._get_socket(host, port, timeout), self.ends)  # type: ignore[misc]

    def auth_plain(self, challenge: Any = None) -> str:
        """RFC 4616 has user and password in UTF-8; smtplib encodes them as ASCII."""
        return _Utf8(super().auth_plain(challenge))


class _Utf8(str):
    """WORKAROUND (https://github.com/python/cpython/issues/73936): a text that is UTF-8 whatever is asked for."""

    def encode(self, _encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return super().encode("utf-8", errors)


class _Server(_Limited):
    def limit(self) -> None:
        """Again, after TLS began."""
        if self.sock is not None:
            self.sock = limited(self.sock, self.ends)


class _TlsServer(_Limited, smtplib.SMTP_SSL):
    pass


class AskingMailer:
    """Sends through `mailer`, and has its password asked for where it is missing, or was refused the last time.

    `ask` gets a sentence why, and blocks; it may raise Cancelled.
    """

    def __init__(self, mailer: SmtpMailer, ask: Callable[[str], str]) -> None:
        self._mailer = mailer
        self._ask = ask
        self._refused = ""
        self._lock = threading.Lock()

    def ready(self) -> None:
        with self._lock:
            why = self._refused
            try:
                self._mailer.ready()
            except MailPasswordNeeded as error:
                why = str(error)
            if why:
                self._mailer = replace(self._mailer, password=self._ask(why))
                self._refused = ""

    def send_initial_password(self, email: str, name: str, deployment: str, password: str) -> None:
        try:
            self._mailer.send_initial_password(email, name, deployment, password)
        except MailPasswordNeeded as error:
            self._refused = str(error)
            raise


def _reason(error: OSError | smtplib.SMTPException) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file of its authority is missing"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _is_this_computer(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
