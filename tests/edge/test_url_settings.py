"""Web addresses in the settings of devices: nothing secret in them, and no secret to where it could be read."""

from __future__ import annotations

import pytest

from sgmp_edge.contract.addresses import is_host, url_problem


@pytest.mark.parametrize(
    "url",
    [
        "https://slac.powerflex.com:9443",
        "http://127.0.0.1:8000",
        "http://192.168.1.20",
        "http://[fe80::1]:80",
        "http://charger",
        "http://charger.local/api",
        "http://localhost:5000",
    ],
)
def test_services_are_reached_with_tls_and_devices_of_the_house_as_they_are(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://ann:secret@example.org", "user or password"),
        ("https://ann@example.org", "user or password"),
        ("http://@192.168.1.20", "user or password"),
        ("http://slac.powerflex.com:9443", "https://"),
        ("http://93.184.216.34", "https://"),
        ("http://localhost.example.org", "https://"),
        ("ftp://192.168.1.20", "web address"),
        ("https://", "web address"),
        ("http://[::1", "web address"),
        ("https://example.org:99999", "web address"),
    ],
)
def test_what_is_wrong_with_an_address_is_said_without_quoting_it(url: str, why: str) -> None:
    problem = url_problem(url)
    assert problem is not None
    assert why in problem
    assert "secret" not in problem


@pytest.mark.parametrize(
    "url",
    [
        "https://h h", "https://h\\x", "https://h\n", "https://h\t:443", "https://h?x", "https://h#x", "https://h?",
        "https://256.1.1.1", "https://1.2.3", "https://h..x", "https://-h", "https://h:0", "https://h\u202e",
    ],
)  # fmt: skip
def test_an_address_that_could_never_be_reached_is_refused(url: str) -> None:
    assert url_problem(url) is not None


@pytest.mark.parametrize(
    "host",
    [
        "192.168.1.300",
        "1.2.3",
        "1.2.3.4.5",
        "127.1",
        "0x7f.1",
        "10",
        "meter.5",
        "host:0",
        "host:",
        "1.2.3.4:",
        "h:80:80",
        "[fe80::1%eth 0]",
        "[fe80::1]%eth0",
        "[fe80::1%eth0]x",
        "fe80::1%eth0\n",
        "fe80::1%an-interface-of-16",
        "1.2.3.4%eth0",
        "[1.2.3.4]",
    ],
)
def test_a_host_that_could_never_be_reached_is_refused(host: str) -> None:
    assert not is_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "192.168.1.30:8080",
        "5meter",
        "a.b5",
        "0xmeter",
        "fe80::1%eth0",
        "[fe80::1%25br-0.2]:80",
        "[::1]:80",
        "x1",
    ],
)
def test_a_host_of_digits_and_letters_is_taken(host: str) -> None:
    assert is_host(host)
