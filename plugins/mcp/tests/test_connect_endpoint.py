"""What telemetry is told of a server: where it is and what was agreed on, and nothing that could be a key."""

from __future__ import annotations

from typing import Any

import pytest
from chatproxy_mcp.config import Server
from chatproxy_mcp.connect.links import Links

from .connect_servers import CALL, LEGACY, MODERN, sdk_http


@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_what_is_said_of_a_server_is_its_host_and_the_agreed_version(protocol: str) -> None:
    with sdk_http() as url:
        secret = url.replace("//", "//me:canary@") + "?key=canary"
        async with Links({"sdk": Server(url=secret, protocol=protocol)}) as links:
            before = links.describe("sdk")
            await links.call("sdk", "add", {"a": 2, "b": 3}, **CALL)
            after = links.describe("sdk")
    port = int(url.split(":")[2].partition("/")[0])
    assert before == {
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    assert after == {**before, "mcp.protocol.version": LEGACY if protocol == "legacy" else MODERN}


@pytest.mark.parametrize(
    ("server", "told"),
    [
        pytest.param(Server(command="x", args=("--key=canary",)), {"network.transport": "pipe"}, id="stdio"),
        pytest.param(
            Server(url="https://[2001:db8::1]/mcp"),
            {
                "network.transport": "tcp",
                "network.protocol.name": "http",
                "server.address": "2001:db8::1",
                "server.port": 443,
            },
            id="IPv6",
        ),
    ],
)
async def test_what_is_said_of_a_server_that_was_never_reached(server: Server, told: dict[str, Any]) -> None:
    async with Links({"s": server}) as links:
        assert links.describe("s") == told
        assert links.describe("unknown") == {}
