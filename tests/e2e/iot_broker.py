"""The MQTT side of the local AWS, which has none: TLS as AWS IoT Core does it, in front of a Mosquitto.

Whoever connects must show a certificate that AWS lists as ACTIVE just then, and its policy says who they are: an edge is
the one thing that its certificate is attached to. They go on to the broker under that name, so the broker's access list
holds for them as AWS's policies would. A connection ends within a second of its certificate's no longer being good for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.aws import ACCOUNT, REGION, LocalAws
from tests.mosquitto import CredentialFiles, TestBroker

_LOOK_EVERY_S = 0.1
_CHUNK = 65536


@dataclass(frozen=True)
class Admitted:
    """A certificate that is let in, and the name under which it goes to the broker."""

    pem: str
    name: str


class IotBroker:
    """Listens on `port`; `ca_file` is whom its own certificate is from."""

    def __init__(self, aws: LocalAws, broker: TestBroker) -> None:
        self._iot = aws.client("iot")
        self._broker = broker
        self._files: dict[str, CredentialFiles] = {}
        self._open: dict[asyncio.Task[None], str] = {}
        self._known: tuple[object, dict[str, Admitted]] = (None, {})
        """What was admitted at which version."""
        server = broker.write(broker.authority.issue_server(["localhost", "127.0.0.1"]))
        self.ca_file = server.ca
        self._server = server
        self.port = 0
        self._ready: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="iot-broker")

    def start(self) -> None:
        self._thread.start()
        self._ready.result(10)

    def stop(self) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def admitted(self) -> dict[str, Admitted]:
        """Whom AWS would let in now, by the SHA-256 of the certificate."""
        version = self._version()
        if version != self._known[0]:
            self._known = version, self._ask_aws()
        return self._known[1]

    def _version(self) -> object:
        """Another one after each change of what decides, seen in the server itself: it runs in this process.

        So AWS is asked only when its answer would be another.
        """
        from moto.iot.models import iot_backends

        state = iot_backends[ACCOUNT][REGION]
        certificates = [(one.certificate_id, one.status) for one in list(state.certificates.values())]
        return certificates, list(state.principal_policies), list(state.principal_things)

    def _ask_aws(self) -> dict[str, Admitted]:
        found = {}
        for page in self._iot.get_paginator("list_certificates").paginate():
            for one in page["certificates"]:
                if one["status"] != "ACTIVE":
                    continue
                name = self._name_of(one["certificateArn"])
                if name is not None:
                    described = self._iot.describe_certificate(certificateId=one["certificateId"])
                    pem = described["certificateDescription"]["certificatePem"]
                    found[_fingerprint(ssl.PEM_cert_to_DER_cert(pem))] = Admitted(pem, name)
        return found

    def _name_of(self, arn: str) -> str | None:
        attached = self._iot.list_attached_policies(target=arn)["policies"]
        policies = {policy["policyName"] for policy in attached}
        for service in ("console", "ingest"):
            if (name := f"{self._broker.deployment}_{service}") in policies:
                return name
        things: list[str] = self._iot.list_principal_things(principal=arn)["things"]
        return things[0] if f"{self._broker.deployment}_edge" in policies and len(things) == 1 else None

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set_result(None)
        async with server:
            while not self._stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), _LOOK_EVERY_S)
                if self._open:
                    good = await asyncio.to_thread(self.admitted)
                    for task, fingerprint in list(self._open.items()):
                        if fingerprint not in good:
                            task.cancel()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # What comes meanwhile is TLS's already.
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        try:
            good = await asyncio.to_thread(self.admitted)
            if good:
                await writer.start_tls(self._context(good))
                shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                fingerprint = _fingerprint(shown)
                await self._relay(reader, writer, fingerprint, good[fingerprint].name)
        except (OSError, asyncio.CancelledError):
            pass  # refused, gone, or no longer good
        finally:
            writer.transport.abort()

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fingerprint: str, name: str
    ) -> None:
        files = self._files.get(name) or self._files.setdefault(name, self._broker.files_for(name))
        context = ssl.create_default_context(cafile=str(files.ca))
        context.load_cert_chain(files.cert, files.key)
        inner_reader, inner_writer = await asyncio.open_connection(
            "127.0.0.1", self._broker.port, ssl=context, server_hostname="localhost"
        )
        ways = {
            asyncio.ensure_future(_copy(reader, inner_writer)),
            asyncio.ensure_future(_copy(inner_reader, writer)),
        }
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = fingerprint
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._open[task]
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            inner_writer.transport.abort()

    def _context(self, good: dict[str, Admitted]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._server.cert, self._server.key)
        context.verify_mode = ssl.CERT_REQUIRED
        # Each certificate stands for itself, whoever signed it: that is how it was registered.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata="\n".join(one.pem for one in good.values()))
        return context


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK):
        sink.write(data)
        await sink.drain()


def _fingerprint(der: Any) -> str:
    return hashlib.sha256(der).hexdigest()


@contextmanager
def running_iot_broker(aws: LocalAws, broker: TestBroker) -> Iterator[IotBroker]:
    gateway = IotBroker(aws, broker)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()
