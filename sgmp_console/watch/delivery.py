"""Sends messages: claimed in the database, sent, settled there. What is not settled is sent again, with the same key."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sgmp_console.backoff import delays
from sgmp_console.cloud.mail import SmtpMailer
from sgmp_console.errors import SgmpError, Unavailable, UserError
from sgmp_console.store import Database, DatabaseUnavailable, watching
from sgmp_console.store.findings import Channel
from sgmp_console.store.watching import Claimed
from sgmp_console.watch import webhook
from sgmp_console.watch.messages import compose

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
_FIRST_RETRY_S = 5.0
_LONGEST_RETRY_S = 300.0
_GIVE_UP_AFTER = 1000
"""Attempts, of some three days: then it is no news."""


@dataclass(frozen=True)
class Sender:
    """What a deployment's messages are sent by. `mailer` None: there is no mail server. `networks`: what webhooks may
    reach beside public addresses."""

    deployment: str
    mailer: SmtpMailer | None = None
    networks: Sequence[webhook.Network] = ()

    def send(self, claimed: Claimed) -> None:
        """Raises Unavailable (it may have been taken), UserError (not as it stands)."""
        message = compose(claimed, self.deployment)
        match Channel(claimed.channel):
            case Channel.MAIL:
                if self.mailer is None:
                    raise Unavailable("The watch has no mail server (--mail-server).")
                self.mailer.send_notification(claimed.address, message.subject, message.text, claimed.key)
            case Channel.WEBHOOK:
                webhook.post(claimed.address, claimed.secret, message.document, claimed.key, self.networks)


def deliver(database: Database, send: Callable[[Claimed], None], stop: threading.Event) -> None:
    """Until `stop`. The database may be away: what was sent is settled before anything else is."""
    while not stop.is_set():
        try:
            with database.begin() as connection:
                # One at a time: a claim lasts as long as a message takes, also where the server was started again
                # since (`sgmp.claim_holds`).
                claimed = watching.claim(connection, 1)
        except SgmpError as error:
            _log.warning("messages wait: %s", error)
            stop.wait(LOOK_EVERY_S * 5)
            continue
        for message in claimed:
            failure, again_in_s = _attempt(send, message)
            if not _settle(database, message, failure, again_in_s, stop):
                return
        if not claimed:
            stop.wait(LOOK_EVERY_S)


def _attempt(send: Callable[[Claimed], None], message: Claimed) -> tuple[str | None, float | None]:
    """Why it failed, and when to try again."""
    try:
        send(message)
    except UserError as error:
        _log.error("message %d: %s", message.notification_id, error)
        return str(error), None
    except Unavailable as error:
        _log.warning("message %d waits: %s", message.notification_id, error)
        if message.attempts >= _GIVE_UP_AFTER or message.kind == "test":
            return str(error), None
        return str(error), min(_FIRST_RETRY_S * 2.0 ** min(message.attempts - 1, 10), _LONGEST_RETRY_S)
    except Exception as error:  # noqa: BLE001 - a message that we can't make must not keep others from being sent
        _log.exception("message %d could not be made", message.notification_id)
        return f"It could not be made: {type(error).__name__}.", None
    return None, None


def _settle(
    database: Database,
    message: Claimed,
    failure: str | None,
    again_in_s: float | None,
    stop: threading.Event,
) -> bool:
    """For as long as it takes; False where `stop` came first."""
    for delay_s in delays(longest_s=2.0):
        try:
            with database.begin() as connection:
                watching.settle(connection, message.notification_id, failure=failure, again_in_s=again_in_s)
        except DatabaseUnavailable as error:
            _log.warning("message %d is not settled yet: %s", message.notification_id, error)
            if stop.wait(delay_s):
                return False
        else:
            return True
    raise AssertionError("delays never end")
