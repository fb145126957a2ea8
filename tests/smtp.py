"""A real SMTP server for tests, that can refuse, hang and lose its answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


@dataclass
class SmtpServer:
    """`mails`: what was taken. `fault`: the next thing to go wrong: `recipient`, `data`, `busy`, `hang` or `lost`."""

    port: int
    mails: list[Message] = field(default_factory=list)
    over_tls: list[bool] = field(default_factory=list)
    users: list[tuple[str, str]] = field(default_factory=list)
    fault: str = ""

    def take_fault(self, *kinds: str) -> str:
        if self.fault not in kinds:
            return ""
        taken, self.fault = self.fault, ""
        return taken

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        kind = self.take_fault("recipient", "busy", "hang")
        if kind == "hang":
            await asyncio.sleep(60)  # ends with the client's connection
        if kind == "recipient":
            return "550 no such mailbox"
        if kind == "busy":
            return "451 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        kind = self.take_fault("data", "lost")
        if kind == "data":
            return "554 not like this"
        self.mails.append(message_from_bytes(envelope.content))
        self.over_tls.append(session.ssl is not None)
        if kind == "lost":
            assert server.transport is not None
            server.transport.close()
        return "250 OK"


@contextmanager
def running_smtp(*, tls: ssl.SSLContext | None = None, password: str | None = None) -> Iterator[SmtpServer]:
    """`password`: asked of everybody, where given; needs `tls`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    state = SmtpServer(port)

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        state.users.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password.decode() == password, handled=False)

    controller = Controller(
        state,
        hostname="127.0.0.1",
        port=port,
        tls_context=tls,
        require_starttls=False,
        authenticator=authenticate if password is not None else None,
        auth_required=password is not None,
        auth_require_tls=tls is not None,
    )
    controller.start()
    try:
        yield state
    finally:
        controller.stop()
