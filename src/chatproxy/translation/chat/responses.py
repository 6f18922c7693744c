"""A chat client in front of a handler that speaks OpenAI's Responses.

Rule: one object for each exchange; what it drops or changes is on record in its `Losses`.
"""

from __future__ import annotations

from chatproxy.errors import UpstreamError
from chatproxy.translation.base import Json, Losses
from chatproxy.translation.chat.chunks import completion, head
from chatproxy.translation.chat.responses_items import OutputItems
from chatproxy.translation.chat.responses_request import ResponsesRequest
from chatproxy.translation.chat.responses_stream import ResponsesStream, ending_of

_PARAMS = {
    "input": "messages",
    "instructions": "messages",
    "include": "logprobs",
    "store": "store",
    "text.format": "response_format",
    "text.verbosity": "verbosity",
    "reasoning.effort": "reasoning_effort",
}
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


class ChatOverResponses:
    """`Translation` of a chat client's exchange for a Responses handler.

    Lost: ``stop``, ``seed``, ``logit_bias``, both penalties and ``prediction``; names and unknown fields of messages;
    reasoning that another model signed; items of hosted tools in the answer, and annotations but ``url_citation``.
    Changed: ``store`` is always false at the handler.
    Refused: ``n`` over 1, audio answers and earlier audio, legacy functions, video.

    Args:
        hub: the client's side can carry encrypted reasoning, in ``thinking_blocks``: all in a message; in a stream each
            whole, once its text has come as ``reasoning_content``.
    """

    __slots__ = ("_hub", "_losses", "_model", "_request", "_stream")

    def __init__(self, losses: Losses, *, hub: bool = False) -> None:
        self._losses = losses
        self._hub = hub
        self._model = ""
        self._request: ResponsesRequest | None = None
        self._stream: ResponsesStream | None = None

    def request(self, body: Json) -> Json:
        """A chat request as one for Responses."""
        self._request = ResponsesRequest(self._losses, hub=self._hub)
        model = body.get("model")
        self._model = model if isinstance(model, str) else ""
        return self._request.build(body)

    def reply(self, body: Json) -> Json:
        """A response as a chat completion.

        Raises:
            UpstreamError: the response failed, or has no output (502).
        """
        if body.get("status") == "failed":
            error = body.get("error")
            why = error.get("message") if isinstance(error, dict) else None
            raise UpstreamError(f"The upstream's response failed: {str(why or 'it does not say why')[:500]}")
        output = body.get("output")
        if not isinstance(output, list):
            raise UpstreamError("The upstream's response has no list 'output'.", code="upstream_invalid_response")
        items = OutputItems(self._losses, hub=self._hub)
        deltas = items.missed(output)
        ending = ending_of(body, self._losses, has_calls=items.has_calls)
        opening = head("chat.completion", body.get("id"), body.get("model") or self._model, body.get("created_at"))
        made = completion(opening, deltas, ending)
        made.update({key: value for key, value in body.items() if key not in _REPLY_READ and key not in made})
        return made

    def event(self, data: Json) -> list[Json]:
        """The chunks for an event of Responses."""
        return self._reading().event(data)

    def finish(self) -> list[Json]:
        """The chunks that end the stream, where no event did."""
        return self._reading().finish()

    def param(self, name: str) -> str:
        """Chat's name for a field of Responses; an input item goes by its message."""
        if name == "max_output_tokens":
            return self._request.limit_name if self._request is not None else "max_completion_tokens"
        if name.startswith("input["):
            return self._message_of(name)
        if name.startswith("text.format."):
            return f"response_format.json_schema.{name.removeprefix('text.format.')}"
        return _PARAMS.get(name, name)

    def _reading(self) -> ResponsesStream:
        if self._stream is None:
            self._stream = ResponsesStream(self._losses, model=self._model, hub=self._hub)
        return self._stream

    def _message_of(self, name: str) -> str:
        number = name[len("input[") :].partition("]")[0]
        origins = self._request.input.origins if self._request is not None else []
        return origins[int(number)] if number.isdecimal() and int(number) < len(origins) else "messages"
