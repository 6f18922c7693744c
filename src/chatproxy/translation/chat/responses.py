"""A chat client in front of a handler that speaks OpenAI's Responses; docs/translation.md says what is carried.

Rule: one object for each exchange; what it drops or changes is on record in its `Losses`.
"""

from __future__ import annotations

from chatproxy.errors import UpstreamError
from chatproxy.translation.base import Json
from chatproxy.translation.chat.chunks import completion, head
from chatproxy.translation.chat.responses_items import OutputItems
from chatproxy.translation.chat.responses_request import read_request
from chatproxy.translation.chat.responses_stream import ResponsesStream, ending_of
from chatproxy.translation.exchange import Exchange
from chatproxy.translation.fields import Written

# What a response says beside the answer: the request over again, or what chat has no word for.
_REPLY_READ = frozenset(
    {"id", "object", "created_at", "completed_at", "status", "model", "output", "usage", "service_tier", "error"}
    | {"incomplete_details", "instructions", "max_output_tokens", "max_tool_calls", "parallel_tool_calls", "prompt"}
    | {"previous_response_id", "reasoning", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p"}
    | {"truncation", "user", "store", "background", "conversation", "safety_identifier", "prompt_cache_key", "billing"}
    | {"prompt_cache_options", "prompt_cache_retention", "prompt_cache_diagnostics", "tool_usage", "output_text"}
    | {"access_programs", "context_management", "image", "input_transformations", "presence_penalty", "metadata"}
    | {"frequency_penalty"}
)


class ChatOverResponses(Exchange):
    """`Translation` of a chat client's exchange for a Responses handler."""

    __slots__ = ()

    def reply(self, body: Json) -> Json:
        """See `Translation.reply`."""
        if body.get("status") == "failed":
            error = body.get("error")
            why = error.get("message") if isinstance(error, dict) else None
            raise UpstreamError(f"The upstream's response failed: {str(why or 'it does not say why')[:500]}")
        if not isinstance(body.get("output"), list):
            raise UpstreamError("The upstream's response has no list 'output'.", code="upstream_invalid_response")
        items = OutputItems(self._losses, hub=self._hub)
        deltas = items.missed(body["output"])
        ending = ending_of(body, self._losses, has_calls=items.has_calls)
        opening = head(
            "chat.completion", body.get("id"), body.get("model") or self._written.model, body.get("created_at")
        )
        others = {key: value for key, value in body.items() if key not in _REPLY_READ}
        return {**others, **completion(opening, deltas, ending)}

    def _write(self, body: Json) -> Written:
        return read_request(body, self._losses, hub=self._hub)

    def _read(self) -> ResponsesStream:
        return ResponsesStream(self._losses, model=self._written.model, hub=self._hub)
