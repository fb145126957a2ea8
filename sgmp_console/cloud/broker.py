"""What the console itself says to the broker: documents that an edge finds whenever it comes online, and requests.

awscrt is loaded with the first publish, not with this module.
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgmp_console.errors import Refused, Unavailable

_KEEP_ALIVE_S = 30


class BrokerUnavailable(Unavailable):
    """Nothing answered, or not in time. The message may nevertheless have arrived: publishing again is safe."""


class BrokerRefused(Refused):
    """The broker answers, and its access list says no."""


@dataclass(frozen=True)
class Broker:
    """Where the broker is, and the PEM files of who we are to it (mutual TLS). `ca` None: whom this computer trusts."""

    host: str
    port: int
    ca: Path | None
    cert: Path
    key: Path
    client_id_prefix: str = "sgmp_console"

    def publish_retained(self, topic: str, payload: bytes, timeout_s: float = 10.0) -> None:
        """Leave a document at `topic` for whoever subscribes, now or later; an empty payload takes it away.

        Returns when the broker has acknowledged it (QoS 1). Blocks for at most about `timeout_s` seconds: call it
        on a worker thread. Raises BrokerUnavailable, BrokerRefused.
        """
        self._publish(topic, payload, timeout_s, retain=True, expires_s=None)

    def publish_once(self, topic: str, payload: bytes, *, expires_s: int, timeout_s: float = 10.0) -> None:
        """Say something to who is there now: nothing is left at `topic`, and the broker keeps it for a subscriber that
        is away for at most `expires_s` seconds. Otherwise as `publish_retained`.
        """
        self._publish(topic, payload, timeout_s, retain=False, expires_s=expires_s)

    def _publish(
        self, topic: str, payload: bytes, timeout_s: float, *, retain: bool, expires_s: int | None
    ) -> None:
        """Each call has a connection of its own, since an operator publishes rarely and an open connection would have
        to be watched."""
        from awscrt import mqtt5

        deadline = time.monotonic() + timeout_s
        connected: Future[None] = Future()
        failures: list[str] = []

        def on_success(_data: Any) -> None:
            if not connected.done():
                connected.set_result(None)

        def on_failure(data: Any) -> None:
            # The client tries again by itself; the last reason is told if time runs out.
            failures.append(_reason(data))

        client = self._client(on_success, on_failure)
        client.start()
        try:
            connected.result(max(0.0, deadline - time.monotonic()))
            sent = client.publish(
                mqtt5.PublishPacket(
                    topic=topic,
                    payload=payload,
                    qos=mqtt5.QoS.AT_LEAST_ONCE,
                    retain=retain,
                    message_expiry_interval_sec=expires_s,
                )
            )
            answer = sent.result(max(0.0, deadline - time.monotonic()))
        except FutureTimeout:
            raise BrokerUnavailable(
                f"The broker at {self.host}:{self.port} did not answer within {timeout_s:g} s"
                f"{f' ({failures[-1]})' if failures else ''}. Check that it runs and that this computer reaches it, "
                "then try again."
            ) from None
        finally:
            # Not waited for: after a failed TLS handshake the library holds still for up to half a minute.
            client.stop()
        if answer.puback.reason_code >= mqtt5.PubackReasonCode.UNSPECIFIED_ERROR:
            raise BrokerRefused(
                f"The broker at {self.host}:{self.port} did not accept the message "
                f"({answer.puback.reason_code.name.lower().replace('_', ' ')}). Its access list must let this "
                "console publish configurations."
            )

    def _client(self, on_success: Any, on_failure: Any) -> Any:
        from awscrt import mqtt5
        from awscrt.exceptions import AwsCrtError
        from awsiot import mqtt5_client_builder

        try:
            return mqtt5_client_builder.mtls_from_bytes(
                self.cert.read_bytes(),
                self.key.read_bytes(),
                ca_bytes=self.ca.read_bytes() if self.ca is not None else None,
                endpoint=self.host,
                port=self.port,
                client_id=f"{self.client_id_prefix}_{uuid.uuid4().hex[:12]}",
                session_behavior=mqtt5.ClientSessionBehaviorType.CLEAN,
                keep_alive_interval_sec=_KEEP_ALIVE_S,
                min_reconnect_delay_ms=250,
                max_reconnect_delay_ms=2000,
                enable_metrics_collection=False,
                on_lifecycle_connection_success=on_success,
                on_lifecycle_connection_failure=on_failure,
            )
        except OSError as error:
            raise BrokerUnavailable(
                f"The console's broker credentials can't be read ({error.strerror}: {error.filename}). Check the "
                "paths in the connection profile."
            ) from error
        except AwsCrtError as error:
            raise BrokerUnavailable(
                f"The console's broker credentials can't be used ({error.name}). Check that {self.cert.name} and "
                f"{self.key.name} belong together."
            ) from error


def _reason(data: Any) -> str:
    connack = data.connack_packet
    if connack is not None:
        return str(connack.reason_code.name).lower().replace("_", " ")
    error = data.exception
    return str(getattr(error, "message", error))
