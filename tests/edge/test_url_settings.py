"""Web addresses in the settings of devices: nothing secret in them, and no secret to where it could be read."""

from __future__ import annotations

import pytest

from sgmp_edge.contract.addresses import url_problem


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
