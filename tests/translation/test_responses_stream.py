"""Chat chunks become the events of a Response."""

from __future__ import annotations

import pytest

from chatproxy.translation.base import Losses
from chatproxy.translation.responses.over_chat import ResponsesOverChat

from .responses_events import FIND, LOOK, ROLE, USAGE, Json, arguments, brief, chunk, streamed


def test_text_is_told_as_openai_tells_it() -> None:
    events = streamed(
        chunk(ROLE), chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, finish="stop"), chunk(usage=USAGE)
    )
    first, last = events[0]["response"], events[-1]["response"]
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"id": "msg_1", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
    empty = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    whole = {**empty, "text": "Hello"}
    done = {**item, "status": "completed", "content": [whole]}
    assert events == [
        {"type": "response.created", "sequence_number": 0, "response": first},
        {"type": "response.in_progress", "sequence_number": 1, "response": first},
        {"type": "response.output_item.added", "sequence_number": 2, "output_index": 0, "item": item},
        {"type": "response.content_part.added", "sequence_number": 3, **place, "part": empty},
        {"type": "response.output_text.delta", "sequence_number": 4, **place, "delta": "Hel", "logprobs": []},
        {"type": "response.output_text.delta", "sequence_number": 5, **place, "delta": "lo", "logprobs": []},
        {"type": "response.output_text.done", "sequence_number": 6, **place, "text": "Hello", "logprobs": []},
        {"type": "response.content_part.done", "sequence_number": 7, **place, "part": whole},
        {"type": "response.output_item.done", "sequence_number": 8, "output_index": 0, "item": done},
        {"type": "response.completed", "sequence_number": 9, "response": last},
    ]
    assert (first["status"], first["output"], first["usage"], first["model"]) == ("in_progress", [], None, "m-1")
    assert (last["status"], last["output"], last["usage"]["total_tokens"]) == ("completed", [done], 12)
    assert (first["created_at"], first["completed_at"]) == (1700000000, None)


def test_nothing_is_said_before_the_first_chunk() -> None:
    translation = ResponsesOverChat(Losses())
    translation.request({"model": "m", "input": "hello", "stream": True})
    assert [event["type"] for event in translation.event(chunk())] == ["response.created", "response.in_progress"]


def test_reasoning_is_told_as_a_summary_before_text_and_calls() -> None:
    events = streamed(
        chunk({"role": "assistant", "reasoning_content": "h"}),
        chunk({"reasoning_content": "m"}),
        chunk({"content": "wait"}),
        chunk({"tool_calls": [LOOK]}),
        chunk(arguments(0, "{}")),
        chunk({}, finish="tool_calls"),
    )
    assert brief(events[2:]) == [
        "output_item.added 0",
        "reasoning_summary_part.added 0",
        "reasoning_summary_text.delta 0 h",
        "reasoning_summary_text.delta 0 m",
        "reasoning_summary_text.done 0 hm",
        "reasoning_summary_part.done 0",
        "output_item.done 0",
        "output_item.added 1",
        "content_part.added 1",
        "output_text.delta 1 wait",
        "output_text.done 1 wait",
        "content_part.done 1",
        "output_item.done 1",
        "output_item.added 2",
        "function_call_arguments.delta 2 {}",
        "function_call_arguments.done 2 {}",
        "output_item.done 2",
        "completed",
    ]
    assert events[2]["item"] == {"id": "rs_1", "type": "reasoning", "summary": []}
    assert events[4]["summary_index"] == 0
    added, done = events[15]["item"], events[-2]["item"]
    assert added == {
        "id": "fc_3",
        "type": "function_call",
        "status": "in_progress",
        "call_id": "c1",
        "name": "look",
        "arguments": "",
    }
    assert done == {**added, "status": "completed", "arguments": "{}"}
    assert events[-3]["name"] == "look"
    assert [item["id"] for item in events[-1]["response"]["output"]] == ["rs_1", "msg_2", "fc_3"]


def whole_call(index: int | None, call_id: str, name: str, text: str) -> Json:
    call = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": text}}
    return {key: item for key, item in call.items() if item is not None}


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [
                *({"tool_calls": [LOOK]}, arguments(0, '{"a'), arguments(0, '":1}')),
                *({"tool_calls": [FIND]}, arguments(1, "{}")),
            ],
            id="in-a-row",
        ),
        pytest.param(
            [
                *({"tool_calls": [LOOK]}, {"tool_calls": [FIND]}),
                *(arguments(0, '{"a'), arguments(1, "{"), arguments(0, '":1}'), arguments(1, "}")),
            ],
            id="interleaved",
        ),
        pytest.param(
            [{"tool_calls": [whole_call(0, "c1", "look", '{"a":1}'), whole_call(1, "c2", "find", "{}")]}],
            id="whole-in-one-chunk",
        ),
        pytest.param(
            [
                {"tool_calls": [whole_call(0, "c1", "look", '{"a":1}')]},
                {"tool_calls": [whole_call(0, "c2", "find", "{}")]},
            ],
            id="all-with-index-0",
        ),
        pytest.param(
            [
                {"tool_calls": [whole_call(None, "c1", "look", '{"a":1}')]},
                {"tool_calls": [whole_call(None, "c2", "find", "{")]},
                {"tool_calls": [{"function": {"arguments": "}"}}]},
            ],
            id="without-index",
        ),
        pytest.param(
            [
                {"tool_calls": [{**LOOK, "function": {"name": None, "arguments": '{"a'}}]},
                {"tool_calls": [{"index": 0, "function": {"name": "look", "arguments": '":1}'}}]},
                {"tool_calls": [{**FIND, "function": {"name": "find", "arguments": "{}"}}]},
            ],
            id="name-comes-later",
        ),
        pytest.param(
            [
                {"tool_calls": [{**LOOK, "function": {"name": "look", "arguments": '{"a'}}]},
                {"tool_calls": [{**LOOK, "function": {"name": "look", "arguments": '":1}'}}, FIND]},
                arguments(1, "{}"),
            ],
            id="id-and-name-in-each-chunk",
        ),
    ],
)
def test_parallel_calls_keep_their_arguments_apart(chunks: list[Json]) -> None:
    events = streamed(chunk(ROLE), *[chunk(delta) for delta in chunks], chunk({}, finish="tool_calls"))
    calls = events[-1]["response"]["output"]
    assert [(call["call_id"], call["name"], call["arguments"]) for call in calls] == [
        ("c1", "look", '{"a":1}'),
        ("c2", "find", "{}"),
    ]
    for place, call in enumerate(calls):
        told = [event for event in events if event.get("output_index") == place]
        assert [event["type"].rpartition(".")[2] for event in told if "item" in event] == ["added", "done"]
        deltas = [event["delta"] for event in told if event["type"] == "response.function_call_arguments.delta"]
        assert "".join(deltas) == call["arguments"]


def test_custom_call_is_told_by_its_input() -> None:
    begin = {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "run", "input": ""}}
    events = streamed(
        chunk({"tool_calls": [begin]}),
        chunk({"tool_calls": [{"index": 0, "custom": {"input": "ls"}}]}),
        chunk({}, finish="tool_calls"),
    )
    assert brief(events[2:]) == [
        "output_item.added 0",
        "custom_tool_call_input.delta 0 ls",
        "custom_tool_call_input.done 0 ls",
        "output_item.done 0",
        "completed",
    ]
    assert events[-2]["item"] == {
        "id": "ctc_1",
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "c1",
        "name": "run",
        "input": "ls",
    }


def test_text_that_goes_on_after_a_call_is_another_message() -> None:
    events = streamed(
        chunk({"content": "a"}), chunk({"tool_calls": [LOOK]}), chunk({"content": "b"}), chunk(arguments(0, "{}"))
    )
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "message"]
    assert [output[0]["content"][0]["text"], output[1]["arguments"], output[2]["content"][0]["text"]] == [
        "a",
        "{}",
        "b",
    ]
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == output


def test_refusal_after_text_is_a_part_of_its_own() -> None:
    events = streamed(
        chunk({"content": "a"}), chunk({"refusal": "n"}), chunk({"refusal": "o"}), chunk({}, finish="stop")
    )
    assert brief(events[2:]) == [
        "output_item.added 0",
        "content_part.added 0",
        "output_text.delta 0 a",
        "output_text.done 0 a",
        "content_part.done 0",
        "content_part.added 0",
        "refusal.delta 0 n",
        "refusal.delta 0 o",
        "refusal.done 0 no",
        "content_part.done 0",
        "output_item.done 0",
        "completed",
    ]
    assert [event["content_index"] for event in events if "content_index" in event] == [0] * 4 + [1] * 5


def test_sources_of_the_text_are_told() -> None:
    source = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}
    flat = {"type": "url_citation", **source["url_citation"]}
    events = streamed(chunk({"content": "a"}), chunk({"annotations": [source]}), chunk({}, finish="stop"))
    assert (events[5]["type"], events[5]["annotation"]) == ("response.output_text.annotation.added", flat)
    assert events[-1]["response"]["output"][0]["content"][0]["annotations"] == [flat]
    assert events[3]["part"]["annotations"] == []


def test_source_that_comes_after_its_text_is_on_record() -> None:
    losses = Losses()
    source = {"type": "url_citation", "url_citation": {"url": "u"}}
    events = streamed(
        chunk({"content": "a"}), chunk({"tool_calls": [LOOK]}), chunk({"annotations": [source]}), losses=losses
    )
    assert events[-1]["response"]["output"][0]["content"][0]["annotations"] == []
    assert [(loss.field, loss.action) for loss in losses.kept] == [("output", "dropped")]


def test_log_probabilities_are_told_with_their_text() -> None:
    told = {"content": [{"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}], "refusal": None}
    events = streamed(chunk({"content": "a"}, logprobs=told), chunk({"content": "a"}, logprobs=told))
    assert [event["logprobs"] for event in events if "delta" in event] == [told["content"]] * 2
    assert events[-4]["logprobs"] == told["content"] * 2
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"] == told["content"] * 2


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param([chunk({}, finish="length"), chunk(usage=USAGE)], id="after"),
        pytest.param([chunk(usage=USAGE), chunk({}, finish="length")], id="before"),
        pytest.param([chunk({}, finish="length", usage=USAGE)], id="with"),
        pytest.param([chunk({"content": ""}, usage=USAGE), chunk({}, finish="length", usage=None)], id="in-between"),
    ],
)
def test_counts_may_come_before_or_after_the_end(tail: list[Json]) -> None:
    events = streamed(chunk({"content": "a"}), *tail)
    assert events[-1]["type"] == "response.incomplete"
    response = events[-1]["response"]
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (response["usage"]["input_tokens"], response["output"][0]["status"]) == (7, "incomplete")


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([], id="no-chunk"),
        pytest.param([chunk()], id="no-choice"),
        pytest.param([chunk(ROLE), chunk({}, finish="stop")], id="no-text"),
    ],
)
def test_empty_stream_is_an_empty_message(chunks: list[Json]) -> None:
    events = streamed(*chunks)
    assert brief(events) == [
        "created",
        "in_progress",
        "output_item.added 0",
        "content_part.added 0",
        "output_text.done 0",
        "content_part.done 0",
        "output_item.done 0",
        "completed",
    ]
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == ""


def test_stream_cut_before_any_text_has_no_output() -> None:
    events = streamed(chunk(ROLE), chunk({}, finish="content_filter"))
    assert (brief(events), events[-1]["response"]["output"]) == (["created", "in_progress", "incomplete"], [])


def test_other_choices_are_left_out_and_on_record() -> None:
    losses = Losses()
    other = chunk({"content": "b"})
    other["choices"][0]["index"] = 1
    events = streamed(chunk({"content": "a"}), other, other, chunk({"content": "c"}), losses=losses)
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "ac"
    assert [(loss.field, loss.action) for loss in losses.kept] == [("output", "dropped")]


def test_text_is_not_lost_where_a_chunk_says_more() -> None:
    events = streamed(
        chunk({"content": "a"}),
        chunk({"content": "b", "refusal": None, "tool_calls": None}),
        chunk({"content": "c", "reasoning_content": ""}, finish="stop"),
        chunk({"content": "d"}, provider="p"),
    )
    assert [event["delta"] for event in events if "delta" in event] == ["a", "b", "c", "d"]
    assert events[-1]["response"]["provider"] == "p"
