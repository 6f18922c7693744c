"""What the clients are made with, and how they end."""

from __future__ import annotations

from typing import Any

import pytest
from chatproxy_sdk.async_client import AsyncChatServerClient
from chatproxy_sdk.client import ChatServerClient

from ..servers import FaultServer
from .adapters import Connect

SECRET = "sk-very-secret"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"api_key": f"{SECRET}\n"}, "api_key"),
        ({"api_key": f"{SECRET}é"}, "api_key"),
        ({"api_key": 3}, "api_key"),
        ({"base_url": "localhost:3284"}, "base_url"),
        ({"base_url": "ftp://localhost"}, "base_url"),
        ({"base_url": "http://"}, "base_url"),
        ({"base_url": "http://localhost?a=1"}, "base_url"),
        ({"base_url": None}, "base_url"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": "30"}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"timeout": None}, "timeout"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 1.5}, "max_retries"),
        ({"retry_delay": -0.1}, "retry_delay"),
    ],
    ids=lambda value: str(value)[:40].replace(SECRET, "key") if isinstance(value, dict) else "",
)
def test_setting_that_cannot_be_used_is_named_and_the_key_is_not(
    connect: Connect, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        connect(**{"api_key": SECRET, **options})
    assert SECRET not in str(caught.value)


def test_defaults_are_those_of_the_document(connect: Connect) -> None:
    assert "base_url='http://localhost:3284', timeout=30" in repr(connect())


def test_repr_has_neither_key_nor_password(connect: Connect) -> None:
    shown = repr(connect(SECRET, "https://me:hidden@example.com/v1"))
    assert "https://example.com" in shown
    assert SECRET not in shown
    assert "hidden" not in shown


def test_with_block_closes_the_client(server: FaultServer) -> None:
    with ChatServerClient(base_url=server.url) as client:
        client.create_completion("demo", "hi")
        assert server.open_connections == 1
    server.wait_closed()
    with pytest.raises(RuntimeError, match="closed"):
        client.list_models()
    client.close()


@pytest.mark.parametrize("name", ["close", "aclose"])
async def test_async_with_block_closes_the_client(server: FaultServer, name: str) -> None:
    async with AsyncChatServerClient(base_url=server.url) as client:
        await client.create_completion("demo", "hi")
        assert server.open_connections == 1
    server.wait_closed()
    with pytest.raises(RuntimeError, match="closed"):
        await client.list_models()
    await getattr(client, name)()
