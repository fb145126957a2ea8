"""What the console itself sends to the broker: documents that an edge finds whenever it comes online, and requests."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from sgmp_console.cloud.mqtt import Answer, BrokerSettings, Cause, Connection, Disconnected
from sgmp_console.errors import Refused, Unavailable

_RETRY_S = 0.25
_WORTH_RETRYING = frozenset({Cause.UNREACHABLE, Cause.ENDED})
"""A broker that restarts; the other causes stay until somebody does something."""


class BrokerUnavailable(Unavailable):
    """Nothing answered, or not in time. The message may nevertheless have arrived: publishing again is safe."""


class BrokerRefused(Refused):
    """The broker answers, and its access list says no."""


@dataclass(frozen=True)
class Broker(BrokerSettings):
    """The broker as the console publishes to it."""

    client_id_prefix: str = "sgmp_console"

    def publish_retained(self, topic: str, payload: bytes, timeout_s: float = 10.0) -> None:
        """Leave a document at `topic` for all who subscribe, now or later; an empty payload takes it away.

        Returns when the broker has acknowledged it (QoS 1). Blocks for at most about `timeout_s` seconds: call it
        on a worker thread. Raises BrokerUnavailable, BrokerRefused.
        """
        self._publish(topic, payload, timeout_s, retain=True, expires_s=None)

    def publish_once(self, topic: str, payload: bytes, *, expires_s: int, timeout_s: float = 10.0) -> None:
        """Send something to those who are there now: nothing is left at `topic`, and the broker keeps it for a
        subscriber that is away for at most `expires_s` seconds. Otherwise as `publish_retained`.
        """
        self._publish(topic, payload, timeout_s, retain=False, expires_s=expires_s)

    def _publish(
        self, topic: str, payload: bytes, timeout_s: float, *, retain: bool, expires_s: int | None
    ) -> None:
        """Each call has a connection of its own, since an operator publishes rarely and an open connection would have
        to be watched."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                answer = self._attempt(topic, payload, deadline, retain=retain, expires_s=expires_s)
            except Disconnected as error:
                if error.cause in _WORTH_RETRYING and time.monotonic() + _RETRY_S < deadline:
                    time.sleep(_RETRY_S)
                    continue
                raise self._unavailable(error, timeout_s) from error
            break
        if answer.refused:
            raise BrokerRefused(
                f"The broker at {self.host}:{self.port} did not accept the message ({answer.reason}). Its access list "
                "must let this console publish configurations."
            )

    def _attempt(
        self, topic: str, payload: bytes, deadline: float, *, retain: bool, expires_s: int | None
    ) -> Answer:
        """The broker's answer to one publication. Raises Disconnected."""
        client_id = f"{self.client_id_prefix}_{uuid.uuid4().hex[:12]}"
        connection = Connection(self, client_id, timeout_s=deadline - time.monotonic())
        try:
            sent = connection.publish(topic, payload, retain=retain, expires_s=expires_s)
            while (left_s := deadline - time.monotonic()) > 0:
                for packet in connection.exchange(left_s):
                    if isinstance(packet, Answer) and packet.packet_id == sent:
                        return packet
        finally:
            connection.close()
        raise Disconnected(Cause.TIMEOUT, "no answer in time")

    def _unavailable(self, error: Disconnected, timeout_s: float) -> BrokerUnavailable:
        where = f"The broker at {self.host}:{self.port}"
        if error.cause in (Cause.UNREACHABLE, Cause.TIMEOUT, Cause.ENDED):
            return BrokerUnavailable(
                f"{where} did not answer within {timeout_s:g} s ({error}). Check that it runs and that this computer "
                "reaches it, then try again."
            )
        return BrokerUnavailable(f"{where} can't be used: {error}.")
