"""Bad requests on the surfaces that are translated: a 400 that names the field, and nothing is sent upstream."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from chatproxy.testing import ScriptedUpstream, make_app

PNG = "data:image/png;base64,"
BIG = base64.b64encode(bytes(10_000_001)).decode()
USER = {"role": "user", "content": "Hi"}
DEV = {"role": "developer", "content": "a"}
SYSTEM = {"role": "system", "content": "b"}


def image(url: str) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}


def block(data: str) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return {"messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}


RESPONSES: list[tuple[str, dict[str, Any], str]] = [
    ("no-input", {}, "input"),
    ("input-number", {"input": 5}, "input"),
    ("item-no-object", {"input": ["a"]}, "input[0]"),
    ("item-type", {"input": [{"type": "telegram"}]}, "input[0].type"),
    ("role", {"input": [{"role": "critic", "content": "a"}]}, "input[0].role"),
    ("part-type", {"input": [{"role": "user", "content": [{"type": "smell"}]}]}, "input[0].content[0].type"),
    (
        "orphan-result",
        {"input": [USER, {"type": "function_call_output", "call_id": "c", "output": "1"}]},
        "input[1].call_id",
    ),
    ("mixed-roles", {"input": [DEV, USER, SYSTEM]}, "input[2].role"),
    ("base64", image(PNG + "%%%"), "input[0].content[0].image_url"),
    ("image-too-large", image(PNG + BIG), "input[0].content[0].image_url"),
    ("tools", {"input": "a", "tools": {}}, "tools"),
    ("conversation", {"input": "a", "conversation": "conv_1"}, "conversation"),
    ("prompt", {"input": "a", "prompt": {"id": "p"}}, "prompt"),
    ("text-format", {"input": "a", "text": {"format": {"type": "poem"}}}, "text.format.type"),
]
MESSAGES: list[tuple[str, dict[str, Any], str]] = [
    ("no-messages", {}, "messages"),
    ("no-max-tokens", {"messages": [USER], "max_tokens": None}, "max_tokens"),
    ("role", {"messages": [{"role": "critic", "content": "a"}]}, "messages[0].role"),
    ("block-type", {"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type"),
    (
        "orphan-result",
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "1"}]}]},
        "messages[0].content[0].tool_use_id",
    ),
    ("base64", block("%%%"), "messages[0].content[0].source.data"),
    ("image-too-large", block(BIG), "messages[0].content[0].source.data"),
    ("tool-name", {"messages": [USER], "tools": [{"input_schema": {}}]}, "tools[0].name"),
    ("tool-choice", {"messages": [USER], "tool_choice": {"type": "maybe"}}, "tool_choice.type"),
]
COMPLETIONS: list[tuple[str, dict[str, Any], str]] = [
    ("no-prompt", {}, "prompt"),
    ("prompts", {"prompt": ["a", "b"]}, "prompt"),
    ("tokens", {"prompt": [1, 2]}, "prompt"),
    ("suffix", {"prompt": "a", "suffix": "b"}, "suffix"),
]
BAD = [
    pytest.param(path, body, param, id=f"{path}-{name}")
    for path, cases in (("responses", RESPONSES), ("messages", MESSAGES), ("completions", COMPLETIONS))
    for name, body, param in cases
]


@pytest.mark.parametrize(("path", "body", "param"), BAD)
async def test_the_field_is_named(path: str, body: dict[str, Any], param: str) -> None:
    needed = {"max_tokens": 10} if path == "messages" else {}
    async with make_app(upstream=(upstream := ScriptedUpstream())) as gateway:
        answer = await gateway.client.post(f"/v1/{path}", json={"model": "m", **needed, **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert len(error["message"]) < 500
    assert upstream.requests == []


@pytest.mark.parametrize("path", ["responses", "messages", "completions", "embeddings", "moderations", "rerank"])
async def test_what_is_no_json_object_is_refused(path: str) -> None:
    async with make_app() as gateway:
        for body in (b"", b"[]", b"{", b'"a"', b"[" * 2_000):
            answer = await gateway.client.post(f"/v1/{path}", content=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


async def test_messages_of_both_instructing_roles_are_refused_on_chat_by_the_demo_model() -> None:
    async with make_app(demo=True) as gateway:
        answer = await gateway.chat(model="demo", messages=[DEV, USER, SYSTEM])
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages[2].role")
