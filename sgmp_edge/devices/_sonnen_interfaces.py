"""The ways to a sonnenBatterie: v2, v1 and the vendor's cloud, and which of them to use."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

from sgmp_edge.common import BadAnswer, DeviceError, NotReady, TimedOut, Unauthorized, Unreachable
from sgmp_edge.devices._http import Answer, HttpClient, has_port, origin, pause_of, repeated
from sgmp_edge.devices._sonnen_documents import off_grid
from sgmp_edge.devices._values import number, plain_text

_RETRY_BETTER_S = 60.0
"""How often an interface further up in the list is tried again while a lower one serves."""


class Interface(Protocol):
    """One way to the battery. Every method raises common.py's DeviceErrors."""

    @property
    def name(self) -> str: ...

    def document(self, kind: str, *, patient: bool = True) -> dict[str, Any]:
        """The body of `status` or `battery`. Not `patient`: within the usual time, however slow it was before."""
        ...

    def close(self) -> None: ...


class V2:
    """`/api/v2` on port 80. All but `status` needs the battery's own token.

    Setpoints count in operating mode 1 ("manual") and hold until they are replaced or the mode changes.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.name = "v2"
        token = config.get("local_token") or config.get("token", "")
        self._http = _local_client(config, 80, self.name, {"Auth-Token": token} if token else {})

    def document(self, kind: str, *, patient: bool = True) -> dict[str, Any]:
        return _document(self._http, f"/api/v2/{kind}", patient=patient)

    def off_grid(self) -> bool:
        return off_grid(_document(self._http, "/api/v2/status", urgent=True))

    def mode(self) -> str:
        path = "/api/v2/configurations/EM_OperatingMode"
        return _mode_of(_document(self._http, path, urgent=True), "EM_OperatingMode")

    def set_mode(self, mode: str) -> None:
        form = {"EM_OperatingMode": mode}
        _accepted(self._http, self._http.request("PUT", "/api/v2/configurations", form=form, urgent=True))

    def set_power(self, action: str, watts: int) -> None:
        """`action` is charge or discharge."""
        path = f"/api/v2/setpoint/{action}/{watts}"
        _accepted(self._http, self._http.request("POST", path, urgent=True))

    def setpoint_w(self) -> float | None:
        """The setpoint in force; positive discharges."""
        return number(_document(self._http, "/api/v2/latestdata", urgent=True).get("SetPoint_W"))

    def close(self) -> None:
        self._http.close()


class V1:
    """`/api/v1/status` and `/api/battery`, on port 8080 of older and port 80 of newer firmware; no token."""

    def __init__(self, config: Mapping[str, Any], port: int) -> None:
        self.name = "v1" if _has_one_port(config) else f"v1 on port {port}"
        self._http = _local_client(config, port, self.name, {})

    def document(self, kind: str, *, patient: bool = True) -> dict[str, Any]:
        return _document(self._http, _V1_PATHS[kind], patient=patient)

    def off_grid(self) -> bool:
        return off_grid(_document(self._http, _V1_PATHS["status"], urgent=True))

    def mode(self) -> str:
        return _mode_of(_document(self._http, _V1_PATHS["status"], urgent=True), "OperatingMode")

    def set_mode(self, mode: str) -> None:
        path = f"/api/setting?EM_OperatingMode={mode}"
        _accepted(self._http, self._http.request("GET", path, urgent=True))

    def set_power(self, action: str, watts: int) -> None:
        path = f"/api/v1/setpoint/{action}/{watts}"
        _accepted(self._http, self._http.request("GET", path, urgent=True))

    def setpoint_w(self) -> float | None:
        """None: v1 has no way to ask for it."""
        return None

    def close(self) -> None:
        self._http.close()


class Cloud:
    """The v1 documents through the vendor's proxy. Read only: a command must not depend on the internet."""

    def __init__(self, url: str, serial: str, token: str) -> None:
        self.name = "cloud"
        self._proxy = f"/proxy/{quote(serial, safe='')}"
        self._http = HttpClient(
            "the battery's remote interface",
            url,
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.sonnenbatterie.api.core.v1+json",
            },
            remote=True,
            pause=pause_of(url, token),
        )

    def document(self, kind: str, *, patient: bool = True) -> dict[str, Any]:
        return _document(self._http, self._proxy + _V1_PATHS[kind], patient=patient)

    def close(self) -> None:
        self._http.close()


_V1_PATHS = {"status": "/api/v1/status", "battery": "/api/battery"}


def interfaces(config: Mapping[str, Any]) -> list[Interface]:
    """The interfaces to try, best first.

    A host with a port of its own (a forwarded one, a simulator) stands for one server: v2 and v1 are looked for there,
    and the vendor's cloud, which knows nothing of it, is asked only where the config names its address.
    """
    choice = config.get("interface", "auto")
    token, serial, cloud_url = config.get("token", ""), config.get("serial", ""), config.get("cloud_url")
    usable: list[Interface] = []
    if choice in ("auto", "v2"):
        usable.append(V2(config))
    if choice in ("auto", "v1"):
        usable += [V1(config, port) for port in ((8080,) if _has_one_port(config) else (8080, 80))]
    cloud_is_known = bool(token and serial and (cloud_url or not has_port(config["ip"])))
    if choice == "cloud" or (choice == "auto" and cloud_is_known):
        usable.append(Cloud(cloud_url or "https://core-api.sonnenbatterie.de", serial, token))
    return usable


def _has_one_port(config: Mapping[str, Any]) -> bool:
    """Whether all local interfaces are on the same port: the host's own, or that of https."""
    return has_port(config["ip"]) or config.get("scheme") == "https"


class Fallback:
    """Fetches one document from the interface that served last, else from the first one that answers.

    Refusal, silence, errors of the server and wrong credentials all lead on to the next interface; the one that
    answered is kept. After a complete failure nothing is tried for `pause_s` seconds.
    """

    def __init__(self, kind: str, interfaces: Sequence[Interface], *, pause_s: float = 0) -> None:
        self._kind = kind
        self._interfaces = list(interfaces)
        self._pause_s = pause_s
        self._pause: tuple[float, DeviceError] | None = None
        self._serving: Interface | None = None
        self._not_reached: list[Interface] = []
        self._retry_better_at = 0.0
        self._retries = 0

    @property
    def served_by(self) -> str | None:
        return self._serving.name if self._serving else None

    def begin_with(self, name: str | None) -> None:
        """Try this interface first, as remembered from before a restart."""
        self._serving = next((interface for interface in self._interfaces if interface.name == name), None)
        self._retry_better_at = time.monotonic() + _RETRY_BETTER_S

    def fetch(self, deadline: float) -> dict[str, Any]:
        """The document. After `deadline` (monotonic seconds) no further interface is begun; the next call does.

        Raises the error of the interface that used to serve, else the most informative one.
        """
        now = time.monotonic()
        if self._pause and now < self._pause[0]:
            raise repeated(self._pause[1]) from self._pause[1]
        failures: list[tuple[Interface, DeviceError]] = []
        order = self._order(now)
        for interface in order:
            if failures and time.monotonic() > deadline:
                break
            # Another that serves, or a poll that took its time already, shall not wait long for this one.
            patient = self._serving in (None, interface) and time.monotonic() < deadline
            try:
                body = interface.document(self._kind, patient=patient)
            except DeviceError as error:
                failures.append((interface, error))
            else:
                if interface is not self._serving:
                    self._retry_better_at = now + _RETRY_BETTER_S
                self._serving, self._pause, self._not_reached = interface, None, []
                return body
        self._not_reached = order[len(failures) :]
        _, failure = min(failures, key=self._rank)
        # Another interface may answer sooner than the one that asks to be left alone.
        failure.retry_after_s = min(error.retry_after_s for _, error in failures)
        self._pause = (now + self._pause_s, failure)
        raise failure

    def _order(self, now: float) -> list[Interface]:
        """Whom to ask: who was not reached in the time of the last call, who serves, then the others."""
        serving = [self._serving] if self._serving else []
        better = self._interfaces[: self._interfaces.index(self._serving)] if self._serving else []
        first = self._not_reached
        if better and not first and now >= self._retry_better_at:
            # One at a time: several dead ones would use up the time of the one that serves.
            self._retry_better_at = now + _RETRY_BETTER_S
            first = [better[self._retries % len(better)]]
            self._retries += 1
        return list(dict.fromkeys([*first, *serving, *self._interfaces]))

    def _rank(self, failure: tuple[Interface, DeviceError]) -> tuple[bool, int]:
        interface, error = failure
        ranks = (Unauthorized, NotReady, BadAnswer, TimedOut, Unreachable)
        rank = next((rank for rank, kind in enumerate(ranks) if isinstance(error, kind)), len(ranks))
        return interface is not self._serving, rank


def _local_client(config: Mapping[str, Any], port: int, name: str, headers: Mapping[str, str]) -> HttpClient:
    scheme = config.get("scheme", "http")
    return HttpClient(
        f"the battery at {config['ip']} ({name})",
        origin(config["ip"], scheme=scheme, port=port if scheme == "http" else None),
        headers=headers,
        certificate_sha256=config.get("certificate_sha256"),
        pause=pause_of(config["ip"]),
    )


def _document(http: HttpClient, path: str, *, patient: bool = True, urgent: bool = False) -> dict[str, Any]:
    answer = http.request("GET", path, patient=patient, urgent=urgent)
    if answer.status == 404:
        raise Unreachable(f"{http.who} does not offer this interface (HTTP 404)")
    document = http.decode_json(http.expect_ok(answer))
    if not isinstance(document, dict):
        raise BadAnswer(f"{http.who} sent something else than its values")
    _refuse_failure(http, document)
    return document


def _accepted(http: HttpClient, answer: Answer) -> None:
    """Raise for a refusal, also one with HTTP 200. Only the read-back shows whether a command took effect."""
    if not 200 <= answer.status < 300:
        raise http.failure(answer)
    if answer.body.strip():
        document = http.decode_json(answer)
        if document is False:
            raise BadAnswer(f"{http.who} refuses the command")
        if isinstance(document, dict):
            _refuse_failure(http, document)


def _refuse_failure(http: HttpClient, document: Mapping[str, Any]) -> None:
    code = document.get("ReturnCode")
    if code is not None and number(code) != 0:
        raise BadAnswer(f"{http.who} answers with return code {plain_text(str(code))}")
    if document.get("error"):
        raise BadAnswer(f"{http.who} reports: {plain_text(str(document['error']))}")


def _mode_of(document: Mapping[str, Any], key: str) -> str:
    mode = number(document.get(key))
    if mode is None:
        raise BadAnswer("the battery does not report its operating mode")
    return str(int(mode))
