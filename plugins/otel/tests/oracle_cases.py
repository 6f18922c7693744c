"""What the oracle is asked: calls of OpenAI's client, and what the upstream answers, as OpenAI's API writes it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from chatproxy.testing import Scripted, error_reply, raw_reply

Api = Literal["chat", "responses", "embeddings"]

USER = [{"role": "user", "content": "What is the weather?"}]
COUNTS = {
    "prompt_tokens": 20,
    "completion_tokens": 9,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
RESPONSE_COUNTS = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 4},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 29,
}
CALLS = [
    {"id": "call_0", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}},
    {"id": "call_1", "type": "function", "function": {"name": "time", "arguments": "{}"}},
]
FUNCTION = {"name": "weather", "description": "Look out of the window.", "parameters": {"type": "object"}}
SCHEMA = {"type": "object", "properties": {"sky": {"type": "string"}}, "required": ["sky"]}
PARAMETERS = {
    "temperature": 0.25,
    "top_p": 0.5,
    "max_tokens": 64,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "seed": 7,
    "stop": ["END", "STOP"],
}

HISTORY = [
    {"role": "system", "content": "Be short."},
    *USER,
    {"role": "assistant", "content": None, "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "call_0", "content": "rainy"},
    {"role": "tool", "tool_call_id": "call_1", "content": "noon"},
]
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "sky", "schema": SCHEMA}}
RESPONSE_PARAMETERS = {
    "instructions": "Be short.",
    "temperature": 0.25,
    "top_p": 0.5,
    "max_output_tokens": 64,
    "service_tier": "flex",
    "text": {"format": {"type": "json_schema", "name": "sky", "schema": SCHEMA}},
}
INCOMPLETE = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}


class Case(NamedTuple):
    """One call.

    Attributes:
        asked: beside the model.
    """

    name: str
    api: Api
    asked: dict[str, Any]
    answer: Scripted

    @property
    def is_refused(self) -> bool:
        """The upstream answers an error instead of anything else."""
        return self.answer.status >= 400

    @property
    def is_streamed(self) -> bool:
        """Events come."""
        return bool(self.asked.get("stream")) and not self.is_refused


def completion(*reasons: str, usage: Any = COUNTS, **fields: Any) -> Scripted:
    """A chat completion, a choice for each finish reason."""
    said: dict[str, Any] = {"role": "assistant", "content": "Sunny."}
    called: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": CALLS}
    choices = [
        {"index": index, "message": called if why == "tool_calls" else said, "finish_reason": why}
        for index, why in enumerate(reasons)
    ]
    head = {"id": "chatcmpl-7", "object": "chat.completion", "created": 1_700_000_000, "model": "m-2026-01-01"}
    return json_reply({**head, "choices": choices, "usage": usage, **fields})


def chunks(*deltas: tuple[int, dict[str, Any], str | None], usage: Any = COUNTS, **fields: Any) -> Scripted:
    """A streamed chat completion; each part is a choice's index, its delta and its finish reason."""
    head = {
        "id": "chatcmpl-7",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "m-2026-01-01",
        **fields,
    }
    events: list[dict[str, Any]] = [
        {**head, "choices": [{"index": index, "delta": delta, "finish_reason": why}]} for index, delta, why in deltas
    ]
    if usage is not None:
        events.append({**head, "choices": [], "usage": usage})
    return streamed(events, end=b"data: [DONE]\n\n")


def response(*output: dict[str, Any], status: str = "completed", **fields: Any) -> dict[str, Any]:
    """A response, as OpenAI's API shows it."""
    return {
        "id": "resp_7",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "model": "m-2026-01-01",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "usage": RESPONSE_COUNTS,
        **fields,
    }


def message(text: str = "Sunny.") -> dict[str, Any]:
    """A message of a response."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": "msg_0", "type": "message", "role": "assistant", "status": "completed", "content": content}


def function_call() -> dict[str, Any]:
    """A call of a response."""
    return {"id": "fc_0", "type": "function_call", "status": "completed", "call_id": "call_0", **CALLS[0]["function"]}


def response_events(whole: dict[str, Any]) -> Scripted:
    """A streamed response."""
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events = [
        {"type": "response.created", "response": begun},
        *({"type": "response.output_item.done", "output_index": n, "item": x} for n, x in enumerate(whole["output"])),
        {"type": f"response.{whole['status']}", "response": whole},
    ]
    return streamed([{**event, "sequence_number": number} for number, event in enumerate(events)], named=True)


def streamed(events: list[dict[str, Any]], *, named: bool = False, end: bytes = b"") -> Scripted:
    """Server-sent events."""
    parts = [
        (f"event: {event['type']}\n".encode() if named else b"") + b"data: %b\n\n" % msgspec.json.encode(event)
        for event in events
    ]
    return raw_reply(*parts, end, content_type="text/event-stream")


def broken(whole: Scripted) -> Scripted:
    """A stream that ends in an error."""
    error = {"error": {"message": "gone", "type": "server_error", "param": None, "code": "server_error"}}
    return raw_reply(*whole.parts[:-1], b"data: %b\n\n" % msgspec.json.encode(error), content_type="text/event-stream")


def embedding(vector: Any) -> Scripted:
    """Embeddings of one text."""
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    usage = {"prompt_tokens": 6, "total_tokens": 6}
    return json_reply({"object": "list", "data": data, "model": "m-2026-01-01", "usage": usage})


def json_reply(body: Any) -> Scripted:
    """Any JSON."""
    return raw_reply(msgspec.json.encode(body))


def chat(name: str, answer: Scripted, **asked: Any) -> Case:
    """A chat completion."""
    return Case(name, "chat", {"messages": USER, **asked}, answer)


def stream(name: str, answer: Scripted, *, counts: bool = True, **asked: Any) -> Case:
    """A streamed chat completion; ``counts``: the client asks for token counts."""
    options = {"stream_options": {"include_usage": True}} if counts else {}
    return chat(name, answer, stream=True, **options, **asked)


def responses(name: str, answer: Scripted, **asked: Any) -> Case:
    """A response."""
    return Case(name, "responses", {"input": "Hi.", **asked}, answer)


def embeddings(name: str, answer: Scripted, **asked: Any) -> Case:
    """Embeddings."""
    return Case(name, "embeddings", {"input": "Hi.", **asked}, answer)


CASES = (
    chat("buffered", completion("stop")),
    chat("uncounted", completion("stop", usage=None)),
    chat("parameters", completion("length"), **PARAMETERS),
    chat("one-stop", completion("stop"), stop="END", max_completion_tokens=5),
    chat("two-choices", completion("stop", "length"), n=2),
    chat("one-choice", completion("stop"), n=1),
    chat("tools", completion("tool_calls"), tools=[{"type": "function", "function": FUNCTION}]),
    chat("json", completion("stop"), response_format={"type": "json_object"}),
    chat("schema", completion("stop"), response_format=JSON_SCHEMA),
    chat("text", completion("stop"), response_format={"type": "text"}),
    chat("tier", completion("stop", service_tier="flex", system_fingerprint="fp_7"), service_tier="flex"),
    chat("tier-auto", completion("stop", service_tier="default"), service_tier="auto"),
    chat("effort", completion("stop"), reasoning_effort="low"),
    chat("history", completion("stop"), messages=HISTORY),
    chat("bad-request", error_reply(400, code="context_length_exceeded")),
    chat("rate-limited", error_reply(429, code="rate_limit_exceeded")),
    chat("failed", error_reply(500, code=None)),
    stream("streamed", chunks((0, {"content": "Sun"}, None), (0, {"content": "ny."}, None), (0, {}, "stop"))),
    stream("streamed-parameters", chunks((0, {"content": "Sunny."}, "length")), **PARAMETERS),
    stream("streamed-uncounted", chunks((0, {"content": "Sunny."}, "stop")), counts=False),
    stream("streamed-choices", chunks((1, {"content": "b"}, "length"), (0, {"content": "a"}, "stop")), n=2),
    stream("streamed-tools", chunks((0, {"tool_calls": [{"index": 0, **CALLS[0]}]}, None), (0, {}, "tool_calls"))),
    stream("streamed-tier", chunks((0, {"content": "a"}, "stop"), service_tier="flex", system_fingerprint="fp_7")),
    stream("streamed-refused", error_reply(429, code="rate_limit_exceeded")),
    stream("streamed-broken", broken(chunks((0, {"content": "Sun"}, None), usage=None))),
    responses("response", json_reply(response(message()))),
    responses("response-parameters", json_reply(response(message(), service_tier="flex")), **RESPONSE_PARAMETERS),
    responses("response-effort", json_reply(response(message())), reasoning={"effort": "low"}),
    responses("response-conversation", json_reply(response(message())), conversation="conv_1"),
    responses("response-tools", json_reply(response(function_call())), tools=[{"type": "function", **FUNCTION}]),
    responses("response-incomplete", json_reply(response(message(), **INCOMPLETE))),
    responses("response-refused", error_reply(400, code="invalid_prompt")),
    responses("response-streamed", response_events(response(message())), stream=True, temperature=0.25),
    embeddings("embeddings", embedding([0.1, 0.2, 0.3]), encoding_format="float"),
    embeddings("embeddings-dimensions", embedding([0.1, 0.2, 0.3]), encoding_format="float", dimensions=3),
    embeddings("embeddings-base64", embedding("AACAPwAAAEA=")),
    embeddings("embeddings-refused", error_reply(400, code="invalid_input"), encoding_format="float"),
)
