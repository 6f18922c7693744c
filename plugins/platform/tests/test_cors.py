"""Pages of allowed origins: their browsers may read answers, and errors too; nobody else's may."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from chatproxy_platform.administration.browsers import check_browser
from chatproxy_platform.administration.cors import allowing
from chatproxy_platform.config import Config
from litestar import Router, get, patch

from chatproxy import Principal, RequestContext, Unauthenticated, hookimpl
from chatproxy.testing import make_app

CONSOLE = "https://console.example.com"
PREFLIGHT = {"access-control-request-method": "PATCH", "access-control-request-headers": "authorization"}


class Desk:
    """A plugin of the platform's name, whose routes are guarded and opened as the platform's are."""

    chatproxy_name = "platform"
    config = Config(allowed_origins=[CONSOLE, "null"], allowed_hosts=["gateway"])

    @hookimpl
    def routes(self) -> list[Router]:
        opt = {"own_path": True, "access": "user"}
        handlers = [
            get("/v1/desk", sync_to_thread=False, opt=opt)(_ok),
            patch("/v1/desk", sync_to_thread=False, opt=opt)(_changed),
        ]
        return [Router("/", route_handlers=handlers, opt=opt, middleware=[allowing(self.config.allowed_origins)])]

    @hookimpl
    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal:
        check_browser(ctx, self.config, "127.0.0.1")
        if "authorization" not in headers:
            raise Unauthenticated("Who are you?")
        return Principal(id="key_a")


def _ok() -> dict[str, bool]:
    return {"ok": True}


def _changed() -> dict[str, bool]:
    return {"changed": True}


def granted(headers: Mapping[str, str]) -> dict[str, str]:
    """What of an answer is about origins."""
    return {name: value for name, value in headers.items() if name.startswith("access-control") or name == "vary"}


@pytest.mark.parametrize(("key", "status"), [("Bearer k", 200), (None, 401)])
async def test_answers_and_errors_can_be_read_by_an_allowed_page(key: str | None, status: int) -> None:
    headers = {"origin": CONSOLE, **({} if key is None else {"authorization": key})}
    async with make_app(plugins=[Desk()]) as gateway:
        answer = await gateway.client.get("/v1/desk", headers=headers)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == CONSOLE
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_preflight_of_an_allowed_page_is_granted_without_a_credential() -> None:
    async with make_app(plugins=[Desk()]) as gateway:
        answer = await gateway.client.options("/v1/desk", headers={"origin": CONSOLE, **PREFLIGHT})
    assert (answer.status_code, answer.content) == (204, b"")
    assert granted(answer.headers) == {
        "access-control-allow-origin": CONSOLE,
        "access-control-allow-methods": "GET, POST, PATCH, DELETE",
        "access-control-allow-headers": "authorization, content-type, x-api-key",
        "access-control-max-age": "600",
        "vary": "Origin",
    }


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "null", f"{CONSOLE}.evil.net", CONSOLE.upper(), "*", ""]
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_other_pages_get_no_grant(origin: str, method: str) -> None:
    headers = {"origin": origin, "authorization": "Bearer k", **PREFLIGHT}
    async with make_app(plugins=[Desk()]) as gateway:
        answer = await gateway.client.request(method, "/v1/desk", headers=headers)
    assert granted(answer.headers) == {}
    assert method == "OPTIONS" or answer.status_code == 403


async def test_programs_get_no_such_headers() -> None:
    async with make_app(plugins=[Desk()]) as gateway:
        answer = await gateway.client.get("/v1/desk", headers={"authorization": "Bearer k"})
    assert (answer.status_code, granted(answer.headers)) == (200, {})
