"""Servers that clients name by an address, and what of a request reaches a server at all."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy import Principal, hookimpl
from chatproxy.testing.matrix import DIALECTS, Cell, Said

from .asking import CLOCK, answering, clock_config, gateway_of, saying
from .servers import SdkServer

CELL = Cell("chat", False, "chat")
NOON = Said(content="It is noon.")


class Keys:
    """The key is the principal."""

    @hookimpl
    async def authenticate(self, headers: Any) -> Principal | None:
        return Principal(id=headers.get("authorization", "nobody").removeprefix("Bearer "))


@pytest.fixture
def server() -> Any:
    with SdkServer(**CLOCK) as running:
        running.answer = answering({"now": "12:00 sharp"})
        yield running


def guest(server: SdkServer, **fields: Any) -> dict[str, Any]:
    return {"type": "mcp", "server_label": "My Clock", "server_url": server.url, **fields}


def open_config(**settings: Any) -> dict[str, Any]:
    return {"allowed_hosts": ["127.0.0.*"], "allowed_networks": ["127.0.0.0/8"], "pinning": "off", **settings}


async def test_a_guest_is_offered_and_called_with_the_clients_own_credential(server: SdkServer) -> None:
    upstream = saying(CELL, NOON)
    async with gateway_of(upstream, open_config(), plugins=(Keys(),)) as gateway:
        gateway.client.headers["authorization"] = "Bearer gateway-key"
        tool = guest(server, authorization="guest-token", headers={"x-project": "p1"})
        await gateway.chat("Hi", tools=[tool])
        [echo, now] = DIALECTS["chat"].tool_names(upstream.requests[0].json)
        assert now.startswith("my-clock-")
        assert (echo.endswith("__echo"), now.endswith("__now")) == (True, True)
        asked = saying(CELL, Said(content="", calls=((now, "{}"),)), NOON)
        upstream._script[:] = asked._script
        heard = await CELL.ask(gateway, "Hi", tools=[tool])
    assert heard.content == "It is noon."
    assert server.calls == [("now", {})]
    assert {headers.get("authorization") for headers in server.headers} == {"Bearer guest-token"}
    assert {headers.get("x-project") for headers in server.headers} == {"p1"}
    assert b"guest-token" not in b"".join(request.body for request in upstream.requests)


async def test_tenants_do_not_share_a_guest(server: SdkServer) -> None:
    upstream = saying(CELL, NOON)
    async with gateway_of(upstream, open_config(), plugins=(Keys(),)) as gateway:
        for key in ("one", "two", "one"):
            gateway.client.headers["authorization"] = f"Bearer {key}"
            await gateway.chat("Hi", tools=[guest(server)])
        shown = await gateway.client.get("/chatproxy/mcp")
    names = [DIALECTS["chat"].tool_names(request.json)[0] for request in upstream.requests]
    assert names[0] == names[2] != names[1]
    assert "my-clock" not in shown.text


async def test_a_guest_must_lead_to_a_public_address(server: SdkServer) -> None:
    upstream = saying(CELL, NOON)
    async with gateway_of(upstream, open_config(allowed_networks=[])) as gateway:
        answer = await gateway.chat("Hi", tools=[guest(server)])
    assert answer.status_code == 200
    assert "tools" not in upstream.requests[0].json
    assert server.headers == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"server_url": "http://127.0.0.1@evil.example/mcp"}, "tools[0]"),
        ({"server_url": "http://user:pw@127.0.0.1/mcp"}, "tools[0]"),
        ({"server_url": "file:///etc/passwd"}, "tools[0]"),
        ({"server_url": "http://[::1"}, "tools[0]"),
        ({"server_url": "http://127.0.0.1:99999/mcp"}, "tools[0]"),
        ({"headers": {"Host": "evil.example"}}, "tools[0].headers"),
        ({"headers": {"x\r\ny": "z"}}, "tools[0].headers"),
        ({"headers": {"x": "y\r\nz: 1"}}, "tools[0].headers"),
        ({"headers": {"Mcp-Session-Id": "stolen"}}, "tools[0].headers"),
        ({"headers": {"Cookie": "c"}}, "tools[0].headers"),
        ({"headers": {"x": 5}}, "tools[0].headers"),
        ({"authorization": "a\r\nb"}, "tools[0].authorization"),
    ],
)
async def test_an_address_or_header_that_is_none_is_refused(
    server: SdkServer, fields: dict[str, Any], param: str
) -> None:
    async with gateway_of(saying(CELL, NOON), open_config()) as gateway:
        answer = await gateway.chat("Hi", tools=[guest(server, **fields)])
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(param)
    assert server.headers == []


async def test_nothing_of_the_clients_request_reaches_a_server(server: SdkServer) -> None:
    upstream = saying(CELL, Said(content="", calls=(("clock__now", "{}"),)), NOON)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = {
        "authorization": "Bearer gateway-key",
        "cookie": "c=secret",
        "x-forwarded-for": "9.9.9.9",
        "traceparent": trace,
    }
    config = clock_config(server, server_auth={"type": "bearer", "token": "own-token"})
    async with gateway_of(upstream, config, plugins=(Keys(),)) as gateway:
        gateway.client.headers.update(sent)
        heard = await CELL.ask(gateway, "Hi")
    assert heard.content == "It is noon."
    assert {headers.get("authorization") for headers in server.headers} == {"Bearer own-token"}
    told = str(server.headers) + str(server.metas)
    assert not any(secret in told for secret in ("gateway-key", "c=secret", "9.9.9.9"))
    assert server.metas[0]["traceparent"].split("-")[1] == trace.split("-")[1]
