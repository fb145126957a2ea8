from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.mosquitto import TestBroker, TestClient, running_broker


@pytest.fixture(scope="module")
def broker() -> Iterator[TestBroker]:
    with running_broker() as running:
        yield running


@pytest.fixture
def connect(broker: TestBroker) -> Iterator[Callable[..., TestClient]]:
    """Connect with a fresh certificate of that common name; closed at the end of the test."""
    clients: list[TestClient] = []

    def connect(common_name: str, client_id: str | None = None, **options: int) -> TestClient:
        client = TestClient(broker, broker.files_for(common_name), client_id or common_name, **options)
        clients.append(client)
        client.wait_connected()
        return client

    yield connect
    for client in clients:
        client.close()
