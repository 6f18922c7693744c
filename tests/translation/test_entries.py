import pytest

from chatproxy import ChatRequest, RequestContext, hookimpl
from chatproxy.errors import InvalidRequest
from chatproxy.testing import make_app
from chatproxy.translation.entries import entries_of

SAID = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What time is it?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "noon"},
    {"role": "assistant", "content": "Noon."},
]


def test_messages_become_items_of_responses() -> None:
    items = entries_of(SAID, "responses")
    kinds = [item["type"] for item in items]
    assert kinds == ["message", "function_call", "function_call_output", "message"]
    assert items[2] == {"type": "function_call_output", "call_id": "call_1", "output": "noon"}


def test_messages_become_turns_of_anthropics_messages() -> None:
    turns = entries_of(SAID, "messages")
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant"]
    assert turns[2]["content"][0]["tool_use_id"] == "call_1"


def test_messages_of_chat_stay_but_for_instructions() -> None:
    assert entries_of(SAID, "chat") == SAID[1:]


def test_what_a_surface_cannot_hold_is_refused() -> None:
    video = {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "https://a.example/b.mp4"}}]}
    with pytest.raises(InvalidRequest):
        entries_of([video], "responses")


def test_surface_without_a_conversation_is_said() -> None:
    with pytest.raises(LookupError, match="embeddings"):
        entries_of(SAID, "embeddings")


async def test_plugins_reach_it_by_the_application() -> None:
    seen = []

    class Plugin:
        @hookimpl
        async def before_request(self, ctx: RequestContext, request: ChatRequest) -> None:
            seen.extend(ctx.app.entries_of(SAID, "messages"))

    async with make_app(plugins=[Plugin()]) as gateway:
        assert (await gateway.chat("hi")).status_code == 200
    assert seen[0] == {"role": "user", "content": [{"type": "text", "text": "What time is it?"}]}
