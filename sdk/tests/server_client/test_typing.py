"""What a type checker knows of a completion is what comes; mypy and ty read this file as well."""

from __future__ import annotations

from typing import assert_type

from chatproxy_sdk.async_client import AsyncChatServerClient
from chatproxy_sdk.client import ChatServerClient
from chatproxy_sdk.completions import AsyncChatCompletionStream, ChatCompletionStream
from chatproxy_sdk.messages import Message
from chatproxy_sdk.types import ChatCompletionResponse

from ..servers import FaultServer, says

CONVERSATION = [Message(role="user", content="hi")]


def test_kind_of_a_completion_is_known(server: FaultServer) -> None:
    server.replies(says("ok"))
    with ChatServerClient("k", server.url) as client:
        plain = client.create_completion("demo", CONVERSATION, session_id="s")
        whole = client.create_completion("demo", ["hi"], stream=False)
        with client.create_completion("demo", [{"role": "user", "content": "hi"}], stream=True, user="ann") as stream:
            assert_type(stream, ChatCompletionStream)
            assert [type(text) for text in stream] == [str]
        is_streamed = bool(server.open_connections)
        either = client.create_completion("demo", "hi", stream=is_streamed)
        assert_type(plain, ChatCompletionResponse)
        assert_type(whole, ChatCompletionResponse)
        assert_type(either, ChatCompletionResponse | ChatCompletionStream)
        assert {type(plain), type(whole)} == {ChatCompletionResponse}
        assert isinstance(stream, ChatCompletionStream)
        assert isinstance(either, ChatCompletionResponse | ChatCompletionStream)


async def test_kind_of_an_awaited_completion_is_known(server: FaultServer) -> None:
    server.replies(says("ok"))
    async with AsyncChatServerClient("k", server.url) as client:
        whole = await client.create_completion("demo", CONVERSATION)
        stream = await client.create_completion("demo", "hi", stream=True)
        assert_type(whole, ChatCompletionResponse)
        assert_type(stream, AsyncChatCompletionStream)
        assert isinstance(whole, ChatCompletionResponse)
        assert isinstance(stream, AsyncChatCompletionStream)
        assert [text async for text in stream] == ["ok"]
