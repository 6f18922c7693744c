"""Answers that are filtered, on every surface: streams ended where they stand, and buffered replies."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.testing.matrix import DIALECTS, Said
from chatproxy.types import LAYOUTS, ChatResponse, Ending, StreamEvent, Usage
from chatproxy.types.passthrough import PASSTHROUGH

Json = dict[str, Any]
HEAD: Json = {"id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "m", "service_tier": "default"}
PLACE: Json = {"item_id": "msg_1", "output_index": 2, "content_index": 1}
ALL = Said(content="one two three", reasoning="so it is", calls=(("look", '{"q": "b c"}'), ("find", '{"q": "d"}')))
USAGE = Usage(prompt_tokens=7, completion_tokens=2, total_tokens=9, cached_tokens=3)


def cut(surface: str, events: list[Json], message: str, usage: Usage | None = None) -> list[Json]:
    """What a client gets of events of which the first were sent before the stream was ended."""
    ending = Ending(LAYOUTS[surface], model="m")
    for data in events:
        ending.take(StreamEvent.of(data, layout=LAYOUTS[surface]))
    made = [event.data for event in ending.filtered(message, usage)]
    assert ending.filtered(message, usage) == []
    return [*events, *made]


@pytest.mark.parametrize("message", ["", "No."], ids=["silent", "with-a-message"])
@pytest.mark.parametrize("surface", DIALECTS)
def test_a_stream_can_be_ended_at_any_event(surface: str, message: str) -> None:
    """What was sent stays as it is, and what says it again at the end says the same."""
    dialect = DIALECTS[surface]
    events = [data for data in dialect.events(ALL) if isinstance(data, dict)]
    for count in range(len(events) + 1):
        whole = cut(surface, events[:count], message)
        heard = dialect.hear_events([*whole, "[DONE]"] if surface in {"chat", "completions"} else [*whole])
        before = dialect.hear_events([*events[:count], "[DONE]"]) if surface != "responses" else None
        assert heard.is_complete, count
        if len(whole) == count:  # it had ended by itself
            assert heard.finish not in {None, "content_filter", "refusal"}
            continue
        is_told = before is not None and before.finish is not None
        assert heard.finish in ({before.finish} if before and is_told else {"content_filter", "refusal"})
        if before is not None:
            assert (heard.reasoning, heard.calls) == (before.reasoning, before.calls)
            assert heard.content == before.content + ("" if is_told else message)
        if heard.whole is not None:
            assert heard.content.endswith(message)
            whole_of = (heard.whole.content, heard.whole.reasoning, heard.whole.calls)
            assert whole_of == (heard.content, heard.reasoning, heard.calls), count


def test_a_filtered_chat_stream_keeps_its_head() -> None:
    head = {**HEAD, "usage": None}
    said = {**head, "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}], "obfuscation": "x"}
    assert cut("chat", [said], "No.", USAGE)[1:] == [
        {**head, "choices": [{"index": 0, "delta": {"content": "No."}, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]},
        {
            **head,
            "choices": [],
            "usage": {
                "prompt_tokens": 7,
                "completion_tokens": 2,
                "total_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        },
    ]


def test_a_filtered_message_closes_what_is_open() -> None:
    begun = {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "input": {}}}
    assert cut("messages", [begun, block], "No.")[2:] == [
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "No."}},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "refusal", "stop_sequence": None},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
    ]


def test_a_filtered_message_counts_what_was_read_where_nothing_said_it() -> None:
    made = cut("messages", [], "", USAGE)
    assert made[0]["message"]["usage"] == {"input_tokens": 4, "cache_read_input_tokens": 3, "output_tokens": 0}
    assert made[-2]["usage"] == {"input_tokens": 4, "cache_read_input_tokens": 3, "output_tokens": 2}


def delta(kind: str) -> Json:
    return {"type": f"response.{kind}.delta", "sequence_number": 8, **PLACE, "delta": "a"}


def part_added(kind: str, **fields: Any) -> Json:
    return {"type": "response.content_part.added", **PLACE, "part": {"type": kind, **fields}}


def item_added(kind: str, **fields: Any) -> Json:
    return {"type": "response.output_item.added", "output_index": 2, "item": {"type": kind, "id": "msg_1", **fields}}


CUT: dict[str, tuple[list[Json], list[Json], Json]] = {
    "text-with-a-source": (
        [
            item_added("message", status="in_progress", content=[]),
            {**part_added("output_text", text="", annotations=[]), "content_index": 0},
            {**delta("output_text"), "content_index": 0},
            {"type": "response.output_text.annotation.added", **PLACE, "content_index": 0, "annotation": {"url": "u"}},
        ],
        [{"type": "response.output_text.done", "text": "a", "logprobs": []}, {"type": "response.content_part.done"}],
        {
            "status": "incomplete",
            "content": [{"type": "output_text", "text": "a", "annotations": [{"url": "u"}]}],
        },
    ),
    "text-that-was-said": (
        [
            item_added("message", status="in_progress", content=[]),
            part_added("output_text", text=""),
            delta("output_text"),
            {"type": "response.output_text.done", **PLACE, "text": "changed"},
        ],
        [{"type": "response.content_part.done", "part": {"type": "output_text", "text": "changed"}}],
        {"status": "incomplete", "content": [{"type": "output_text", "text": "changed"}]},
    ),
    "refusal": (
        [item_added("message", status="in_progress"), part_added("refusal", refusal=""), delta("refusal")],
        [{"type": "response.refusal.done", "refusal": "a"}, {"type": "response.content_part.done"}],
        {"status": "incomplete", "content": [{"type": "refusal", "refusal": "a"}]},
    ),
    "reasoning": (
        [item_added("reasoning", summary=[]), part_added("reasoning_text", text=""), delta("reasoning_text")],
        [{"type": "response.reasoning_text.done", "text": "a"}, {"type": "response.content_part.done"}],
        {"summary": [], "content": [{"type": "reasoning_text", "text": "a"}]},
    ),
    "summary-without-its-part": (
        [item_added("reasoning", summary=[]), {**delta("reasoning_summary_text"), "summary_index": 0}],
        [{"type": "response.reasoning_summary_text.done", "text": "a", "summary_index": 0}],
        {"summary": [{"type": "summary_text", "text": "a"}]},
    ),
    "custom-call": (
        [item_added("custom_tool_call", status="in_progress", input=""), delta("custom_tool_call_input")],
        [],
        {"status": "incomplete", "input": "a"},
    ),
    "call-that-was-said": (
        [
            item_added("function_call", status="in_progress", arguments=""),
            delta("function_call_arguments"),
            {"type": "response.function_call_arguments.done", **PLACE, "arguments": "{}"},
        ],
        [],
        {"status": "incomplete", "arguments": "{}"},
    ),
    "search": ([item_added("web_search_call", status="searching")], [], {"status": "incomplete"}),
    "text-of-an-item-nobody-told-of": (
        [delta("output_text")],
        [{"type": "response.output_text.done", "text": "a"}],
        {"status": "incomplete", "content": [{"type": "output_text", "text": "a"}]},
    ),
    "call-nobody-told-of": (
        [delta("function_call_arguments")],
        [],
        {"type": "function_call", "status": "incomplete", "arguments": "a"},
    ),
}


@pytest.mark.parametrize(("events", "closing", "item"), CUT.values(), ids=CUT)
def test_an_open_item_is_closed_with_what_went_out(events: list[Json], closing: list[Json], item: Json) -> None:
    head = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}}
    made = cut("responses", [head, *events], "")[len(events) + 1 :]
    *closed, done, last = made
    assert [event["type"] for event in closed] == [event["type"] for event in closing]
    for event, expected in zip(closed, closing, strict=True):
        assert event.items() >= expected.items()
        assert (event["item_id"], event["output_index"]) == ("msg_1", 2)
    assert done["item"].items() >= item.items()
    assert (done["output_index"], done["item"]["id"]) == (2, "msg_1")
    assert last["response"] == {
        "id": "resp_1",
        "status": "incomplete",
        "output": [done["item"]],
        "incomplete_details": {"reason": "content_filter"},
        "usage": None,
    }
    first = made[0]["sequence_number"]
    assert [event["sequence_number"] for event in made] == list(range(first, first + len(made)))


def test_odd_events_are_no_obstacle() -> None:
    odd: list[Json] = [
        {"type": None},
        {"type": ["response.output_text.delta"]},
        {"type": "response.output_text.delta", "output_index": "x", "delta": 5},
        {"type": "response.content_part.added", "part": {"type": ["x"]}},
        {"type": "response.output_item.added", "item": None},
        {"type": "content_block_start", "index": "x"},
        {"type": "message_start", "message": 3},
        {"choices": [None, {"index": "x"}, 5]},
        {"choices": {}},
    ]
    for surface in DIALECTS:
        made = [event.data for event in Ending(LAYOUTS[surface]).filtered("No.")]
        assert [event.get("type") for event in cut(surface, odd, "No.")][-1] == made[-1].get("type")


@pytest.mark.parametrize("message", ["", "No."], ids=["silent", "with-a-message"])
@pytest.mark.parametrize("surface", DIALECTS)
def test_a_buffered_reply_is_filtered(surface: str, message: str) -> None:
    dialect = DIALECTS[surface]
    answer = dialect.answer(ALL)
    response = ChatResponse(answer, layout=LAYOUTS[surface])
    response.filter(message)
    heard = dialect.hear(response.to_dict())
    assert (heard.content, heard.reasoning, heard.calls) == (message, "", [])
    assert heard.finish == ("refusal" if surface == "messages" else "content_filter")
    assert response.finish_reasons == ["content_filter"]
    assert heard.usage == ALL.usage
    assert (response["id"], response["model"]) == (answer["id"], "scripted")
    assert "".join(text.value for text in response.texts()) == message


def test_every_choice_of_a_buffered_reply_is_filtered() -> None:
    choices: list[Json] = [{"index": i, "message": {"content": "a"}, "logprobs": {}, "note": "a"} for i in (1, 0)]
    response = ChatResponse({"choices": choices, "citations": ["u"], "system_fingerprint": "f"})
    response.filter("No.")
    message = {"role": "assistant", "content": "No.", "refusal": None}
    assert response.to_dict() == {
        "choices": [
            {"index": i, "message": message, "logprobs": None, "finish_reason": "content_filter"} for i in (1, 0)
        ],
        "system_fingerprint": "f",
    }


@pytest.mark.parametrize("surface", ["embeddings", "moderations", "count_tokens", "rerank", *PASSTHROUGH])
def test_replies_that_no_model_wrote_keep_their_numbers(surface: str) -> None:
    layout = {**LAYOUTS, **PASSTHROUGH}[surface]
    body = {"results": [{"index": 0, "score": 0.5}], "data": [{"embedding": [0.1]}], "input_tokens": 3}
    response = ChatResponse(body, layout=layout)
    response.filter("No.")
    assert response.to_dict() == body


def test_documents_that_a_ranking_repeats_leave() -> None:
    response = ChatResponse({"results": [{"index": 1, "document": {"text": "a"}}]}, layout=LAYOUTS["rerank"])
    response.filter("No.")
    assert response.to_dict() == {"results": [{"index": 1}]}
