"""The device configuration: received, checked whole, stored, applied, and confirmed or rejected.

The document as it was received lies in the edge's home, so that it runs the same devices after a restart without a
connection. Whatever is wrong with a new document, the running one stays.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import contract
from .contract import RejectionCode
from .files import replace_file
from .polling.drivers import Catalogue

log = logging.getLogger(__name__)

STATE_KEY = "config"


class Configuration:
    """`apply` gets the devices of each new document; `report` an event and the texts of state to store with it.

    `states` is what the outbox held at the start.
    """

    def __init__(
        self,
        file: Path,
        catalogue: Catalogue,
        *,
        apply: Callable[[Sequence[contract.DeviceConfig]], None],
        report: Callable[[str, Mapping[str, Any], Mapping[str, str | None]], None],
        states: Mapping[str, str],
    ) -> None:
        self.current: contract.ConfigDocument | None = None
        self._file = file
        self._catalogue = catalogue
        self._apply = apply
        self._report = report
        self._answered = states.get(STATE_KEY)
        self._rejected: str | None = None

    def start(self) -> None:
        """Apply what was stored before. Of a document that is no longer valid (another software), what can be used."""
        try:
            payload = self._file.read_bytes()
        except FileNotFoundError:
            log.info("No devices configured yet; waiting for the console to synchronize them")
            return
        except OSError as error:
            text = f"the stored configuration can't be read: {error.strerror}"
            self._reject(contract.ContractError(text, RejectionCode.UNREADABLE), b"")
            return
        try:
            document = contract.parse_config(payload, self._catalogue.types())
        except contract.ContractError as error:
            self._reject(error, payload, "the stored configuration can't be used as a whole: ")
            usable = self._usable(payload)
            log.warning("Of the stored configuration, %d devices can be used", len(usable))
            if usable:
                self._apply(usable)
            return
        self._use(document)

    def _usable(self, payload: bytes) -> list[contract.DeviceConfig]:
        """The devices of a stored document that are right by themselves, each name and id once."""
        try:
            body = json.loads(payload)
        except (ValueError, RecursionError):
            return []
        rows = body.get("devices") if isinstance(body, dict) else body
        usable: list[contract.DeviceConfig] = []
        for row in rows if isinstance(rows, list) else []:
            try:
                single = contract.parse_config(json.dumps([row]).encode(), self._catalogue.types()).devices[0]
            except contract.ContractError:
                continue
            if all(single.name != other.name and single.device_id != other.device_id for other in usable):
                usable.append(single)
        return usable

    def receive(self, payload: bytes, *, retained: bool) -> None:
        """Take a document from the config topic; `retained`: it is not new, the broker keeps it for us."""
        if not payload:
            log.info(
                "The broker holds no configuration for this house any more; the devices stay as they are"
            )
            return
        try:
            document = contract.parse_config(payload, self._catalogue.types())
        except contract.ContractError as error:
            self._reject(error, payload)
            return
        answer = _answer(document)
        if document == self.current:
            if not retained or answer != self._answered:
                self._confirm(document, answer)
            return
        try:
            replace_file(self._file, payload)
        except OSError as error:
            text = f"it can't be stored: {error.strerror}"
            self._reject(contract.ContractError(text, RejectionCode.NOT_STORED), payload)
            return
        self._use(document)
        self._confirm(document, answer)

    def _use(self, document: contract.ConfigDocument) -> None:
        self.current = document
        self._apply(document.devices)
        names = ", ".join(device.name for device in document.devices) or "none"
        log.info("Configuration version %s: devices %s", document.version, names)

    def _confirm(self, document: contract.ConfigDocument, answer: str) -> None:
        self._answered, self._rejected = answer, None
        data = {"version": document.version, "sha256": document.sha256}
        self._report(contract.CONFIG_APPLIED, data, {STATE_KEY: answer})

    def _reject(self, error: contract.ContractError, payload: bytes, prefix: str = "") -> None:
        reason = f"{prefix}{error}"
        fingerprint = hashlib.sha256(payload).hexdigest() + reason
        if fingerprint == self._rejected:
            return  # the broker keeps it and gives it again at each connection
        self._rejected = fingerprint
        log.error("A configuration was rejected: %s", reason)
        version, sha256 = claims(payload)
        data = {
            "reason": reason,
            "code": error.code,
            "device": error.device or None,
            "setting": error.setting or None,
            "problem": error.problem,
            "version": version,
            "sha256": sha256,
        }
        self._report(contract.CONFIG_REJECTED, data, {})


def claims(payload: bytes) -> tuple[int | None, str | None]:
    """The version and fingerprint that a document which is not valid claims for itself, where they can be read."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(body, dict):
        return None, None
    version, sha256 = body.get("version"), body.get("sha256")
    whole = isinstance(version, int) and not isinstance(version, bool) and 0 < version < 2**63
    return version if whole else None, sha256 if isinstance(sha256, str) and len(sha256) == 64 else None


def _answer(document: contract.ConfigDocument) -> str:
    return f"{document.version}/{document.sha256}"
