"""What must not happen: addresses that are not public, credentials elsewhere, tokens of the wrong place, open doors."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
from typing import Any
from urllib.parse import parse_qs

import pytest
from chatproxy_mcp.config import Bearer, OAuth, Server
from chatproxy_mcp.connect.addresses import is_public
from chatproxy_mcp.connect.errors import CallRefusedError, ServerDownError, ServerError, clean
from chatproxy_mcp.connect.links import Links

from .connect_servers import CALL, ERAS, LEGACY, MODERN, Exchange, HandServer, hand_server, said

SECRET = "s3cret+/&=%"

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"]
NOT_PUBLIC = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1"),
    *("203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "fe80::1", "fe80::1%1"),
    *("fec0::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "2001::1", "100::1", "3fff::1", "5f00::1"),
    *("2002:7f00:1::", "2002:a00:1::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1"),
    *("fe80::5efe:7f00:1", "2606:4700::5efe:a00:1", "2606:4700::200:5efe:7f00:1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_ends_within_a_network_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


class Names:
    """A resolver that answers differently every time, and counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: Any, *args: Any, **options: Any) -> list[Any]:
        self.asked.append(host)
        found = self.answers[min(len(self.asked), len(self.answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


def only_names(monkeypatch: pytest.MonkeyPatch, names: Names) -> None:
    real = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **options: Any) -> Any:
        return names(host, *args, **options) if str(host).endswith(".example") else real(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"])
async def test_a_server_that_must_be_public_is_not_reached_within_the_network(host: str) -> None:
    async with hand_server() as server:
        config = Server(url=f"http://{host}:{server.port}/mcp", public_only=True)
        async with Links({"s": config}) as links:
            with pytest.raises(ServerDownError):
                await links.call("s", "echo", {}, **CALL)
        assert server.connections == 0


async def test_one_private_address_of_many_refuses_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    only_names(monkeypatch, Names(["93.184.216.34", "127.0.0.1"]))
    async with hand_server() as server:
        config = Server(url=f"http://tools.example:{server.port}/mcp", public_only=True)
        async with Links({"s": config}) as links:
            with pytest.raises(ServerDownError, match=r"tools\.example leads to an address that is not public"):
                await links.call("s", "echo", {}, **CALL)
        assert server.connections == 0


async def test_a_name_that_changes_its_address_is_resolved_once_for_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names(["127.0.0.1"], ["192.0.2.1"])
    only_names(monkeypatch, names)
    async with hand_server() as server:
        async with Links({"s": Server(url=f"http://tools.example:{server.port}/mcp")}) as links:
            await links.call("s", "echo", {}, **CALL)
        assert {exchange.headers["host"] for exchange in server.seen} == {f"tools.example:{server.port}"}
    assert names.asked == ["tools.example"]


async def test_a_name_without_an_address_is_named() -> None:
    async with Links({"s": Server(url="http://user:pa55word@no-such-host.invalid/mcp?key=k3y")}) as links:
        with pytest.raises(ServerDownError) as down:
            await links.call("s", "echo", {}, **CALL)
        told = f"{down.value} {links.states()['s']}"
    assert "the name no-such-host.invalid does not resolve" in told
    assert "pa55word" not in told
    assert "k3y" not in told


# Redirects.


@pytest.mark.parametrize("era", ERAS)
async def test_a_redirect_elsewhere_is_not_followed(era: str) -> None:
    async with hand_server() as thief, hand_server(era) as server:
        config = server.config(auth=Bearer(token="t0ken"))
        async with Links({"s": config}) as links:
            server.on["tools/call"] = lambda exchange: exchange.reply(307, location=f"{thief.url}?code=c0de")
            with pytest.raises(CallRefusedError, match="not followed") as refusal:
                await links.call("s", "echo", {}, **CALL)
        assert thief.connections == 0
        assert "c0de" not in str(refusal.value)


async def test_a_redirect_within_the_origin_is_followed() -> None:
    async with hand_server() as server, Links({"s": server.config()}) as links:

        async def move(exchange: Exchange) -> None:
            if exchange.target == "/mcp":
                await exchange.reply(307, location="/mcp/")
            else:
                await exchange.text("there")

        server.on["tools/call"] = move
        assert said(await links.call("s", "echo", {}, **CALL)) == "there"


async def test_a_header_with_a_line_break_is_not_sent() -> None:
    async with hand_server() as server:
        async with Links({"s": server.config(headers={"x-a": "1\r\nx-b: 2"})}) as links:
            with pytest.raises(ServerError):
                await links.call("s", "echo", {}, **CALL)
        assert server.seen == []


async def test_a_second_reply_after_the_first_is_never_taken_for_the_next_calls() -> None:
    forged = b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"forged"}],"resultType":"complete"}}'
    async with hand_server() as server, Links({"s": server.config()}) as links:

        async def twice(exchange: Exchange) -> None:
            del server.on["tools/call"]
            body = forged % (exchange.message["id"] + 1)
            await exchange.json(
                {"jsonrpc": "2.0", "id": exchange.message["id"], "result": {"content": [], "resultType": "complete"}}
            )
            await exchange.raw(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
            )

        server.on["tools/call"] = twice
        await links.call("s", "echo", {}, **CALL)
        assert said(await links.call("s", "echo", {"text": "true"}, **CALL)) == "true"


async def test_cookies_are_not_kept_without_a_session() -> None:
    async with hand_server(MODERN) as server, Links({"s": server.config()}) as links:

        async def bake(exchange: Exchange) -> None:
            result = {"content": [], "resultType": "complete"}
            await exchange.json({"jsonrpc": "2.0", "id": exchange.message["id"], "result": result}, set_cookie="who=a")

        server.on["tools/call"] = bake
        for _ in range(2):
            await links.call("s", "echo", {}, **CALL)
        assert not any("cookie" in exchange.headers for exchange in server.seen)


async def test_cookies_of_a_session_stay_in_it() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config()}) as links:

        async def bake(exchange: Exchange) -> None:
            who = exchange.headers["mcp-session-id"]
            await exchange.json(
                {"jsonrpc": "2.0", "id": exchange.message["id"], "result": {"content": []}}, set_cookie=f"who={who}"
            )

        server.on["tools/call"] = bake
        await links.list_tools("s")
        for tenant in ("a", "a", "b", "b"):
            await links.call("s", "echo", {}, tenant=tenant, meta={}, timeout_s=10)
        sent = [call.headers.get("cookie") for call in server.all("tools/call")]
        assert sent == [None, "who=s2", None, "who=s3"]


# OAuth.


class Guarded:
    """Makes a server ask for tokens, which another one (or itself) gives out.

    Attributes:
        good: the token that is accepted.
        asked: the requests for tokens.
    """

    def __init__(self, server: HandServer, issuer: HandServer | None = None) -> None:
        self.good = "none yet"
        self.asked: list[Exchange] = []
        self._server = server
        issuer = issuer or server
        self.root = f"http://127.0.0.1:{issuer.port}"
        self.resource: dict[str, Any] = {"resource": server.url, "authorization_servers": [f"{self.root}/"]}
        self.metadata: dict[str, Any] = {"issuer": f"{self.root}/", "token_endpoint": f"{self.root}/token"}
        self.metadata |= {"authorization_endpoint": f"{self.root}/a", "response_types_supported": ["code"]}
        server.guard = self._guard
        server.on["/.well-known/oauth-protected-resource/mcp"] = lambda exchange: exchange.json(self.resource)
        issuer.on["/.well-known/oauth-authorization-server"] = lambda exchange: exchange.json(self.metadata)
        issuer.on["/token"] = self._token

    def form(self, number: int) -> dict[str, list[str]]:
        """What was sent for a token."""
        return parse_qs(self.asked[number].body.decode())

    async def _token(self, exchange: Exchange) -> None:
        self.asked.append(exchange)
        self.good = f"token{len(self.asked)}"
        await exchange.json({"access_token": self.good, "token_type": "bearer", "expires_in": "3600"})

    async def _guard(self, exchange: Exchange) -> bool:
        if exchange.headers.get("authorization") == f"Bearer {self.good}":
            return False
        where = f"http://127.0.0.1:{self._server.port}/.well-known/oauth-protected-resource/mcp"
        await exchange.reply(401, www_authenticate=f'Bearer scope="tools more", resource_metadata="{where}"')
        return True


def auth(**fields: Any) -> OAuth:
    return OAuth(client_id="gate way", client_secret=SECRET, **fields)


async def test_a_token_is_found_by_discovery_and_used_for_all_calls() -> None:
    async with hand_server() as server, hand_server() as issuer:
        guarded = Guarded(server, issuer)
        async with Links({"s": server.config(auth=auth())}) as links:
            for _ in range(3):
                await links.call("s", "echo", {}, **CALL)
        assert len(guarded.asked) == 1
        assert guarded.form(0) == {
            "grant_type": ["client_credentials"],
            "resource": [server.url],
            "scope": ["tools more"],
        }
        basic = base64.b64decode(guarded.asked[0].headers["authorization"].removeprefix("Basic ")).decode()
        assert basic == "gate%20way:s3cret%2B%2F%26%3D%25"


async def test_a_token_endpoint_of_the_operator_is_asked_before_the_first_request() -> None:
    async with hand_server() as server, hand_server() as issuer:
        guarded = Guarded(server, issuer)
        config = auth(token_url=f"{guarded.root}/token", client_auth="client_secret_post", scopes=("tools",))
        async with Links({"s": server.config(auth=config)}) as links:
            await links.call("s", "echo", {}, **CALL)
        assert guarded.form(0)["client_secret"] == [SECRET]
        assert guarded.form(0)["scope"] == ["tools"]
        assert not server.all("/.well-known/oauth-protected-resource/mcp")
        assert [exchange.headers["authorization"] for exchange in server.seen] == ["Bearer token1"] * len(server.seen)


async def test_a_token_that_is_no_longer_good_is_renewed_once_for_all_calls() -> None:
    async with hand_server() as server:
        guarded = Guarded(server)
        async with Links({"s": server.config(auth=auth())}) as links:
            await links.list_tools("s")
            guarded.good = "revoked"
            results = await asyncio.gather(*(links.call("s", "echo", {"text": "hi"}, **CALL) for _ in range(8)))
        assert [said(result) for result in results] == ["hi"] * 8
        assert len(guarded.asked) == 2


async def test_calls_with_a_token_run_at_the_same_time() -> None:
    async with hand_server() as server:
        Guarded(server)
        async with Links({"s": server.config(auth=auth())}) as links:
            await links.list_tools("s")

            async def together(exchange: Exchange) -> None:
                await server.some("tools/call", 5)
                await exchange.text("")

            server.on["tools/call"] = together
            await asyncio.gather(*(links.call("s", "echo", {}, **CALL) for _ in range(5)))


async def test_a_call_that_needs_more_scope_asks_for_it_beside_the_old() -> None:
    async with hand_server() as server:
        guarded = Guarded(server)

        async def more(exchange: Exchange) -> None:
            if len(guarded.asked) == 1:
                await exchange.reply(403, www_authenticate='Bearer error="insufficient_scope", scope="admin"')
            else:
                await exchange.text("done")

        server.on["tools/call"] = more
        async with Links({"s": server.config(auth=auth(scopes=("tools",)))}) as links:
            assert said(await links.call("s", "echo", {}, **CALL)) == "done"
        assert guarded.form(1)["scope"] == ["tools more admin"]


async def test_no_token_is_asked_for_another_resource() -> None:
    async with hand_server() as server:
        guarded = Guarded(server)
        guarded.resource["resource"] = "https://bank.example/"
        async with Links({"s": server.config(auth=auth())}) as links:
            with pytest.raises(ServerDownError, match="for another resource"):
                await links.call("s", "echo", {}, **CALL)
        assert guarded.asked == []


async def test_no_secret_is_sent_by_metadata_of_another_issuer() -> None:
    async with hand_server() as server:
        guarded = Guarded(server)
        guarded.metadata["issuer"] = "https://elsewhere.example/"
        async with Links({"s": server.config(auth=auth())}) as links:
            with pytest.raises(ServerDownError, match="names another issuer"):
                await links.call("s", "echo", {}, **CALL)
        assert guarded.asked == []


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_an_endpoint_that_gives_no_token_is_named_and_the_secret_is_not(status: int) -> None:
    async with hand_server() as server:
        guarded = Guarded(server)
        server.on["/token"] = lambda exchange: exchange.json({"error": SECRET}, status)
        async with Links({"s": server.config(auth=auth())}) as links:
            with pytest.raises(ServerDownError, match="the token endpoint") as down:
                await links.call("s", "echo", {}, **CALL)
            assert SECRET not in f"{down.value} {links.states()}"
        assert guarded.good == "none yet"


async def test_a_server_that_takes_no_token_is_not_asked_forever() -> None:
    async with hand_server() as server:
        guarded = Guarded(server)

        async def never(exchange: Exchange) -> bool:
            await exchange.reply(401)
            return True

        server.guard = never
        async with Links({"s": server.config(auth=auth())}) as links:
            with pytest.raises(ServerDownError, match="credentials were not accepted"):
                await links.call("s", "echo", {}, **CALL)
        assert len(guarded.asked) <= 2


async def test_a_public_server_leads_to_no_token_endpoint_within_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's name counts as public here; the connection goes to the loopback all the same."""
    only_names(monkeypatch, Names(["93.184.216.34"]))
    async with hand_server() as server:
        guarded = Guarded(server)
        guarded.resource["resource"] = f"http://tools.example:{server.port}/mcp"
        real = asyncio.get_running_loop().create_connection
        dialled: list[str] = []

        async def dial(make: Any, host: str, port: int, **options: Any) -> Any:
            dialled.append(host)
            return await real(make, "127.0.0.1", port, **options)

        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", dial)
        config = Server(url=f"http://tools.example:{server.port}/mcp", auth=auth())
        async with Links({"s": config}) as links:
            with pytest.raises(ServerDownError, match=r"127\.0\.0\.1 leads to an address that is not public"):
                await links.call("s", "echo", {}, **CALL)
        assert set(dialled) == {"93.184.216.34"}
        assert guarded.asked == []


# Words.


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a\x00b\x1b[1mc\u202ed\U000e0041e", "a b [1mc d e"),
        ("see https://me:pw@host.example/a?token=x#y now", "see https://host.example/a now"),
        ("sent Bearer abcdefgh.ijk to it", "sent Bearer *** to it"),
        ("one\ntwo   three", "one two three"),
    ],
)
def test_a_servers_words_are_cleaned(text: str, wanted: str) -> None:
    assert clean(text) == wanted
