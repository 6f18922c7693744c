"""OpenAI Responses in the matrix."""

from __future__ import annotations

from typing import Any

from chatproxy.testing.matrix.said import Heard, Json, Said, error_in


class ResponsesDialect:
    """`Dialect` of responses."""

    surface = "responses"
    path = "/v1/responses"
    has_calls = True
    has_reasoning = True

    def question(self, text: str, *, earlier: Said | None = None, result: str | None = None) -> Json:
        """See `Dialect`."""
        items: list[Json] = []
        if earlier is not None:
            items += [{"role": "user", "content": "Before."}, *_items(earlier)]
            if result is not None:
                items.append({"type": "function_call_output", "call_id": "call_0", "output": result})
        return {"input": [*items, {"role": "user", "content": text}]}

    def answer(self, said: Said) -> Json:
        """See `Dialect`."""
        prompt, completion = said.usage
        usage = {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": completion,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + completion,
        }
        return {**_head("completed"), "output": _items(said), "usage": usage}

    def events(self, said: Said) -> list[Json | str]:
        """See `Dialect`."""
        made: list[Json] = [{"type": "response.created", "response": _head("in_progress")}]
        for index, item in enumerate(_items(said)):
            made.append({"type": "response.output_item.added", "output_index": index, "item": _begun(item)})
            made += _pieces(said, item, index)
            made.append({"type": "response.output_item.done", "output_index": index, "item": item})
        made.append({"type": "response.completed", "response": self.answer(said)})
        return [{**event, "sequence_number": i} for i, event in enumerate(made)]

    def hear(self, body: Json) -> Heard:
        """See `Dialect`."""
        error = error_in(body)
        details = body.get("incomplete_details")
        finish = details["reason"] if isinstance(details, dict) else body.get("status")
        heard = Heard(error=error, finish=finish, is_complete=error is None)
        for item in body.get("output") or ():
            if item["type"] == "message":
                heard.content += "".join(part["text"] for part in item["content"])
            elif item["type"] == "reasoning":
                heard.reasoning += "".join(part["text"] for part in item["summary"])
            elif item["type"] == "function_call":
                heard.calls.append((item["name"], item["arguments"]))
        usage: Any = body.get("usage")
        heard.usage = (usage["input_tokens"], usage["output_tokens"]) if usage else None
        return heard

    def hear_events(self, events: list[Json | str]) -> Heard:
        """See `Dialect`.

        Raises:
            AssertionError: the events are not numbered one after the other.
        """
        heard = Heard()
        numbers = [event.get("sequence_number") if isinstance(event, dict) else None for event in events]
        if numbers != list(range(len(events))):
            raise AssertionError(f"the events' sequence numbers are {numbers}")
        places: dict[int, int] = {}
        for event in events:
            kind = event["type"] if isinstance(event, dict) else ""
            if not isinstance(event, dict):
                heard.is_complete = False
            elif kind == "response.output_text.delta":
                heard.content += event["delta"]
            elif kind == "response.reasoning_summary_text.delta":
                heard.reasoning += event["delta"]
            elif kind == "response.output_item.added" and event["item"]["type"] == "function_call":
                places[event["output_index"]] = len(heard.calls)
                heard.calls.append((event["item"]["name"], event["item"]["arguments"]))
            elif kind == "response.function_call_arguments.delta":
                place = places[event["output_index"]]
                name, arguments = heard.calls[place]
                heard.calls[place] = (name, arguments + event["delta"])
            elif kind == "error":
                heard.error = error_in(event)
            elif kind in {"response.completed", "response.incomplete"}:
                heard.whole = self.hear(event["response"])
                heard.usage, heard.finish, heard.is_complete = heard.whole.usage, heard.whole.finish, True
        return heard

    def tool_names(self, body: Json) -> list[str]:
        """See `Dialect`."""
        return [tool["name"] for tool in body.get("tools") or ()]


def _head(status: str) -> Json:
    return {
        "id": "resp_matrix",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "model": "scripted",
        "output": [],
        "usage": None,
    }


def _items(said: Said) -> list[Json]:
    items: list[Json] = []
    if said.reasoning:
        summary = [{"type": "summary_text", "text": said.reasoning}]
        items.append({"type": "reasoning", "id": "rs_0", "summary": summary})
    if said.content:
        content = [{"type": "output_text", "text": said.content, "annotations": []}]
        items.append({"type": "message", "id": "msg_0", "role": "assistant", "status": "completed", "content": content})
    for i, (name, arguments) in enumerate(said.calls):
        call = {"id": f"fc_{i}", "call_id": f"call_{i}", "name": name, "arguments": arguments}
        items.append({"type": "function_call", **call, "status": "completed"})
    return items


def _begun(item: Json) -> Json:
    empty: Json = {"message": {"content": []}, "reasoning": {"summary": []}, "function_call": {"arguments": ""}}
    return {**item, **empty[item["type"]]}


def _pieces(said: Said, item: Json, index: int) -> list[Json]:
    """The deltas of one item and the event that says their text again."""
    place: Json = {"item_id": item["id"], "output_index": index}
    if item["type"] == "message":
        part = item["content"][0]
        place = {**place, "content_index": 0}
        deltas = [
            {"type": "response.output_text.delta", **place, "delta": piece} for piece in said.pieces(part["text"])
        ]
        begun = {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
        done = {"type": "response.output_text.done", **place, "text": part["text"]}
        return [begun, *deltas, done, {"type": "response.content_part.done", **place, "part": part}]
    if item["type"] == "reasoning":
        text = item["summary"][0]["text"]
        place = {**place, "summary_index": 0}
        kind = "response.reasoning_summary_text"
        deltas = [{"type": f"{kind}.delta", **place, "delta": piece} for piece in said.pieces(text)]
        return [*deltas, {"type": f"{kind}.done", **place, "text": text}]
    kind = "response.function_call_arguments"
    deltas = [{"type": f"{kind}.delta", **place, "delta": piece} for piece in said.pieces(item["arguments"])]
    return [*deltas, {"type": f"{kind}.done", **place, "arguments": item["arguments"]}]
