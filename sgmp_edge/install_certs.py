"""Install a house's credentials: `python install_certs.py`, then paste what the console showed.

What was installed before is replaced only after the new credentials were checked: they are complete, key and
certificate belong together, the certificate is valid now, and the broker's authority has signed it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

importlib.import_module("sgmp_edge.standalone" if __package__ else "standalone").make_package()

if TYPE_CHECKING:
    from cryptography import x509

    from sgmp_edge.contract import HouseCredentials

TEST_TIMEOUT_S = 20.0
MAX_BYTES = 256 * 1024
"""No credentials are larger, so a wrong file is not read to its end."""
QUIET_S = 1.0
"""A paste is over when nothing has come for this long; pieces of one come closer together, over a slow line too."""


class Refused(Exception):
    """The credentials are not installed; `str(error)` says why and what to do, without secrets."""


HERE = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None, default_home: Path = HERE) -> int:
    """Returns the exit code: 0 installed, 1 refused."""
    options = _parser(default_home).parse_args(arguments)
    home: Path = options.home.expanduser().resolve()
    try:
        text = read_text(options.source)
        credentials = check(text, datetime.now(UTC))
        if options.test:
            try_connection(credentials, options.endpoint)
        file = store(home, credentials)
    except Refused as error:
        print(f"Not installed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nNot installed.", file=sys.stderr)
        return 130
    print(f"The credentials are installed in {file}.")
    for step in next_steps(home, credentials):
        print(step)
    return 0


def _parser(default_home: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="install_certs.py", description="Install the credentials of this edge's house."
    )
    parser.add_argument(
        "source", nargs="?", metavar="FILE", help="the saved credentials, or - for standard input"
    )
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get("SGMP_EDGE_HOME", default_home)),
        metavar="DIR",
        help="the edge's folder (default: $SGMP_EDGE_HOME, else %(default)s)",
    )
    parser.add_argument("--test", action="store_true", help="connect to the broker before installing")
    parser.add_argument(
        "--endpoint", metavar="HOST[:PORT]", help="the broker to test, if the credentials name none"
    )
    return parser


# --- Reading ------------------------------------------------------------------------------------------------------


def read_text(source: str | None) -> str:
    """The credentials' JSON from a file, from standard input, or pasted. Raises Refused."""
    if source not in (None, "-"):
        try:
            content = Path(source).expanduser().read_bytes()
        except OSError as error:
            raise Refused(f"{source} can't be read: {error.strerror}.") from error
        return _decoded(content[: MAX_BYTES + 1])
    if source is None and sys.stdin.isatty():
        return _pasted(sys.stdin.fileno())
    return _decoded(sys.stdin.buffer.read(MAX_BYTES + 1))


def _decoded(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise Refused("that is larger than any credentials; give the file that the console saved.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(
            "that is not a text; give the credentials as the console showed or saved them."
        ) from None


def _pasted(terminal: int) -> str:
    """What is typed or pasted until a JSON object is complete, the text is something else, or Ctrl-D."""
    content = b""
    with _silent_terminal(terminal):
        print(
            "Paste the credentials that the console showed, from { to }. They are not shown here.", flush=True
        )
        while len(content) <= MAX_BYTES:
            part = os.read(terminal, 65536)
            if b"\x03" in part:
                raise KeyboardInterrupt
            content += part.split(b"\x04")[0]
            if not part or b"\x04" in part or _is_decided(content):
                break
    text = _decoded(content).strip()
    return text[: _object_end(text)]


@contextlib.contextmanager
def _silent_terminal(terminal: int) -> Iterator[None]:
    """Take lines of any length (a terminal cuts them at 4,095 characters by default), and show nothing of them.

    However reading ends, the rest of what is being pasted is read and thrown away before the terminal shows what is
    typed again: it may hold a private key, and would go to the shell. Ctrl-C, Ctrl-D and Ctrl-Z are characters here.
    """
    if sys.platform == "win32":
        with _silent_console(terminal):
            yield
        return
    import select
    import termios

    before = termios.tcgetattr(terminal)
    changed = termios.tcgetattr(terminal)
    changed[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    changed[0] |= termios.ICRNL
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    termios.tcsetattr(terminal, termios.TCSADRAIN, changed)
    try:
        yield
    finally:
        while select.select([terminal], [], [], QUIET_S)[0] and os.read(terminal, 65536):
            pass
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)


if sys.platform == "win32":
    import ctypes
    import msvcrt
    import time

    _ECHO_INPUT = 0x4
    """ENABLE_ECHO_INPUT of SetConsoleMode."""

    @contextlib.contextmanager
    def _silent_console(terminal: int) -> Iterator[None]:
        """The same for a console of Windows, which takes lines of any length."""
        kernel32, console = ctypes.windll.kernel32, ctypes.c_void_p(msvcrt.get_osfhandle(terminal))
        before, waiting = ctypes.c_uint32(), ctypes.c_uint32()
        kernel32.GetConsoleMode(console, ctypes.byref(before))
        kernel32.SetConsoleMode(console, before.value & ~_ECHO_INPUT)
        try:
            yield
        finally:
            while kernel32.FlushConsoleInputBuffer(console):
                time.sleep(QUIET_S)
                kernel32.GetNumberOfConsoleInputEvents(console, ctypes.byref(waiting))
                if waiting.value == 0:
                    break
            kernel32.SetConsoleMode(console, before.value)


def _is_decided(content: bytes) -> bool:
    """Whether reading on can't change the verdict: an object is closed, or the text is something else."""
    text = content.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    return _object_end(text) is not None or (not text.startswith("{") and "\n" in text)


def _object_end(text: str) -> int | None:
    """Where the JSON object ends with which a text begins; None if there is none, or not all of it."""
    if not text.startswith("{"):
        return None
    depth, quoted, escaped = 0, False, False
    for position, character in enumerate(text):
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return position + 1
    return None


# --- Checking -----------------------------------------------------------------------------------------------------


def check(text: str, now: datetime) -> HouseCredentials:
    """The credentials in `text`, if an edge can use them at `now`. Raises Refused."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    from sgmp_edge.contract import ContractError, parse_credentials

    stripped = text.strip()
    if not stripped:
        raise Refused("there was no text.")
    if not stripped.startswith("{"):
        raise Refused("the text does not begin with {. Copy all of it, from { to }.")
    if _object_end(stripped) is None:
        raise Refused(
            f"the text ends after {len(stripped):,} characters, before the closing }}. It was cut off on its way:"
            " save it to a file and give the file's name."
        )
    try:
        credentials = parse_credentials(stripped)
    except ContractError as error:
        raise Refused(f"{error}.") from None
    try:
        certificate = x509.load_pem_x509_certificate(credentials.certificate_pem.encode())
    except ValueError:
        raise Refused("the certificate is damaged. Copy the whole text again.") from None
    try:
        key = load_pem_private_key(credentials.private_key_pem.encode(), password=None)
    except (ValueError, TypeError):
        raise Refused("the private key is damaged. Copy the whole text again.") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise Refused("the private key does not belong to the certificate. Copy both from the same house.")
    if now >= certificate.not_valid_after_utc:
        raise Refused(
            f"the certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}. Generate new credentials in"
            " House Settings of the console."
        )
    if now < certificate.not_valid_before_utc:
        raise Refused(
            f"the certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC, but the clock of"
            f" this machine says {now:%Y-%m-%d %H:%M} UTC. Set the clock."
        )
    if credentials.root_ca_pem is not None:
        _check_authority(certificate, credentials)
    return credentials


def _check_authority(certificate: x509.Certificate, credentials: HouseCredentials) -> None:
    """Where broker and house have the same authority, it must have signed the house's certificate.

    AWS IoT Core's have not: its root signs the broker's certificate only.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        authorities = x509.load_pem_x509_certificates((credentials.root_ca_pem or "").encode())
    except ValueError:
        raise Refused(
            "the broker's certificate authority (rootCa) is damaged. Copy the whole text again."
        ) from None
    for authority in authorities:
        if authority.subject == certificate.issuer:
            try:
                certificate.verify_directly_issued_by(authority)
            except (InvalidSignature, ValueError, TypeError):
                continue
            return
    if (credentials.certificate_arn or "").startswith("arn:aws"):
        return
    raise Refused(
        "the broker's certificate authority (rootCa) has not signed the certificate. Copy the whole text."
    )


def try_connection(credentials: HouseCredentials, endpoint: str | None) -> None:
    """Connect to the broker and leave again. Raises Refused with the broker's reason."""
    from concurrent.futures import Future

    from sgmp_edge.contract import ContractError, endpoint_of
    from sgmp_edge.delivery.publisher import CannotConnect, Connection, Handlers, Identity

    where = endpoint or credentials.endpoint
    if not where:
        raise Refused("the credentials name no broker to test. Give it with --endpoint.")
    if credentials.client_id is None:
        raise Refused(
            "the credentials name no client id, so the connection can't be tested before config.py is set."
        )
    try:
        host, port = endpoint_of(where)
    except ContractError as error:
        raise Refused(f"{error}.") from None
    print(f"Connecting to {host}:{port} ...", flush=True)
    _check_broker(host, port, credentials.root_ca_pem)
    connected: Future[None] = Future()
    reasons: list[str] = []

    def up(_: int) -> None:
        if not connected.done():
            connected.set_result(None)

    try:
        connection = Connection(
            Identity(
                credentials.client_id,
                host,
                port,
                credentials.certificate_pem,
                credentials.private_key_pem,
                credentials.root_ca_pem,
            ),
            Handlers(on_up=up, on_down=lambda down: reasons.append(down.why), on_message=lambda *_: None),
            subscriptions=(),
        )
    except CannotConnect as error:
        raise Refused(f"{error}.") from error
    connection.start()
    try:
        connected.result(TEST_TIMEOUT_S)
    except TimeoutError:
        reason = reasons[-1] if reasons else "no answer"
        raise Refused(
            f"the broker {host}:{port} could not be reached within {TEST_TIMEOUT_S:.0f} s: {reason}."
        ) from None
    finally:
        connection.stop(5.0)
    print("The broker accepts them.")


def _check_broker(host: str, port: int, root_ca_pem: str | None) -> None:
    """Whether the broker is there and is who it should be; which is clearer and sooner than what an MQTT client reports.

    Raises Refused.
    """
    import socket
    import ssl

    context = ssl.create_default_context(cadata=root_ca_pem)
    try:
        with (
            socket.create_connection((host, port), TEST_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            pass
    except ssl.SSLCertVerificationError as error:
        raise Refused(
            f"{host}:{port} is not the broker of these credentials: its certificate can't be trusted"
            f" ({error.verify_message})."
        ) from None
    except ssl.SSLError as error:
        raise Refused(f"{host}:{port} does not speak TLS as a broker does: {error.reason}.") from None
    except OSError as error:
        raise Refused(f"the broker {host}:{port} can't be reached: {error.strerror or error}.") from None


# --- Storing ------------------------------------------------------------------------------------------------------


def store(home: Path, credentials: HouseCredentials) -> Path:
    """Write the credentials, readable for their owner only. Raises Refused."""
    from sgmp_edge.contract import dump_credentials
    from sgmp_edge.files import replace_file
    from sgmp_edge.settings import CREDENTIALS_FILE

    file = home / CREDENTIALS_FILE
    try:
        replace_file(file, dump_credentials(credentials).encode())
    except OSError as error:
        raise Refused(f"{file} can't be written: {error.strerror}.") from error
    return file


def next_steps(home: Path, credentials: HouseCredentials) -> list[str]:
    """What is left to do, as sentences."""
    from sgmp_edge.settings import CONFIG_FILE, SetupError, load_identity, load_settings

    house = credentials.house_id if credentials.house_id is not None else "the ID shown in House Settings"
    if not (home / CONFIG_FILE).exists():
        return [f"Next: copy config_example.py to {home / CONFIG_FILE} and set house_id = {house}."]
    try:
        load_identity(home, load_settings(home))
    except SetupError as error:
        return [str(error)]
    return ["Next: python Main_Publisher.py. An edge that is running already takes them within a minute."]


if __name__ == "__main__":
    os.umask(0o077)
    raise SystemExit(main())
