"""What must not leave: hidden texts, credentials, media, and halves of any of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chatproxy_otel.content.cleaning import Cleaner
from chatproxy_otel.content.fitting import cut_text
from chatproxy_otel.content.showing import shown_tool
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy import RequestContext, hookimpl

from .captured import asked, captured, capturing, leaves, post, said

MAIL = "erika.mustermann@posteo.de"
HIDDEN = {MAIL: "[EMAIL_1]"}
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


def chat(*contents: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content} for content in contents]}


def redact(text: str) -> str:
    """As an application's: what was registered, and cut after 16,384 characters."""
    return text.replace("a secret of some words", "***")[:16_384]


@pytest.mark.parametrize("limit", [*range(40, 120), 500])
def test_a_hidden_text_is_replaced_before_anything_is_cut(limit: int) -> None:
    found = json.dumps(asked(chat(f"Write to {MAIL} and to {MAIL}!"), hidden=HIDDEN, limit=limit))
    assert "erika" not in found


@pytest.mark.parametrize("before", range(0, 60, 7))
def test_no_half_of_a_hidden_text_is_left_where_a_long_text_is_cut(before: int) -> None:
    text = "word " * 500 + "x" * before + f" {MAIL}" * 2_000
    shown = Cleaner(str, HIDDEN, 6_000).text(text)
    assert "erika" not in shown
    assert "[EMAIL_1]" in shown
    assert shown.endswith("more characters)")


@pytest.mark.parametrize("before", range(0, 4_200, 131))
def test_no_half_of_a_secret_is_left_where_a_long_text_is_cut(before: int) -> None:
    text = "x y " * 2_000 + "z " * (before // 2) + "a secret of some words. " * 1_000
    shown = Cleaner(redact, {}, 9_000).text(text)
    assert "a secret" not in shown
    assert "secret of" not in shown
    assert "some words" not in shown


def test_a_text_that_is_a_secret_without_end_is_not_shown() -> None:
    shown = Cleaner(lambda text: "***" if "KEY" in text else text, {}, 20_000).text("KEY " * 20_000)
    assert shown.startswith("***")
    assert "KEY" not in shown


def test_long_texts_are_shown_whole_where_the_limit_lets_them() -> None:
    text = "".join(f"{number} " for number in range(10_000))
    assert Cleaner(redact, {}, 100_000).text(text) == text


FORMS = {
    "text": f"to {MAIL}",
    "json": json.dumps({"to": MAIL}),
    "parts": [{"type": "text", "text": MAIL}, {"type": "refusal", "refusal": MAIL}],
    "unknown part": [{"type": "odd", "text": MAIL, "other": MAIL}],
}


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_hidden_texts_are_replaced_in_every_form(content: Any) -> None:
    assert MAIL not in json.dumps(asked(chat(content), hidden=HIDDEN))


ODD = 'Erika "Eri" Müller\n'


@pytest.mark.parametrize("is_ascii", [False, True])
@pytest.mark.parametrize("is_cut", [False, True])
def test_hidden_texts_are_replaced_in_json_inside_a_text(is_ascii: bool, is_cut: bool) -> None:
    arguments = json.dumps({"to": ODD, "more": 1}, ensure_ascii=is_ascii)
    arguments = arguments[:-3] if is_cut else arguments
    call = {"id": "1", "type": "function", "function": {"name": "send", "arguments": arguments}}
    body = {"choices": [{"message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    (message,) = said(body, hidden={ODD: "[NAME_1]"})
    assert "ller" not in json.dumps(message)
    assert "[NAME_1]" in json.dumps(message)


def test_hidden_numbers_are_replaced_as_texts() -> None:
    shown = shown_tool({"card": 4111111111111111, "n": 1.5}, Cleaner(str, {"4111111111111111": "[CARD_1]"}, 500), 500)
    assert shown == '{"card":"[CARD_1]","n":1.5}'


async def test_many_hidden_texts_are_replaced_all() -> None:
    class Hider:
        chatproxy_name = "hider"

        @hookimpl
        async def before_request(self, ctx: RequestContext) -> None:
            for number in range(500):
                ctx.trace.hide(f"user-{number:03}", f"[USER_{number}]")

    async with capturing(Hider()) as gateway:
        await gateway.gateway.chat(" ".join(f"user-{number:03}" for number in range(500)))
        found = captured(await gateway.tree())
    assert found["input"][0]["parts"][0]["content"] == " ".join(f"[USER_{number}]" for number in range(500))


def test_the_longest_of_hidden_texts_counts() -> None:
    cleaner = Cleaner(str, {"anna@x.de": "[A]", "joanna@x.de": "[B]", "A": "[C]"}, 500)
    assert cleaner.text("anna@x.de, joanna@x.de") == "[A], [B]"


def test_the_begin_of_a_hidden_text_is_replaced_where_a_text_broke_off() -> None:
    assert Cleaner(str, HIDDEN, 500, is_cut=True).text("Write to erika.must") == "Write to [EMAIL_1]"
    assert Cleaner(str, HIDDEN, 500).text("Write to erika.must") == "Write to erika.must"


TEXT = st.text(st.sampled_from(f'{MAIL} "\\\n\u00fc\U0001f600abc'), max_size=80)


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(TEXT | st.just(MAIL), max_size=40), limit=st.integers(1, 3_000))
def test_no_hidden_text_is_in_what_is_shown(pieces: list[str], limit: int) -> None:
    text = "".join(pieces)
    shown = Cleaner(str, HIDDEN, limit).text(text)
    assert MAIL not in shown
    cut = cut_text(shown, limit)
    assert cut is None or len(cut.encode()) <= limit


def test_what_stands_under_the_name_of_a_credential_is_hidden() -> None:
    arguments = {
        "api_key": "canary-1", "Authorization": "canary-2", "nested": {"client_secret": {"value": "canary-3"}},
        "headers": {"x-team": "canary-4"}, "password": 12345678, "access_token": ["canary-5"], "max_tokens": 5,
    }  # fmt: skip
    shown = json.loads(shown_tool(arguments, Cleaner(str, {}, 5_000), 5_000) or "")
    assert "canary" not in json.dumps(shown)
    assert (shown["password"], shown["max_tokens"]) == ("***", 5)


def test_a_schema_shows_which_credentials_a_tool_takes_but_none() -> None:
    properties = {"api_key": {"type": "string", "description": "Of the team.", "default": "canary", "enum": ["canary"]}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": properties}}}
    (shown,) = asked({"tools": [tool]})["tool_definitions"]
    expected = {"type": "string", "description": "Of the team.", "default": "***", "enum": "***"}
    assert shown["parameters"]["properties"]["api_key"] == expected


MCP = {
    "responses": {
        "type": "mcp", "server_label": "shop", "server_url": "https://u:canary@shop.example/mcp?key=canary",
        "authorization": "canary", "headers": {"x-key": "canary"}, "server_description": "A shop.",
    },
    "messages": {"type": "custom", "name": "shop", "input_schema": {"type": "object"}, "authorization_token": "canary"},
    "chat": {"type": "function", "function": {"name": "shop", "api_key": "canary"}, "api_key": "canary"},
}  # fmt: skip


@pytest.mark.parametrize("surface", MCP)
def test_definitions_show_no_credentials(surface: str) -> None:
    (tool,) = asked({"tools": [MCP[surface]]}, surface)["tool_definitions"]
    assert "canary" not in json.dumps(tool)
    assert tool["name"] == "shop"


async def test_credentials_of_a_request_appear_nowhere_in_what_is_captured() -> None:
    body = {
        "model": "scripted", "user": "canary", "api_key": "canary", "metadata": {"k": "canary"},
        "mcp_servers": [{"url": "https://canary", "authorization_token": "canary"}],
        "messages": [{"role": "user", "content": f"My key is {KEY}, Authorization: Bearer abcdef0123456789abcdef"}],
    }  # fmt: skip
    async with capturing() as gateway:
        await post(gateway, "/v1/chat/completions?key=canary", body)
        found = captured(await gateway.tree())
    assert "canary" not in json.dumps(found)
    assert KEY not in json.dumps(found)
    assert "abcdef0123456789" not in json.dumps(found)
    assert found["input"][0]["parts"][0]["content"].startswith("My key is ***")


async def test_the_key_of_an_upstream_is_hidden_from_what_a_model_says() -> None:
    upstreams = {"default": {"base_url": "http://upstream/v1", "api_key": "plainwords0upstream"}}
    async with capturing(upstreams=upstreams) as gateway:
        await gateway.gateway.chat("Is it plainwords0upstream?")
        found = captured(await gateway.tree())
    assert found["input"][0]["parts"][0]["content"] == "Is it ***?"


@pytest.mark.parametrize("depth", [5, 31, 32, 500, 5_000])
def test_deep_values_end_somewhere(depth: int) -> None:
    arguments = '{"a":' * depth + '"deep"' + "}" * depth
    call = {"id": "1", "function": {"name": "f", "arguments": arguments}}
    shown = asked({"messages": [{"role": "assistant", "tool_calls": [call]}]})["input_messages"]
    assert shown[0]["parts"][0]["type"] == "tool_call"
    assert ("deep" in list(leaves(shown))) is (depth < 32)


def test_values_of_many_items_end_somewhere() -> None:
    shown = Cleaner(str, {}, 100).value({"a": list(range(100_000)), **{str(n): n for n in range(1_000)}})
    assert len(json.dumps(shown)) < 2_000
