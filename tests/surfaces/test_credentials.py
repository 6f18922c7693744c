"""The keys of clients and of upstreams, on APIs that send them in different headers."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.testing import ScriptedUpstream, make_app
from chatproxy.testing.matrix import DIALECTS, Said
from chatproxy.testing.matrix.said import scripted

KEY_HEADERS = ("authorization", "x-api-key", "api-key")


async def sent(surface: str, client: dict[str, str], **settings: Any) -> dict[str, str]:
    """The upstream's headers for one request of this surface."""
    dialect = DIALECTS[surface]
    spoken = settings.pop("spoken", surface)
    upstream = ScriptedUpstream(scripted(DIALECTS[spoken], Said(content="Hi"), is_streamed=False))
    table = {"default": {"base_url": "http://upstream/v1", "surfaces": [spoken], **settings}}
    async with make_app(upstream=upstream, upstreams=table) as gateway:
        body = {"model": "m", **dialect.question("Hello", earlier=None, result=None)}
        answer = await gateway.client.post(dialect.path, json=body, headers=client)
    assert answer.status_code == 200
    return upstream.requests[0].headers


@pytest.mark.parametrize(
    ("header", "value"), [("authorization", "Bearer k"), ("x-api-key", "k"), ("api-key", "k")], ids=KEY_HEADERS
)
async def test_an_upstreams_key_goes_in_its_own_header(header: str, value: str) -> None:
    client = {"authorization": "Bearer client", "x-api-key": "client", "api-key": "client"}
    headers = await sent("messages", client, api_key="k", api_key_header=header, forward_authorization=True)
    assert {name: headers[name] for name in KEY_HEADERS if name in headers} == {header: value}


@pytest.mark.parametrize("given", [{"authorization": "Bearer c"}, {"x-api-key": "c"}], ids=["bearer", "x-api-key"])
@pytest.mark.parametrize(("header", "value"), [("authorization", "Bearer c"), ("x-api-key", "c")])
async def test_a_clients_key_is_handed_on_only_if_the_operator_says_so(
    given: dict[str, str], header: str, value: str
) -> None:
    for forward in (True, False):
        headers = await sent("messages", given, api_key_header=header, forward_authorization=forward)
        found = {name: headers[name] for name in KEY_HEADERS if name in headers}
        assert found == ({header: value} if forward else {})


async def test_the_apis_version_is_the_operators_or_the_clients_or_ours() -> None:
    own = {"anthropic-version": "2030-01-01", "anthropic-beta": "b"}
    versions = ("anthropic-version", "anthropic-beta")
    cases: list[tuple[str, dict[str, Any], tuple[str | None, str | None]]] = [
        ("messages", {}, ("2030-01-01", "b")),
        ("messages", {"headers": {"anthropic-version": "2029-01-01"}}, ("2029-01-01", "b")),
        ("chat", {"spoken": "messages"}, ("2023-06-01", None)),
        ("messages", {"spoken": "chat"}, (None, None)),
        ("chat", {}, (None, None)),
    ]
    for surface, settings, expected in cases:
        headers = await sent(surface, own, **settings)
        assert tuple(headers.get(name) for name in versions) == expected, (surface, settings)
    assert (await sent("messages", {}))["anthropic-version"] == "2023-06-01"


async def test_clients_of_messages_find_the_requests_id_where_they_look() -> None:
    async with make_app(demo=True) as gateway:
        body = {"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
        for path, sent_body in (("/v1/messages", body), ("/v1/messages", {}), ("/v1/messages/none", body)):
            answer = await gateway.client.post(path, json=sent_body)
            assert answer.headers["request-id"] == answer.headers["x-request-id"]
            assert answer.json()["type"] in {"message", "error"}
        answer = await gateway.client.get("/v1/messages")
        assert (answer.status_code, answer.json()["error"]["type"]) == (405, "invalid_request_error")
        assert "request-id" not in (await gateway.chat("Hi", model="demo")).headers
