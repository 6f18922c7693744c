"""Pages of other origins at a kit's own path."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .asking import USER, gateway_of, kit_with

PAGE = "http://localhost:3000"


async def answer(messages: Any, context: Any) -> str:
    return "ok"


async def preflight(origins: list[str], origin: str) -> httpx.Response:
    ck = kit_with(answer, cors_origins=origins)
    ck.auth()(lambda request: None)  # a preflight carries no credential
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
    }
    async with gateway_of(ck) as gateway:
        return await gateway.client.options("/chatkit", headers=headers)


async def test_listed_origin_may_ask() -> None:
    found = await preflight([PAGE], PAGE)
    assert found.status_code == 204
    assert found.headers["access-control-allow-origin"] == PAGE
    assert "POST" in found.headers["access-control-allow-methods"]
    assert found.headers["access-control-allow-headers"] == "authorization, content-type"
    assert found.headers["vary"] == "Origin"


async def test_every_origin_may_ask_where_all_are_allowed() -> None:
    assert (await preflight(["*"], PAGE)).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("origin", ["http://localhost:3001", "http://localhost:3000.evil.com", "null"])
@pytest.mark.parametrize("origins", [[PAGE], []], ids=["others", "none"])
async def test_other_origins_may_not(origin: str, origins: list[str]) -> None:
    found = await preflight(origins, origin)
    assert found.status_code == 405
    assert "access-control-allow-origin" not in found.headers


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_answers_and_errors_can_be_read_by_the_page(stream: bool) -> None:
    async with gateway_of(kit_with(answer, cors_origins=[PAGE])) as gateway:
        for messages, status in (([USER], 200), ([], 400)):
            body = {"messages": messages, "stream": stream}
            found = await gateway.client.post("/chatkit", json=body, headers={"origin": PAGE})
            assert (found.status_code, found.headers["access-control-allow-origin"]) == (status, PAGE)
            assert "x-request-id" in found.headers["access-control-expose-headers"]


async def test_answers_to_other_pages_name_nobody() -> None:
    async with gateway_of(kit_with(answer, cors_origins=[PAGE])) as gateway:
        for headers in ({"origin": "http://evil.com"}, {}):
            found = await gateway.client.post("/chatkit", json={"messages": [USER]}, headers=headers)
            assert "access-control-allow-origin" not in found.headers


async def test_one_origin_may_be_given_as_a_text() -> None:
    async with gateway_of(kit_with(answer, cors_origins=PAGE)) as gateway:
        found = await gateway.client.post("/chatkit", json={"messages": [USER]}, headers={"origin": PAGE})
    assert found.headers["access-control-allow-origin"] == PAGE
