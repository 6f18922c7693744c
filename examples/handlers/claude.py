"""Claude behind OpenAI's API, by Anthropic's own SDK; texts only. Needs ANTHROPIC_API_KEY.

For Claude alone no handler is needed: the gateway translates where an upstream has ``surfaces = ["messages"]``. A
handler is for what the SDK adds, and the shape is the same for any vendor's SDK.
"""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import uvicorn

from chatproxy import ChatCompletionServer, ProxyHandler, UpstreamError

REASONS = {"max_tokens": "length", "refusal": "content_filter"}


class ClaudeHandler(ProxyHandler):
    """Answers by Anthropic's Messages API."""

    name = "claude"

    def __init__(self) -> None:
        self.client = anthropic.AsyncAnthropic(timeout=60)

    async def execute(self, params: Any) -> AsyncIterator[Any]:
        """An iterator is enough: a buffered reply is put together from it."""
        return self.pieces(params)

    async def pieces(self, params: Any) -> AsyncIterator[Any]:
        """The reply's texts, then a chunk that says how it ended and what it cost."""
        system = "\n\n".join(text.value for text in params.texts() if text.role in {"system", "developer"})
        turns: Any = [m for m in params["messages"] if m["role"] in {"user", "assistant"}]
        limit = params.get("max_completion_tokens") or params.get("max_tokens") or 1024
        asked = self.client.messages.stream(model=params["model"], system=system, messages=turns, max_tokens=limit)
        try:
            async with asked as stream:
                async for text in stream.text_stream:
                    yield text
                whole = await stream.get_final_message()
        except anthropic.APIError as exc:
            raise UpstreamError(f"Anthropic: {exc.message}", code="anthropic_error") from exc
        counts = {"prompt_tokens": whole.usage.input_tokens, "completion_tokens": whole.usage.output_tokens}
        usage = {**counts, "total_tokens": sum(counts.values())}
        reason = REASONS.get(whole.stop_reason or "", "stop")
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage}

    async def aclose(self) -> None:
        """Called when the gateway stops."""
        await self.client.close()


server = ChatCompletionServer(handler=ClaudeHandler())
app = server.app

if __name__ == "__main__":
    uvicorn.run(app, host=server.config.host, port=server.config.port)
