"""How the demo model counts the tokens of a Messages request."""

from __future__ import annotations

from typing import Any

import pytest

from tests.handlers.demo_surfaces import answered, refused

USER = {"role": "user", "content": "one two three"}
TOOL = {
    "name": "get_weather",
    "description": "Current weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string", "description": "Its name"}}},
}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "mild and sunny"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}


async def counted(*messages: Any, **fields: Any) -> int:
    body = await answered("count_tokens", {"model": "demo", "messages": list(messages), **fields})
    assert set(body) == {"input_tokens"}
    assert type(body["input_tokens"]) is int
    return int(body["input_tokens"])


@pytest.mark.parametrize(
    ("messages", "fields", "tokens"),
    [
        pytest.param([USER], {}, 3, id="text"),
        pytest.param([USER, {"role": "assistant", "content": "four"}, USER], {}, 7, id="messages"),
        pytest.param([{"role": "user", "content": [{"type": "text", "text": "one two"}, IMAGE]}], {}, 2, id="blocks"),
        pytest.param([USER], {"system": "Be brief."}, 6, id="system"),
        pytest.param([USER], {"tools": [TOOL]}, 3 + 5 + 2, id="tools"),
        pytest.param(
            [USER, {"role": "assistant", "content": [CALL]}, {"role": "user", "content": [RESULT]}],
            {},
            3 + 1 + 3,
            id="call-and-result",
        ),
        pytest.param([{"role": "user", "content": [IMAGE]}], {}, 1, id="never-0"),
    ],
)
async def test_every_text_is_counted(messages: list[Any], fields: dict[str, Any], tokens: int) -> None:
    assert await counted(*messages, **fields) == tokens


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        pytest.param({"model": ...}, "model", "missing_required_parameter", id="no-model"),
        pytest.param({"messages": ...}, "messages", "missing_required_parameter", id="no-messages"),
        pytest.param({"messages": "hi"}, "messages", "invalid_type", id="messages-text"),
        pytest.param({"messages": []}, "messages", "empty_array", id="messages-empty"),
        pytest.param({"messages": [USER, "hi"]}, "messages[1]", "invalid_type", id="message-text"),
    ],
)
async def test_bad_request_is_refused(fields: dict[str, Any], param: str, code: str) -> None:
    error = await refused("count_tokens", {"model": "demo", "messages": [USER], **fields})
    assert (error.param, error.code) == (param, code)
