"""Embeddings, moderations and rerank: texts in, numbers out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.errors import InvalidRequest, NotFound
from chatproxy.types import ChatRequest, ChatResponse, StreamEvent, ToolResult, Usage
from chatproxy.types.scoring import EMBEDDINGS, MODERATIONS, RERANK

Found = tuple[str, str, str, int, str]
ALL = pytest.mark.parametrize("layout", [EMBEDDINGS, MODERATIONS, RERANK], ids=lambda layout: layout.surface)
OF_INPUT = pytest.mark.parametrize("layout", [EMBEDDINGS, MODERATIONS], ids=lambda layout: layout.surface)


EIGHT = Usage(prompt_tokens=8, total_tokens=8)


def found(texts: Any) -> list[Found]:
    return [(text.field, text.role, text.kind, text.index, text.value) for text in texts]


def request_texts(layout: Any, body: dict[str, Any]) -> list[Found]:
    return found(ChatRequest.of(msgspec.json.encode(body), layout).texts())


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"input": "a"}, [("input", "user", "content", 0, "a")]),
        ({"input": ["a", "b"]}, [("input.0", "user", "content", 0, "a"), ("input.1", "user", "content", 1, "b")]),
        (
            {"input": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://x"}}]},
            [("input.0.text", "user", "content", 0, "a")],
        ),
        ({"input": {"text": "a"}}, [("input.text", "user", "content", 0, "a")]),
        ({"input": [{"content": [{"text": "a"}]}]}, [("input.0.content.0.text", "user", "content", 0, "a")]),
        ({"input": [["a"], "b"]}, [("input.0.0", "user", "content", 0, "a"), ("input.1", "user", "content", 1, "b")]),
        ({"messages": [{"role": "user", "content": "a"}]}, [("messages.0.content", "user", "content", 0, "a")]),
        ({"messages": "a"}, [("messages", "user", "content", 0, "a")]),
        ({"input": "a", "instruction": "b"}, [
            ("input", "user", "content", 0, "a"), ("instruction", "system", "instructions", 0, "b"),
        ]),
        ({"query": "a"}, [("query", "user", "content", 0, "a")]),
        ({"input": [1, 2]}, []),
        ({"input": [[1, 2], [3]]}, []),
        ({"input": None, "model": "m", "user": "u", "encoding_format": "float"}, []),
        ({}, []),
    ],
)  # fmt: skip
@OF_INPUT
def test_every_place_in_an_input(layout: Any, body: dict[str, Any], texts: list[Found]) -> None:
    assert request_texts(layout, body) == texts


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"query": "a", "documents": ["b", "c"]}, [
            ("query", "user", "content", 0, "a"),
            ("documents.0", "user", "content", 0, "b"),
            ("documents.1", "user", "content", 1, "c"),
        ]),
        ({"documents": [{"text": "a", "id": "i"}, {"text": "b"}]}, [
            ("documents.0.text", "user", "content", 0, "a"), ("documents.1.text", "user", "content", 1, "b"),
        ]),
        ({"documents": [{"headline": "a", "meta": {"tags": ["b"]}}], "rank_fields": ["headline"]}, [
            ("documents.0.headline", "user", "content", 0, "a"), ("documents.0.meta.tags.0", "user", "content", 0, "b"),
        ]),
        ({"documents": [{"image": "iVBO"}, {"type": "image_url", "image_url": {"url": "https://x"}}]}, []),
        ({"documents": {"content": [{"type": "text", "text": "a"}]}}, [
            ("documents.content.0.text", "user", "content", 0, "a"),
        ]),
        ({"documents": "a"}, [("documents", "user", "content", 0, "a")]),
        ({"documents": [["a"], 5, None]}, [("documents.0.0", "user", "content", 0, "a")]),
        ({"query": {"text": "a"}}, [("query.text", "user", "content", 0, "a")]),
        ({"query": {"content": [{"text": "a"}]}}, [("query.content.0.text", "user", "content", 0, "a")]),
        ({"input": "a"}, [("input", "user", "content", 0, "a")]),
        ({"model": "m", "top_n": 3, "user": "u", "query": None, "documents": None}, []),
    ],
)  # fmt: skip
def test_every_place_in_a_rerank_request(body: dict[str, Any], texts: list[Found]) -> None:
    assert request_texts(RERANK, body) == texts


@pytest.mark.parametrize(
    ("reply", "texts"),
    [
        ({"results": [{"index": 4, "relevance_score": 0.5, "document": {"text": "a"}}, {"index": 1}]}, [
            ("results.0.document.text", "assistant", "content", 0, "a"),
        ]),
        ({"results": [{"document": "a"}, {"document": "b"}]}, [
            ("results.0.document", "assistant", "content", 0, "a"),
            ("results.1.document", "assistant", "content", 1, "b"),
        ]),
        ({"data": [{"document": "a"}]}, [("data.0.document", "assistant", "content", 0, "a")]),
        ({"results": [{"document": None}, 7], "data": "x"}, []),
    ],
)  # fmt: skip
def test_documents_that_a_reranker_repeats_are_texts(reply: dict[str, Any], texts: list[Found]) -> None:
    assert found(ChatResponse.of(msgspec.json.encode(reply), RERANK).texts()) == texts


@OF_INPUT
def test_a_reply_of_numbers_has_no_texts(layout: Any) -> None:
    reply = ChatResponse({"data": [{"embedding": "AAAA", "text": "x"}], "results": [{"document": "x"}]}, layout=layout)
    assert ([*reply.texts()], reply.tool_calls, reply.finish_reasons) == ([], [], [])


@pytest.mark.parametrize(
    ("reply", "usage"),
    [
        ({"usage": {"prompt_tokens": 8, "total_tokens": 8}}, EIGHT),
        ({"usage": {"total_tokens": 8}}, EIGHT),
        ({"usage": {"input_tokens": 8}}, EIGHT),
        ({"usage": {}}, Usage()),
        ({"meta": {"tokens": {"input_tokens": 8}, "billed_units": {"search_units": 1}}}, EIGHT),
        ({"meta": {"billed_units": {"total_tokens": 8}}}, EIGHT),
        ({"usage": {"search_units": 1}, "meta": {"tokens": {"input_tokens": 8}}}, EIGHT),
        ({"meta": {"billed_units": {"search_units": 1}}}, None),
        ({"meta": {"tokens": {"input_tokens": "8"}}}, None),
        ({"usage": 8, "meta": []}, None),
        ({}, None),
    ],
    ids=str,
)  # fmt: skip
@ALL
def test_tokens_are_found_by_every_name(layout: Any, reply: dict[str, Any], usage: Usage | None) -> None:
    response = ChatResponse.of(msgspec.json.encode({**reply, "data": [{"embedding": [0.5, 1]}]}), layout)
    assert response.summary == (usage, [])
    assert (response.usage, response.finish_reasons) == (usage, [])


@pytest.mark.parametrize("data", [b"[]", b"{", b'{"data":[1e999],"usage":1}', b"\xff"])
@ALL
def test_a_reply_that_is_no_json_object_is_refused(layout: Any, data: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        layout.summary(data)
    assert caught.value.code == "invalid_json"


@ALL
def test_nothing_can_be_instructed_offered_or_answered(layout: Any) -> None:
    request = ChatRequest({"input": "x", "query": "y"}, layout=layout)
    for behavior in ("override", "prepend", "append", "default"):
        request.instruct("p", behavior)
    request.messages.append({"role": "user"})
    request.tools.append({"type": "function", "function": {"name": "f"}})
    request.answer_calls(ChatResponse({"results": []}, layout=layout), {"a": ToolResult(content="z")})
    request.tools = [{"type": "function"}]
    assert request.to_dict() == {"input": "x", "query": "y"}


@pytest.mark.parametrize("name", ["temperature", "max_tokens", "max_completion_tokens", "stop", "seed", "tool_choice"])
@ALL
def test_parameters_of_writing_are_left_out(layout: Any, name: str) -> None:
    assert layout.own_param(name) is None


@pytest.mark.parametrize("name", ["dimensions", "encoding_format", "top_n", "user", "any_extension"])
@ALL
def test_other_parameters_pass(layout: Any, name: str) -> None:
    assert layout.own_param(name) == name


def test_what_is_scored_is_no_parameter() -> None:
    body = {"model": "m", "input": "x", "query": "y", "documents": [], "top_n": 3}
    assert ChatRequest(body, layout=EMBEDDINGS).params == {"query": "y", "documents": [], "top_n": 3}
    assert ChatRequest(body, layout=RERANK).params == {"input": "x", "top_n": 3}


@ALL
def test_errors_and_events_are_chats(layout: Any) -> None:
    error = NotFound("m", param="model")
    assert layout.error_body(error, "r") == error.envelope()
    assert layout.error_frame(error, layout.tally()) == b"data: " + msgspec.json.encode(error.envelope()) + b"\n\n"
    event = StreamEvent(b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n', layout)
    assert [text.value for text in event.texts()] == ["a"]
    assert event.finish_reasons == []


json_values = st.recursive(
    st.none() | st.integers(-9, 9) | st.sampled_from(["x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "type", "content", "text", "any", "document", "image"]), inner)
    ),
    max_leaves=12,
)
KEYS = ["input", "query", "documents", "messages", "prompt", "results", "data", "usage", "meta"]


@given(st.dictionaries(st.sampled_from(KEYS), json_values))
@ALL
def test_no_shape_raises_and_every_text_can_be_replaced(layout: Any, body: dict[str, Any]) -> None:
    data = msgspec.json.encode(body)
    for lens in (ChatRequest.of(data, layout), ChatResponse.of(data, layout)):
        before = lens.encode()
        fields = set()
        for text in lens.texts():
            text.replace(f"<{text.value}>")
            assert text.field not in fields
            fields.add(text.field)
        assert [text.value[:1] for text in lens.texts()] == ["<"] * len(fields)
        assert (lens.encode() != before) == bool(fields)
