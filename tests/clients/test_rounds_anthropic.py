"""Rounds that became one stream, as Anthropic's Python client puts them together."""

from __future__ import annotations

import anthropic
import httpx2

from tests.types.messages_rounds import JOINED, ROUNDS, streamed


def test_the_anthropic_client_sees_what_a_buffered_client_gets() -> None:
    stream = b"".join(event.encode() for event in streamed(ROUNDS)[0])

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=http)
        with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "u"}]) as heard:
            message = heard.get_final_message()
    assert message.to_dict(exclude_none=True) == {k: v for k, v in JOINED.items() if v is not None}
