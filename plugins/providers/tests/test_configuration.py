"""What may be configured, and what models a gateway has then."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from chatproxy_providers.config import Entry

from chatproxy import App, hookimpl
from chatproxy.errors import ConfigError, StartupError
from chatproxy.testing import make_app

from .asking import HELLO, KEY, MESSAGES, NAME, entry, gateway_with
from .vendor import Vendor, says

pytest.importorskip("anthropic", minversion="2.12")

URL = "http://127.0.0.1:1"


async def test_models_are_listed() -> None:
    more = entry(URL, description="The clever one.", context_length=200_000)
    async with gateway_with({"a/b": more, "c": entry(URL)}, demo=True) as gateway:
        listed = {each["id"]: each for each in (await gateway.client.get("/v1/models")).json()["data"]}
    assert set(listed) >= {"a/b", "c"}
    assert (listed["a/b"]["owned_by"], listed["a/b"]["provider"]) == ("anthropic", "anthropic")
    assert (listed["a/b"]["description"], listed["a/b"]["context_length"]) == ("The clever one.", 200_000)


async def test_other_models_are_the_gateways_own(vendor: Vendor) -> None:
    async with gateway_with({"claude": entry(vendor.url)}) as gateway:
        assert (await gateway.chat("Hi", model="another")).status_code == 200
    assert not vendor.asked


async def test_table_of_models_may_name_the_handler(vendor: Vendor) -> None:
    vendor.reply = says(MESSAGES, HELLO)
    models = {
        "brief": {"handler": "providers:claude", "system_prompt": "Be brief.", "system_prompt_behavior": "prepend"}
    }
    async with gateway_with({"claude": entry(vendor.url)}, models=models) as gateway:
        assert (await gateway.chat("Hi", model="brief")).status_code == 200
    assert vendor.last.json["model"] == NAME
    assert "Be brief." in vendor.last.body.decode()


async def test_model_without_a_name_is_asked_for_by_its_id(vendor: Vendor) -> None:
    vendor.reply = says(MESSAGES, HELLO)
    async with gateway_with({"claude-x": {**entry(vendor.url), "model": None}}) as gateway:
        await gateway.chat("Hi", model="claude-x")
    assert vendor.last.json["model"] == "claude-x"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": 1}, "colour"),
        ({"provider": 1}, "provider"),
        ({"provider": "Not A Name"}, "provider"),
        ({"api_key": None}, "ANTHROPIC_API_KEY"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "with a space"}, "api_key"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "http://me:secret@x"}, "base_url"),
        ({"base_url": "http://x:port"}, "base_url"),
        ({"base_url": "http://x/v1/"}, "/v1"),
        ({"headers": {"a b": "c"}}, "headers"),
        ({"headers": {"a": "b\r\nc: d"}}, "headers"),
        ({"idle_timeout_s": 0}, "idle_timeout_s"),
        ({"max_retries": -1}, "max_retries"),
        ({"options": {"a": 1}}, "options"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_fault_stops_the_start_and_shows_no_secret(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as found:
        gateway_with({"claude": {**entry(URL), **change}})
    assert said in str(found.value)
    assert KEY not in str(found.value)
    assert "with a space" not in str(found.value)
    assert "secret" not in str(found.value)


def test_headers_without_a_place_are_refused() -> None:
    with pytest.raises(ConfigError, match="headers"):
        gateway_with({"m": {"provider": "mistral", "api_key": KEY, "headers": {"a": "b"}}})


@pytest.mark.parametrize(
    ("provider", "library", "extra"), [("anthropic", "anthropic", "anthropic"), ("mistral", "any_llm", "any-llm")]
)
def test_library_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, provider: str, library: str, extra: str
) -> None:
    for name in [name for name in sys.modules if name.startswith(("chatproxy_providers.an", library))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(StartupError) as found:
        gateway_with({"m": {"provider": provider, "api_key": KEY}})
    assert f"pip install 'chatproxy-providers[{extra}]'" in str(found.value)


def test_plugin_without_models_imports_no_library() -> None:
    program = (
        "import sys, chatproxy_providers; from chatproxy.testing import make_app; "
        "make_app(plugins=[chatproxy_providers]); "
        "print([name for name in ('anthropic', 'any_llm', 'httpx2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.strip() == "[]"


async def test_installed_plugin_is_found_by_its_entry_point(vendor: Vendor) -> None:
    vendor.reply = says(MESSAGES, HELLO)
    settings = {"enabled": ["providers"], "providers": {"model": {"claude": entry(vendor.url)}}}
    async with make_app(installed=True, plugin_settings=settings) as gateway:
        assert (await gateway.chat("Hi", model="claude")).status_code == 200


async def test_environment_changes_neither_address_nor_key(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"BASE_URL": URL, "API_KEY": "another", "AUTH_TOKEN": "another"}.items():
        monkeypatch.setenv(f"ANTHROPIC_{name}", value)
    monkeypatch.setenv("HTTP_PROXY", URL)
    vendor.reply = says(MESSAGES, HELLO)
    async with gateway_with({"claude": entry(vendor.url)}) as gateway:
        assert (await gateway.chat("Hi", model="claude")).status_code == 200
    assert KEY in str(vendor.last.headers)
    assert "another" not in str(vendor.last.headers)


def test_readme_names_every_key() -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text()
    assert [field for field in Entry.__struct_fields__ if f"`{field}`" not in readme] == []


async def test_keys_are_kept_out_of_logs() -> None:
    seen: list[App] = []

    class Seen:
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, app: App) -> AsyncIterator[None]:
            seen.append(app)
            yield

    keys = {"api_key": "words-without-digits", "headers": {"x-team": "of-our-own"}}
    async with gateway_with({"claude": {**entry(URL), **keys}}, (Seen(),)):
        assert seen[0].redact("words-without-digits and of-our-own") == "*** and ***"
