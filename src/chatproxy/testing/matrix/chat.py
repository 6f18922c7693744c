"""Chat completions, and legacy completions, in the matrix."""

from __future__ import annotations

from typing import Any

from chatproxy.testing.matrix.said import Heard, Json, Said, error_in

_HEAD: Json = {"id": "chatcmpl-matrix", "created": 1_700_000_000, "model": "scripted"}


class ChatDialect:
    """`Dialect` of chat completions."""

    surface = "chat"
    path = "/v1/chat/completions"
    has_calls = True
    has_reasoning = True

    def question(self, text: str, *, earlier: Said | None = None, result: str | None = None) -> Json:
        """See `Dialect`."""
        messages: list[Json] = []
        if earlier is not None:
            messages += [{"role": "user", "content": "Before."}, _message(earlier)]
            if result is not None:
                messages.append({"role": "tool", "tool_call_id": "call_0", "content": result})
        return {"messages": [*messages, {"role": "user", "content": text}]}

    def answer(self, said: Said) -> Json:
        """See `Dialect`."""
        choice = {"index": 0, "message": _message(said), "finish_reason": "tool_calls" if said.calls else "stop"}
        return {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _usage(said)}

    def events(self, said: Said) -> list[Json | str]:
        """See `Dialect`."""
        deltas: list[Json] = [{"role": "assistant", "content": ""}]
        deltas += [{"reasoning_content": piece} for piece in said.pieces(said.reasoning)]
        deltas += [{"content": piece} for piece in said.pieces(said.content)]
        for i, (name, arguments) in enumerate(said.calls):
            begun = {"index": i, "id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": ""}}
            deltas.append({"tool_calls": [begun]})
            deltas += [
                {"tool_calls": [{"index": i, "function": {"arguments": piece}}]} for piece in said.pieces(arguments)
            ]
        chunks = [_chunk({"index": 0, "delta": delta, "finish_reason": None}) for delta in deltas]
        chunks.append(_chunk({"index": 0, "delta": {}, "finish_reason": "tool_calls" if said.calls else "stop"}))
        return [*chunks, {**_chunk(), "usage": _usage(said)}, "[DONE]"]

    def hear(self, body: Json) -> Heard:
        """See `Dialect`."""
        heard = Heard(error=error_in(body), is_complete="error" not in body)
        for choice in body.get("choices") or ():
            message = choice["message"]
            heard.content = message.get("content") or ""
            heard.reasoning = message.get("reasoning_content") or ""
            calls = message.get("tool_calls") or ()
            heard.calls = [(call["function"]["name"], call["function"]["arguments"]) for call in calls]
            heard.finish = choice["finish_reason"]
        heard.usage = _counts(body)
        return heard

    def hear_events(self, events: list[Json | str]) -> Heard:
        """See `Dialect`."""
        heard = Heard(is_complete=events[-1:] == ["[DONE]"])
        for event in events:
            if isinstance(event, dict):
                heard.error = heard.error or error_in(event)
                heard.usage = _counts(event) or heard.usage
                for choice in event.get("choices") or ():
                    heard.finish = choice.get("finish_reason") or heard.finish
                    _hear_delta(heard, choice["delta"])
        return heard

    def tool_names(self, body: Json) -> list[str]:
        """See `Dialect`."""
        return [tool["function"]["name"] for tool in body.get("tools") or ()]


class CompletionsDialect:
    """`Dialect` of legacy completions, which know neither tools nor reasoning."""

    surface = "completions"
    path = "/v1/completions"
    has_calls = False
    has_reasoning = False

    def question(self, text: str, *, earlier: Said | None = None, result: str | None = None) -> Json:
        """See `Dialect`."""
        return {"prompt": f"{earlier.content}\n{text}" if earlier is not None else text}

    def answer(self, said: Said) -> Json:
        """See `Dialect`."""
        choice = {"index": 0, "text": said.content, "logprobs": None, "finish_reason": "stop"}
        return {**_HEAD, "id": "cmpl-matrix", "object": "text_completion", "choices": [choice], "usage": _usage(said)}

    def events(self, said: Said) -> list[Json | str]:
        """See `Dialect`."""
        head = {**_HEAD, "id": "cmpl-matrix", "object": "text_completion"}
        pieces = [*said.pieces(said.content), ""]
        chunks: list[Json | str] = [
            {**head, "choices": [{"index": 0, "text": piece, "finish_reason": None if i < len(pieces) - 1 else "stop"}]}
            for i, piece in enumerate(pieces)
        ]
        return [*chunks, {**head, "choices": [], "usage": _usage(said)}, "[DONE]"]

    def hear(self, body: Json) -> Heard:
        """See `Dialect`."""
        heard = Heard(error=error_in(body), usage=_counts(body), is_complete="error" not in body)
        for choice in body.get("choices") or ():
            heard.content, heard.finish = choice["text"], choice["finish_reason"]
        return heard

    def hear_events(self, events: list[Json | str]) -> Heard:
        """See `Dialect`."""
        heard = Heard(is_complete=events[-1:] == ["[DONE]"])
        for event in events:
            if isinstance(event, dict):
                heard.error = heard.error or error_in(event)
                heard.usage = _counts(event) or heard.usage
                for choice in event.get("choices") or ():
                    heard.content += choice["text"]
                    heard.finish = choice.get("finish_reason") or heard.finish
        return heard

    def tool_names(self, body: Json) -> list[str]:
        """See `Dialect`."""
        return []


def _message(said: Said) -> Json:
    message: Json = {"role": "assistant", "content": said.content or None}
    if said.reasoning:
        message["reasoning_content"] = said.reasoning
    if said.calls:
        message["tool_calls"] = [
            {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(said.calls)
        ]
    return message


def _chunk(*choices: Json) -> Json:
    return {**_HEAD, "object": "chat.completion.chunk", "choices": list(choices)}


def _usage(said: Said) -> Json:
    prompt, completion = said.usage
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _counts(body: Json) -> tuple[int, int] | None:
    usage: Any = body.get("usage")
    return (usage["prompt_tokens"], usage["completion_tokens"]) if isinstance(usage, dict) else None


def _hear_delta(heard: Heard, delta: Json) -> None:
    heard.content += delta.get("content") or ""
    heard.reasoning += delta.get("reasoning_content") or ""
    for call in delta.get("tool_calls") or ():
        function = call.get("function") or {}
        if call["index"] == len(heard.calls):
            heard.calls.append(("", ""))
        name, arguments = heard.calls[call["index"]]
        heard.calls[call["index"]] = (
            name + (function.get("name") or ""),
            arguments + (function.get("arguments") or ""),
        )
