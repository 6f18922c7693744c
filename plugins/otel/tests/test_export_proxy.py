"""OTLP over HTTP goes through the proxy that the environment names, as other programs do."""

from __future__ import annotations

import base64

import pytest

from .exporting import CLOSE_S, opened, spans, stats
from .sink import running_sink


@pytest.fixture(autouse=True)
def _no_other_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_a_proxy_gets_the_whole_url(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_sink() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.http_url.replace("//", "//user:pass%20word@"))
        providers = opened(endpoint="http://collector.test:4318", metrics="none", logs="none")
        spans(providers, 1)
        await providers.aclose(CLOSE_S)
    (request,) = proxy.requests
    assert request.path == "http://collector.test:4318/v1/traces"
    assert request.headers["host"] == "collector.test:4318"
    assert base64.b64decode(request.headers["proxy-authorization"].removeprefix("Basic ")) == b"user:pass word"
    assert stats(providers)[3:] == (1, 0)


async def test_a_proxy_is_asked_for_a_tunnel_where_the_collector_is_secure(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_sink() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.http_url)
        providers = opened(endpoint="https://collector.test:4318", metrics="none", logs="none")
        spans(providers, 1)
        await providers.aclose(CLOSE_S)
    assert proxy.tunnels == ["collector.test:4318"]
    assert stats(providers)[3:] == (0, 1)


async def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_sink() as sink:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "localhost")
        providers = opened(endpoint=sink.http_url, metrics="none", logs="none")
        spans(providers, 1)
        await providers.aclose(CLOSE_S)
    assert sink.requests[0].path == "/v1/traces"
