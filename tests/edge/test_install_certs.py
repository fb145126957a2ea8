"""Installing credentials: pasted, from a file or a pipe; checked before anything is replaced."""

from __future__ import annotations

import datetime
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from sgmp_edge import contract, install_certs
from sgmp_edge.contract import HouseCredentials
from tests.mosquitto import free_port, running_broker

SCRIPT = Path(install_certs.__file__)
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """A small certificate authority."""

    def __init__(self, name: str = "Test authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.pem = self._sign(self.name, self.key.public_key(), NOW - DAY, NOW + 100 * DAY)

    def issue(
        self, key: Any = None, begin: datetime.datetime = NOW - DAY, end: datetime.datetime = NOW + DAY
    ) -> tuple[str, str]:
        """A certificate and its key."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sgmp_house_3")])
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        return self._sign(subject, key.public_key(), begin, end), private.decode()

    def _sign(self, subject: x509.Name, key: Any, begin: datetime.datetime, end: datetime.datetime) -> str:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


AUTHORITY = Authority()
CERTIFICATE, KEY = AUTHORITY.issue()


def credentials(**changed: Any) -> HouseCredentials:
    good: dict[str, Any] = {
        "certificate_pem": CERTIFICATE,
        "private_key_pem": KEY,
        "root_ca_pem": AUTHORITY.pem,
        "endpoint": "broker.lan:8883",
        "client_id": "sgmp_house_3",
        "house_id": 3,
        "deployment": "sgmp",
    }
    return HouseCredentials(**{**good, **changed})


def install(text: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Through a pipe, as `python install_certs.py < file`."""
    return subprocess.run(
        [*command(home), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        check=False,
    )


def installed(home: Path) -> HouseCredentials:
    return contract.parse_credentials((home / "credentials.json").read_text())


def test_credentials_survive_the_way_through_the_document() -> None:
    for one in (credentials(), credentials(root_ca_pem=None, endpoint=None, client_id=None, house_id=None)):
        assert contract.parse_credentials(contract.dump_credentials(one)) == one


def test_no_line_of_the_document_is_longer_than_a_terminal_takes() -> None:
    text = contract.dump_credentials(credentials(root_ca_pem=AUTHORITY.pem * 12))
    assert max(len(line) for line in text.splitlines()) < 4095
    assert contract.parse_credentials(text).root_ca_pem == AUTHORITY.pem * 12


def test_what_aws_answers_is_taken_as_it_is(tmp_path: Path) -> None:
    certificate, key = AUTHORITY.issue(rsa.generate_private_key(65537, 2048))
    answer = {
        "certificateArn": "arn:aws:iot:eu-central-1:1:cert/1",
        "certificateId": "1",
        "certificatePem": certificate,
        "keyPair": {"PublicKey": "-----BEGIN PUBLIC KEY-----\n", "PrivateKey": key},
    }
    done = install(json.dumps(answer), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert installed(tmp_path).private_key_pem == key


@pytest.mark.parametrize("indent", [None, 2], ids=["one line", "several lines"])
@pytest.mark.parametrize("way", ["pipe", "file", "dash"])
def test_a_pipe_or_a_file_will_do(tmp_path: Path, indent: int | None, way: str) -> None:
    text = json.dumps(json.loads(contract.dump_credentials(credentials())), indent=indent)
    file = tmp_path / "saved.json"
    file.write_text("\ufeff\n" + text if way == "file" else text, "utf-8")
    arguments = {"pipe": [], "file": [str(file)], "dash": ["-"]}[way]
    done = install(text, tmp_path, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert installed(tmp_path) == credentials()
    assert "set house_id = 3" in done.stdout


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    install(contract.dump_credentials(credentials()), tmp_path)
    assert (tmp_path / "credentials.json").stat().st_mode & 0o777 == 0o600


def command(home: Path) -> list[str]:
    return [sys.executable, str(SCRIPT), "--home", str(home)]


@dataclass(frozen=True)
class Pasted:
    """What came of a paste: the command's exit code, what the terminal showed, what the next program there would read."""

    exit_code: int
    shown: str
    left: str


def paste(*pieces: bytes, home: Path, program: Sequence[str] = ()) -> Pasted:
    """Into the terminal of `install_certs.py` (or `program`), as a person does; pieces come apart, as over a slow line."""
    process, terminal = pty.fork()
    if process == 0:
        # A shell reads on in the same terminal, as it does for a person.
        script = '"$@"; echo "exit=$?"; exec cat'
        os.execv("/bin/sh", ["/bin/sh", "-c", script, "sh", *(program or command(home))])
    shown = b""

    def show_until(wanted: bytes) -> None:
        nonlocal shown
        while wanted not in shown:
            shown += os.read(terminal, 1000)

    show_until(b"not shown here.")
    for number, piece in enumerate(pieces):
        if number:
            time.sleep(0.3)
        while piece:
            piece = piece[os.write(terminal, piece[:500]) :]
    show_until(b"exit=")
    show_until(b"\n" if shown.endswith(b"\n") else b"exit=")
    os.write(terminal, b"end of test\n")
    show_until(b"end of test\r\nend of test")
    os.write(terminal, b"\x04")
    os.waitpid(process, 0)
    os.close(terminal)
    text = shown.decode()
    _, _, after = text.partition("exit=")
    return Pasted(int(after.split()[0]), text, after.split("\n", 1)[1].replace("end of test", "").strip())


@pytest.mark.parametrize("indent", [None, 2], ids=["one line", "several lines"])
def test_pasted_into_a_terminal_even_a_line_longer_than_it_takes_arrives(
    tmp_path: Path, indent: int | None
) -> None:
    document = json.loads(contract.dump_credentials(credentials(root_ca_pem=AUTHORITY.pem * 12)))
    pasted = paste(json.dumps(document, indent=indent).encode() + b"\n", home=tmp_path)
    assert pasted.exit_code == 0, pasted.shown
    assert installed(tmp_path).root_ca_pem == AUTHORITY.pem * 12
    assert "PRIVATE KEY" not in pasted.shown


def test_a_paste_that_was_cut_is_told_when_the_person_ends_it(tmp_path: Path) -> None:
    text = contract.dump_credentials(credentials())
    pasted = paste(text[:1000].encode() + b"\n\x04", home=tmp_path)
    assert pasted.exit_code == 1
    assert "cut off" in pasted.shown
    assert "PRIVATE KEY" not in pasted.shown


DOCUMENT = contract.dump_credentials(credentials()).encode()


@pytest.mark.parametrize(
    "pieces",
    [
        (b"hello\n",),
        (b"Credentials of house 3:\n" + DOCUMENT + b"\n",),
        (b"$ cat saved.json\n", DOCUMENT[:700], DOCUMENT[700:] + b"\n"),
        (KEY.encode(),),
        (b"\n\n  certificate\n" + KEY.encode(), KEY.encode()),
        (b'"certificatePem": "x",\n' + DOCUMENT * 3,),
        (b"x" * 300_000 + b"\n" + KEY.encode(),),
        (b"{}\n" + KEY.encode(),),
        (DOCUMENT[:500] + b"\x03" + DOCUMENT[500:] + b"\n",),
        (DOCUMENT[:500] + b"\n\x04" + DOCUMENT[500:] + b"\n",),
    ],
    ids=[
        "a word", "a heading", "a command in front", "the key alone", "blank lines", "a part of it", "too much",
        "an empty object", "Ctrl-C in the middle", "Ctrl-D in the middle",
    ],
)  # fmt: skip
def test_of_something_else_that_is_pasted_nothing_is_shown_and_nothing_reaches_the_shell(
    tmp_path: Path, pieces: tuple[bytes, ...]
) -> None:
    pasted = paste(*pieces, home=tmp_path)
    assert pasted.exit_code != 0
    assert "Not installed" in pasted.shown
    assert pasted.left == ""
    for line in KEY.splitlines():
        assert line not in pasted.shown


def test_what_follows_the_credentials_in_a_paste_does_not_reach_the_shell_either(tmp_path: Path) -> None:
    pasted = paste(DOCUMENT + b"\nrm -r important\n", home=tmp_path)
    assert (pasted.exit_code, pasted.left) == (0, "")
    assert "important" not in pasted.shown


def other_key() -> str:
    return AUTHORITY.issue()[1]


WRONG: list[tuple[str, Callable[[], str], str]] = [
    ("nothing", lambda: "", "there was no text"),
    ("no JSON", lambda: "certificate", "does not begin with {"),
    ("cut off", lambda: contract.dump_credentials(credentials())[:-200], "cut off"),
    ("cut inside", lambda: contract.dump_credentials(credentials()).replace("certificatePem", "certif"), "`certificatePem` is missing"),
    ("not a PEM", lambda: contract.dump_credentials(credentials(certificate_pem="x")), "is not a PEM text"),
    ("keys swapped", lambda: contract.dump_credentials(credentials(private_key_pem=other_key())), "does not belong to the certificate"),
    ("damaged certificate", lambda: contract.dump_credentials(credentials(certificate_pem=CERTIFICATE.replace("M", "N", 3))), "certificate is damaged"),
    ("damaged key", lambda: contract.dump_credentials(credentials(private_key_pem=KEY.replace("M", "", 1))), "private key is damaged"),
    ("expired", lambda: expired(NOW - 10 * DAY, NOW - 9 * DAY), "expired on"),
    ("not yet valid", lambda: expired(NOW + 9 * DAY, NOW + 10 * DAY), "Set the clock"),
    ("other authority", lambda: contract.dump_credentials(credentials(root_ca_pem=Authority().pem)), "has not signed"),
    ("stranger's authority", lambda: contract.dump_credentials(credentials(root_ca_pem=Authority("Other").pem)), "has not signed"),
    ("house id", lambda: contract.dump_credentials(credentials()).replace('"houseId": 3', '"houseId": "3"'), "`houseId`"),
    ("endpoint", lambda: contract.dump_credentials(credentials(endpoint="https://x/")), "`endpoint`"),
]  # fmt: skip


def expired(begin: datetime.datetime, end: datetime.datetime) -> str:
    certificate, key = AUTHORITY.issue(begin=begin, end=end)
    return contract.dump_credentials(credentials(certificate_pem=certificate, private_key_pem=key))


@pytest.mark.parametrize(("make", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_wrong_credentials_are_refused_with_the_reason_and_the_old_ones_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[], str], message: str
) -> None:
    old = contract.dump_credentials(credentials())
    (tmp_path / "credentials.json").write_text(old)
    file = tmp_path / "new.json"
    file.write_text(make())
    assert install_certs.main([str(file), "--home", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("Not installed: ")
    assert message in told
    assert (tmp_path / "credentials.json").read_text() == old
    assert KEY.splitlines()[1] not in told


def test_a_certificate_of_aws_needs_not_be_signed_by_the_brokers_root(tmp_path: Path) -> None:
    text = contract.dump_credentials(
        credentials(root_ca_pem=Authority("Amazon Root CA 1").pem, certificate_arn="arn:aws:iot:eu:1:cert/1")
    )
    assert install(text, tmp_path).returncode == 0


def test_credentials_of_another_house_than_config_py_are_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("house_id = 4\n")
    done = install(contract.dump_credentials(credentials()), tmp_path)
    assert "belong to house 3" in done.stdout


def test_the_connection_is_tested_before_anything_is_replaced(tmp_path: Path) -> None:
    with running_broker() as broker, running_broker() as stranger:
        issued = broker.authority.issue("sgmp_house_3")

        def attempt(endpoint: str) -> subprocess.CompletedProcess[str]:
            return install(
                contract.dump_credentials(issued.for_house("sgmp", 3, endpoint)), tmp_path, "--test"
            )

        refused = attempt(f"localhost:{free_port()}")
        assert refused.returncode == 1
        assert "Connection refused" in refused.stderr
        foreign = attempt(f"localhost:{stranger.port}")
        assert foreign.returncode == 1
        assert "is not the broker of these credentials" in foreign.stderr
        assert not (tmp_path / "credentials.json").exists()
        good = attempt(f"localhost:{broker.port}")
        assert (good.returncode, good.stderr) == (0, "")
        assert "The broker accepts them." in good.stdout
        assert (tmp_path / "credentials.json").exists()
