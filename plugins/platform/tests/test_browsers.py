"""The administration and browsers (H-14): pages of other sites, and names that were made to point here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from chatproxy_platform.administration.browsers import check_browser
from chatproxy_platform.config import Config
from litestar import get, post
from litestar.handlers import HTTPRouteHandler

from chatproxy import Principal, RequestContext, hookimpl
from chatproxy.testing import make_app


class Desk:
    """A plugin of the platform's name with one route, guarded as the platform's are."""

    chatproxy_name = "platform"

    def __init__(self, listening: str = "127.0.0.1", **settings: Any) -> None:
        self.config = Config(**settings)
        self.listening = listening

    @hookimpl
    def routes(self) -> list[HTTPRouteHandler]:
        opt = {"own_path": True, "access": "user"}
        return [
            get("/v1/desk", sync_to_thread=False, opt=opt)(_ok),
            post("/v1/act", sync_to_thread=False, opt=opt)(_ok),
        ]

    @hookimpl
    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal:
        check_browser(ctx, self.config, self.listening)
        return Principal(id="key_a")


def _ok() -> dict[str, bool]:
    return {"ok": True}


async def code_of(desk: Desk, headers: dict[str, str], path: str = "/v1/desk") -> str:
    """``ok``, or the error's code."""
    async with make_app(plugins=[desk]) as gateway:
        answer = await gateway.client.get(path, headers={"host": "127.0.0.1:8765", **headers})
    assert answer.status_code in {200, 403}
    return "ok" if answer.status_code == 200 else str(answer.json()["error"]["code"])


LOOPBACK, COMPANY, EVERYWHERE = "127.0.0.1", "10.1.2.3", "0.0.0.0"


@pytest.mark.parametrize(
    ("listening", "host", "found"),
    [
        (LOOPBACK, "127.0.0.1", "ok"),
        (LOOPBACK, "127.0.0.1:8765", "ok"),
        (LOOPBACK, "localhost:8765", "ok"),
        (LOOPBACK, "LOCALHOST", "ok"),
        (LOOPBACK, "localhost.", "ok"),
        (LOOPBACK, "[::1]:8765", "ok"),
        ("::1", "[::1]:8765", "ok"),
        ("[::1]", "localhost", "ok"),
        ("localhost", "localhost", "ok"),
        (LOOPBACK, "evil.example.com", "host_not_allowed"),
        (LOOPBACK, "evil.example.com:8765", "host_not_allowed"),
        (LOOPBACK, "localhost.evil.example.com", "host_not_allowed"),
        (LOOPBACK, "127.0.0.1.evil.example.com", "host_not_allowed"),
        (LOOPBACK, "127.0.0.2", "host_not_allowed"),
        (LOOPBACK, "2130706433", "host_not_allowed"),
        (LOOPBACK, "0x7f.0.0.1", "host_not_allowed"),
        (LOOPBACK, "10.1.2.3", "host_not_allowed"),
        (COMPANY, "10.1.2.3", "ok"),
        (COMPANY, "localhost", "host_not_allowed"),
        (COMPANY, "127.0.0.1", "host_not_allowed"),
        (COMPANY, "chat.example.com", "host_not_allowed"),
        (EVERYWHERE, "10.1.2.3:8765", "ok"),
        (EVERYWHERE, "localhost", "ok"),
        (EVERYWHERE, "[fe80::1]", "ok"),
        ("::", "10.1.2.3", "ok"),
        (EVERYWHERE, "evil.example.com", "host_not_allowed"),
        ("chat.example.com", "chat.example.com", "ok"),
        ("chat.example.com", "localhost", "host_not_allowed"),
        ("", "evil.example.com", "host_not_allowed"),
    ],
)
async def test_only_names_of_this_gateway_are_answered(listening: str, host: str, found: str) -> None:
    assert await code_of(Desk(listening), {"host": host}) == found


@pytest.mark.parametrize(
    ("allowed", "host", "found"),
    [
        (["chat.example.com"], "chat.example.com", "ok"),
        (["Chat.Example.com"], "chat.EXAMPLE.com:443", "ok"),
        (["chat.example.com"], "127.0.0.1", "ok"),
        (["chat.example.com"], "chat.example.com.evil.net", "host_not_allowed"),
        (["chat.example.com"], "x.chat.example.com", "host_not_allowed"),
        (["*"], "anything.example.com", "ok"),
    ],
)
async def test_further_names_are_answered_where_they_are_configured(allowed: list[str], host: str, found: str) -> None:
    assert await code_of(Desk(allowed_hosts=allowed), {"host": host}) == found


EVIL = "https://evil.example.com"
HERE = "http://127.0.0.1:8765"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, "ok"),
        ({"origin": HERE}, "ok"),
        ({"origin": HERE, "sec-fetch-site": "same-origin"}, "ok"),
        ({"sec-fetch-site": "none"}, "ok"),
        ({"origin": EVIL}, "origin_not_allowed"),
        ({"origin": "null"}, "origin_not_allowed"),
        ({"origin": ""}, "origin_not_allowed"),
        ({"origin": "http://127.0.0.1"}, "origin_not_allowed"),
        ({"origin": "http://127.0.0.1:3000"}, "origin_not_allowed"),
        ({"origin": "https://127.0.0.1:8765"}, "origin_not_allowed"),
        ({"origin": f"{HERE}.evil.example.com"}, "origin_not_allowed"),
        ({"origin": "http://localhost:8765"}, "origin_not_allowed"),
        ({"origin": "file://"}, "origin_not_allowed"),
        ({"origin": "chrome-extension://abc"}, "origin_not_allowed"),
        ({"sec-fetch-site": "cross-site"}, "origin_not_allowed"),
        ({"sec-fetch-site": "same-site"}, "origin_not_allowed"),
        ({"sec-fetch-site": "Same-Origin"}, "origin_not_allowed"),
        ({"sec-fetch-site": ""}, "origin_not_allowed"),
        ({"origin": EVIL, "sec-fetch-site": "cross-site"}, "origin_not_allowed"),
        ({"origin": HERE, "sec-fetch-site": "cross-site"}, "origin_not_allowed"),
        ({"origin": EVIL, "x-forwarded-host": "evil.example.com"}, "origin_not_allowed"),
        ({"referer": EVIL}, "ok"),
    ],
    ids=str,
)
async def test_pages_of_other_sites_are_refused(headers: dict[str, str], found: str) -> None:
    assert await code_of(Desk(), headers) == found


@pytest.mark.parametrize(
    ("origin", "found"),
    [
        ("https://console.example.com", "ok"),
        ("https://console.example.com:8443", "origin_not_allowed"),
        ("http://console.example.com", "origin_not_allowed"),
        ("https://console.example.com.evil.net", "origin_not_allowed"),
        ("https://a.console.example.com", "origin_not_allowed"),
        ("null", "origin_not_allowed"),
    ],
)
@pytest.mark.parametrize("site", ["cross-site", None])
async def test_configured_origins_may_call_and_null_never_is_one(origin: str, found: str, site: str | None) -> None:
    desk = Desk(allowed_origins=["https://console.example.com", "null"])
    headers = {"origin": origin} if site is None else {"origin": origin, "sec-fetch-site": site}
    assert await code_of(desk, headers) == found


async def test_a_page_behind_a_proxy_with_tls_is_of_the_same_origin_where_its_browser_says_so() -> None:
    desk = Desk(allowed_hosts=["chat.example.com"])
    page = {"host": "chat.example.com", "origin": "https://chat.example.com"}
    assert await code_of(desk, {**page, "sec-fetch-site": "same-origin"}) == "ok"
    assert await code_of(desk, page) == "origin_not_allowed"


async def test_a_form_of_another_site_is_refused_before_anything_is_done() -> None:
    async with make_app(plugins=[Desk()]) as gateway:
        answer = await gateway.client.post(
            "/v1/act", headers={"host": "127.0.0.1", "origin": EVIL, "sec-fetch-mode": "no-cors"}, data={"a": "b"}
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_preflight_of_another_site_is_not_granted() -> None:
    async with make_app(plugins=[Desk()]) as gateway:
        answer = await gateway.client.options(
            "/v1/act", headers={"host": "127.0.0.1", "origin": EVIL, "access-control-request-method": "POST"}
        )
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_exchanges_are_none_of_the_guards_business() -> None:
    assert await code_of(Desk(), {"host": "anything.example.com", "origin": EVIL}, "/v1/models") == "ok"
