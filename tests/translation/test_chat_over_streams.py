"""A chat client gets the same answer in a stream as in one, however the handler cuts it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.translation.base import Losses
from chatproxy.translation.chat.messages import ChatOverMessages
from chatproxy.translation.chat.responses import ChatOverResponses

Json = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]
WORDS = st.text(alphabet="aé \n{}\"'😀", max_size=12)
SOME_WORDS = WORDS.filter(bool)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b"]), st.one_of(st.integers(0, 9), SOME_WORDS), max_size=2)


def assembled(chunks: list[Json]) -> Json:
    """A stream as its client puts it together; checks what must hold for every chunk on the way."""
    assert {(chunk["object"], chunk["id"], chunk["model"]) for chunk in chunks} == {
        ("chat.completion.chunk", chunks[0]["id"], "m")
    }
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    message: Json = {"content": "", "refusal": "", "reasoning_content": "", "annotations": [], "thinking_blocks": []}
    calls: list[Json] = []
    reasons = []
    usage = None
    for chunk in chunks:
        usage = chunk.get("usage", usage)
        for choice in chunk["choices"]:
            assert not reasons, "nothing is said after the finish reason"
            reasons += [choice["finish_reason"]] if choice["finish_reason"] else []
            for key, value in choice["delta"].items():
                if key == "tool_calls":
                    for piece in value:
                        extend(calls, piece)
                elif key != "role":
                    message[key] += value
    assert len(reasons) == 1
    return {**message, "tool_calls": calls, "finish_reason": reasons[0], "usage": usage}


def extend(calls: list[Json], piece: Json) -> None:
    if "id" in piece:
        assert piece["index"] == len(calls)
        calls.append({key: dict(value) if isinstance(value, dict) else value for key, value in piece.items()})
        del calls[-1]["index"]
        return
    assert piece.keys() <= {"index", "function", "custom"}
    kind, written = ("function", "arguments") if "function" in piece else ("custom", "input")
    calls[piece["index"]][kind][written] += piece[kind][written]


def whole(reply: Json) -> Json:
    """A buffered reply in the form of `assembled`."""
    (choice,) = reply["choices"]
    message = choice["message"]
    return {
        "content": message["content"] or "",
        "refusal": message["refusal"] or "",
        "reasoning_content": message.get("reasoning_content", ""),
        "annotations": message["annotations"],
        "thinking_blocks": message.get("thinking_blocks", []),
        "tool_calls": message.get("tool_calls", []),
        "finish_reason": choice["finish_reason"],
        "usage": reply["usage"],
    }


def cut(draw: Draw, text: str) -> list[str]:
    """The text in pieces, some of them empty."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


def shuffled(draw: Draw, queues: list[list[Json]]) -> list[Json]:
    """One list of all, each queue in its own order."""
    left = [list(queue) for queue in queues if queue]
    merged = []
    while left:
        queue = draw(st.sampled_from(left))
        merged.append(queue.pop(0))
        left = [queue for queue in left if queue]
    return merged


CITATION = {"type": "url_citation", "url": "https://x.y", "title": "t", "start_index": 0, "end_index": 2}
OUTPUT_PARTS = st.one_of(
    st.builds(
        lambda text, notes: {"type": "output_text", "text": text, "annotations": notes if text else [], "logprobs": []},
        WORDS,
        st.lists(st.just(CITATION), max_size=2),
    ),
    st.builds(lambda text: {"type": "refusal", "refusal": text}, WORDS),
)
ITEMS = st.one_of(
    st.builds(
        lambda parts: {"type": "message", "role": "assistant", "content": parts}, st.lists(OUTPUT_PARTS, max_size=3)
    ),
    st.builds(
        lambda summary, content, sealed: {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": text} for text in summary],
            "content": [{"type": "reasoning_text", "text": text} for text in content],
            "encrypted_content": sealed,
        },
        st.lists(WORDS, max_size=2),
        st.lists(WORDS, max_size=2),
        st.sampled_from([None, "", "gAAA"]),
    ),
    st.builds(lambda text: {"type": "function_call", "name": "f", "arguments": text}, WORDS),
    st.builds(lambda text: {"type": "custom_tool_call", "name": "c", "input": text}, WORDS),
    st.just({"type": "web_search_call", "status": "completed"}),
)


def part_events(draw: Draw, kind: str, key: str, text: str, **place: Any) -> list[Json]:
    """Deltas of a part, its end, or both."""
    sent = draw(st.sampled_from(["deltas", "end", "both", "beginning and end"]))
    pieces = {"end": [], "beginning and end": [text[:1]]}.get(sent, cut(draw, text))
    events = [{"type": f"response.{kind}.delta", "delta": piece, **place} for piece in pieces]
    return events if sent == "deltas" else [*events, {"type": f"response.{kind}.done", key: text, **place}]


def item_events(draw: Draw, index: int, item: Json) -> list[Json]:
    place = {"output_index": index, "item_id": item["id"]}
    told = draw(st.booleans())  # of annotations before the item's end
    events: list[Json] = []
    for i, part in enumerate(item.get("content", [])):
        where = {**place, "content_index": i}
        if part["type"] == "refusal":
            events += part_events(draw, "refusal", "refusal", part["refusal"], **where)
        elif part["type"] == "output_text":
            events += part_events(draw, "output_text", "text", part["text"], **where)
            if told:
                added = {"type": "response.output_text.annotation.added", **where}
                events += [{**added, "annotation": note} for note in part["annotations"]]
    if item["type"] == "reasoning":
        events = []
        for kind, name, key in (
            ("reasoning_summary_text", "summary", "summary_index"),
            ("reasoning_text", "content", "content_index"),
        ):
            for i, part in enumerate(item[name]):
                events += part_events(draw, kind, "text", part["text"], **place, **{key: i})
    elif item["type"] == "function_call":
        events = part_events(draw, "function_call_arguments", "arguments", item["arguments"], **place)
    elif item["type"] == "custom_tool_call":
        events = part_events(draw, "custom_tool_call_input", "input", item["input"], **place)
    empty = {"arguments": "", "input": "", "content": [], "summary": [], "encrypted_content": None}
    begun = {key: empty.get(key, value) for key, value in item.items()}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        *(events if draw(st.integers(0, 4)) else []),
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def is_call(item: Json) -> bool:
    return item["type"].endswith("_call") and "call_id" in item


@st.composite
def responses(draw: Draw) -> tuple[Json, list[Json]]:
    """A response and its stream. Calls one after the other may come interleaved."""
    output = [{**item, "id": f"rs_{i}"} for i, item in enumerate(draw(st.lists(ITEMS, max_size=5)))]
    output = [{**item, "call_id": f"call_{i}"} if "name" in item else item for i, item in enumerate(output)]
    status = draw(st.sampled_from(["completed", "incomplete"]))
    response = {
        "id": "resp_1", "object": "response", "created_at": 7, "model": "m", "status": status, "output": output,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "usage": {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11},
    }  # fmt: skip
    events: list[Json] = [{"type": "response.created", "response": {**response, "output": [], "usage": None}}]
    together: list[list[Json]] = []
    for index, item in enumerate(output):
        if not is_call(item):
            events += shuffled(draw, together)
            together = []
        queue = item_events(draw, index, item)
        events.append(queue.pop(0))
        together.append(queue)
    events += shuffled(draw, together)
    return response, [*events, {"type": f"response.{status}", "response": response}]


@given(responses(), st.booleans())
def test_streamed_response_says_what_the_buffered_one_says(answer: tuple[Json, list[Json]], hub: bool) -> None:
    response, events = answer
    translation = ChatOverResponses(Losses(), hub=hub)
    chunks = [chunk for event in events for chunk in translation.event(event)] + translation.finish()
    assert assembled(chunks) == whole(ChatOverResponses(Losses(), hub=hub).reply(response))


WEB = {
    "type": "web_search_result_location",
    "url": "https://x.y",
    "title": None,
    "cited_text": "c",
    "encrypted_index": "e",
}
BLOCKS = st.one_of(
    st.builds(
        lambda text, cited: {"type": "text", "text": text, "citations": cited},
        WORDS,
        st.lists(st.just(WEB), max_size=2),
    ),
    st.builds(
        lambda text, signature: {"type": "thinking", "thinking": text, "signature": signature},
        WORDS,
        st.sampled_from(["", "sig"]),
    ),
    st.just({"type": "redacted_thinking", "data": "xyz"}),
    st.builds(lambda given: {"type": "tool_use", "name": "f", "input": given}, OBJECTS),
    st.builds(lambda text: {"type": "tool_use", "name": "free", "input": {"input": text}}, WORDS),
    st.just({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
)


def block_events(draw: Draw, index: int, block: Json) -> list[Json]:
    begun, deltas = dict(block), []
    if block["type"] == "text":
        begun = {"type": "text", "text": ""}
        deltas = [{"type": "citations_delta", "citation": citation} for citation in block["citations"]]
        deltas += [{"type": "text_delta", "text": piece} for piece in cut(draw, block["text"])]
    elif block["type"] == "thinking":
        begun = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in cut(draw, block["thinking"])]
        deltas += [{"type": "signature_delta", "signature": piece} for piece in cut(draw, block["signature"])]
    elif block["type"] == "tool_use" and (not block["input"] or draw(st.booleans())):
        begun["input"] = {}
        written = msgspec.json.encode(block["input"]).decode() if block["input"] else ""
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in cut(draw, written)]
    elif block["type"] == "server_tool_use":
        deltas = [{"type": "input_json_delta", "partial_json": '{"query": 1}'}]
    return [
        {"type": "content_block_start", "index": index, "content_block": begun},
        *[{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas],
        {"type": "content_block_stop", "index": index},
        *([{"type": "ping"}] if draw(st.booleans()) else []),
    ]


@st.composite
def messages(draw: Draw) -> tuple[Json, list[Json]]:
    """A message and its stream, whose counts of tokens come in two halves."""
    blocks = draw(st.lists(BLOCKS, max_size=5))
    content = [
        {**block, "id": f"toolu_{i}"} if block["type"] == "tool_use" else block for i, block in enumerate(blocks)
    ]
    begun = {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 1}
    ended = {"output_tokens": 9, "input_tokens": draw(st.sampled_from([None, 5]))}
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": draw(st.sampled_from(["end_turn", "max_tokens", "stop_sequence", "refusal", "pause_turn"])),
        "stop_sequence": None, "usage": {**begun, "output_tokens": 9},
    }  # fmt: skip
    start = {**message, "content": [], "stop_reason": None, "usage": begun}
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events: list[Json] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(content):
        events += block_events(draw, index, block)
    if events[-1]["type"] == "content_block_stop" and draw(st.booleans()):
        del events[-1]  # left out by some handlers
    events.append({"type": "message_delta", "delta": ending, "usage": ended})
    return message, [*events, *([{"type": "message_stop"}] if draw(st.booleans()) else [])]


def over_messages(*, hub: bool) -> ChatOverMessages:
    """A translation that knows of a tool which takes free text."""
    translation = ChatOverMessages(Losses(), hub=hub)
    tools = [{"type": "custom", "custom": {"name": "free"}}]
    translation.request({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools})
    return translation


@given(messages(), st.booleans())
def test_streamed_message_says_what_the_buffered_one_says(answer: tuple[Json, list[Json]], hub: bool) -> None:
    message, events = answer
    translation = over_messages(hub=hub)
    chunks = [chunk for event in events for chunk in translation.event(event)] + translation.finish()
    assert assembled(chunks) == whole(over_messages(hub=hub).reply(message))


ODD = st.one_of(st.none(), st.integers(0, 2), WORDS, st.just([]), st.just([1]), st.just({}), st.just({"type": []}))
KEYS = ("type", "id", "call_id", "name", "arguments", "input", "content", "summary", "text", "annotations", "logprobs",
        "encrypted_content", "thinking", "signature", "data", "citations", "refusal")  # fmt: skip
THINGS = st.one_of(
    ODD,
    st.builds(
        lambda kind, rest: {**rest, "type": kind},
        st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call", "text", "thinking", "tool_use",
                         "redacted_thinking", "text_delta", "thinking_delta", "signature_delta", "input_json_delta",
                         "citations_delta", "output_text", "url_citation"]),
        st.dictionaries(st.sampled_from(KEYS), st.one_of(ODD, st.lists(ODD, max_size=2))),
    ),
)  # fmt: skip
PLACES = ("output_index", "content_index", "summary_index", "index", "item_id", "item", "part", "delta", "annotation",
          "content_block", "text", "arguments", "logprobs", "usage", "message", "response")  # fmt: skip
EVENTS = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(["response.created", "response.completed", "message_start", "message_delta", "content_block_start",
                     "content_block_delta", "content_block_stop", "response.output_item.added",
                     "response.output_item.done", "response.output_text.delta", "response.output_text.done",
                     "response.output_text.annotation.added", "response.refusal.delta", "response.refusal.done",
                     "response.reasoning_text.delta", "response.reasoning_summary_text.done",
                     "response.function_call_arguments.delta", "response.custom_tool_call_input.done"]),
    st.dictionaries(st.sampled_from(PLACES), THINGS, max_size=6),
)  # fmt: skip


@given(st.lists(EVENTS, max_size=6), st.sampled_from([ChatOverResponses, ChatOverMessages]), st.booleans())
def test_stream_of_odd_events_still_is_a_chat_stream(events: list[Json], kind: Any, hub: bool) -> None:
    translation = kind(Losses(), hub=hub)
    chunks = [chunk for event in events for chunk in translation.event(event)] + translation.finish()
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    assert len(reasons) == 1
    msgspec.json.encode(chunks)


@given(st.lists(THINGS, max_size=4), THINGS, st.booleans())
def test_reply_of_odd_items_still_is_a_chat_completion(things: list[Any], odd: Any, hub: bool) -> None:
    fields = {"usage": odd, "status": odd, "stop_reason": odd, "stop_details": odd, "service_tier": odd, "model": "m"}
    for reply in (
        ChatOverResponses(Losses(), hub=hub).reply({"output": things, "incomplete_details": odd, **fields}),
        ChatOverMessages(Losses(), hub=hub).reply({"content": things, **fields}),
    ):
        assert reply["choices"][0]["message"]["role"] == "assistant"
        assert reply["choices"][0]["finish_reason"] in ("stop", "tool_calls", "length", "content_filter")
        msgspec.json.encode(reply)
