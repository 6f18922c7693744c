"""Texts of Anthropic messages: every place a model would read from or has written to, in any shape."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.types import ChatRequest, ChatResponse, StreamEvent
from chatproxy.types.messages import MESSAGES

Found = tuple[str, str, str, int, str]


def found(texts: Any) -> list[Found]:
    return [(text.field, text.role, text.kind, text.index, text.value) for text in texts]


def request_texts(**body: Any) -> list[Found]:
    return found(ChatRequest.of(msgspec.json.encode(body), MESSAGES).texts())


def block_texts(block: Any, role: str = "user") -> list[tuple[str, str, str, str]]:
    """(field below the block, role, kind, value) of a second message's only block."""
    texts = request_texts(messages=[{"role": "user", "content": None}, {"role": role, "content": [block]}])
    assert all(index == 1 for _, _, _, index, _ in texts)
    return [(field.removeprefix("messages.1.content.0."), who, kind, text) for field, who, kind, _, text in texts]


@pytest.mark.parametrize(
    ("role", "seen", "kind"),
    [
        ("user", "user", "content"),
        ("assistant", "assistant", "content"),
        ("system", "system", "instructions"),
        ("developer", "developer", "instructions"),
        ("tool", "tool", "tool_result"),
        ("critic", "critic", "content"),
        (None, "user", "content"),
        (["system"], "user", "content"),
    ],
)
def test_role_decides_the_kind_of_content(role: Any, seen: str, kind: str) -> None:
    for content, field in (("x", "content"), ([{"type": "text", "text": "x"}], "content.0.text"), (["x"], "content.0")):
        texts = request_texts(messages=[{"role": role, "content": content}])
        assert texts == [(f"messages.0.{field}", seen, kind, 0, "x")]


DOCUMENT = {"type": "document", "title": "a", "context": "b", "citations": {"enabled": True}}


@pytest.mark.parametrize(
    ("block", "texts"),
    [
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, [("text", "content", "a")]),
        (
            {"type": "text", "text": "a", "citations": [
                {"type": "char_location", "cited_text": "b", "document_title": "c", "file_id": "f"},
                {"type": "search_result_location", "cited_text": "d", "title": "e", "source": "https://x"},
                {"type": "web_search_result_location", "url": "https://x", "encrypted_index": "E"},
            ]},
            [
                ("text", "content", "a"),
                ("citations.0.cited_text", "content", "b"),
                ("citations.0.document_title", "content", "c"),
                ("citations.1.cited_text", "content", "d"),
                ("citations.1.title", "content", "e"),
            ],
        ),
        ({"type": "thinking", "thinking": "a", "signature": "s"}, [("thinking", "reasoning", "a")]),
        ({"type": "redacted_thinking", "data": "x"}, []),
        (
            {"type": "tool_use", "id": "t", "name": "f", "input": {"k": ["a", {"any": "b"}], "n": 1}},
            [("input.k.0", "tool_arguments", "a"), ("input.k.1.any", "tool_arguments", "b")],
        ),
        ({"type": "tool_use", "input": "a"}, [("input", "tool_arguments", "a")]),
        ({"type": "server_tool_use", "name": "f", "input": {"query": "a"}}, [("input.query", "tool_arguments", "a")]),
        ({"type": "mcp_tool_use", "server_name": "s", "input": {"q": "a"}}, [("input.q", "tool_arguments", "a")]),
        (
            {**DOCUMENT, "source": {"type": "text", "media_type": "text/plain", "data": "c"}},
            [("title", "content", "a"), ("context", "content", "b"), ("source.data", "content", "c")],
        ),
        ({"type": "document", "source": {"media_type": "text/plain", "data": "a"}}, [("source.data", "content", "a")]),
        ({"type": "document", "source": {"type": "content", "content": "a"}}, [("source.content", "content", "a")]),
        (
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}},
            [("source.content.0.text", "content", "a")],
        ),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}, []),
        ({"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": "JVBE"}}, []),
        ({"type": "document", "source": {"type": "url", "url": "https://x/y"}}, []),
        ({"type": "document", "source": {"type": "file", "file_id": "f"}}, []),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}, []),
        ({"type": "image", "source": {"media_type": "image/png", "data": "iVBO"}}, []),
        ({"type": "image", "source": "https://x/y"}, []),
        ({"type": "image_url", "image_url": {"url": "https://x/y"}}, []),
        (
            {"type": "search_result", "source": "a", "title": "b", "content": [{"type": "text", "text": "c"}]},
            [("source", "content", "a"), ("title", "content", "b"), ("content.0.text", "content", "c")],
        ),
        ({"type": "compaction", "content": "a", "encrypted_content": "x"}, [("content", "content", "a")]),
        ({"type": "container_upload", "file_id": "f"}, []),
        ({"type": "tool_addition", "tool": "f"}, []),
        ({"type": "brand_new", "content": {"tool": "f"}}, []),
        ({"type": "brand_new", "text": "a"}, [("text", "content", "a")]),
        ({"type": "brand_new", "content": [["a"]]}, [("content.0.0", "content", "a")]),
        ({"type": ["text"], "text": {"value": "a"}}, [("text.value", "content", "a")]),
        ({"type": "refusal", "refusal": "a"}, [("refusal", "refusal", "a")]),
    ],
)  # fmt: skip
def test_every_place_in_a_block(block: dict[str, Any], texts: list[tuple[str, str, str]]) -> None:
    assert block_texts(block, "assistant") == [(field, "assistant", kind, text) for field, kind, text in texts]


@pytest.mark.parametrize(
    ("block", "texts"),
    [
        ({"type": "tool_result", "tool_use_id": "t", "content": "a"}, [("content", "a")]),
        ({"type": "tool_result", "content": [{"type": "text", "text": "a"}, "b"]}, [
            ("content.0.text", "a"), ("content.1", "b"),
        ]),
        ({"tool_use_id": "t", "content": {"text": "a"}}, [("content.text", "a")]),
        ({"type": "tool_result", "content": [{"type": "search_result", "source": "a", "content": [{"text": "b"}]}]}, [
            ("content.0.source", "a"), ("content.0.content.0.text", "b"),
        ]),
        ({"type": "tool_result", "content": [{"type": "document", "source": {"type": "text", "data": "a"}}]}, [
            ("content.0.source.data", "a"),
        ]),
        ({"type": "tool_result", "content": [{"type": "browser_state", "tabs": [{"title": "a", "url": "https://x"}],
          "state_changes": [{"type": "download_failed", "error": "b"}]}]}, [
            ("content.0.tabs.0.title", "a"), ("content.0.state_changes.0.error", "b"),
        ]),
        ({"type": "mcp_tool_result", "content": "a", "is_error": False}, [("content", "a")]),
        ({"type": "web_search_tool_result", "content": [{"title": "a", "encrypted_content": "x", "url": "u"}]}, [
            ("content.0.title", "a"),
        ]),
        ({"type": "web_search_tool_result", "content": {"type": "x", "error_code": "unavailable"}}, []),
        ({"type": "web_fetch_tool_result", "content": {"url": "u", "content": {"type": "document", "title": "a",
          "source": {"type": "text", "data": "b"}}}}, [
            ("content.content.title", "a"), ("content.content.source.data", "b"),
        ]),
        ({"type": "bash_code_execution_tool_result", "content": {"stdout": "a", "stderr": "b", "return_code": 0,
          "content": [{"file_id": "f"}]}}, [("content.stdout", "a"), ("content.stderr", "b")]),
        ({"type": "code_execution_tool_result", "content": {"encrypted_stdout": "x", "stderr": "a"}}, [
            ("content.stderr", "a"),
        ]),
        ({"type": "text_editor_code_execution_tool_result", "content": {"lines": ["a", "b"]}}, [
            ("content.lines.0", "a"), ("content.lines.1", "b"),
        ]),
        ({"type": "text_editor_code_execution_tool_result", "content": {"error_message": "a"}}, [
            ("content.error_message", "a"),
        ]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_what_a_tool_answered_is_the_tools_whoever_carries_it(
    block: dict[str, Any], texts: list[tuple[str, str]], role: str
) -> None:
    assert block_texts(block, role) == [(field, "tool", "tool_result", text) for field, text in texts]
    bare = request_texts(messages=[{"role": role, **block}])
    assert [(who, kind, text) for _, who, kind, _, text in bare] == [("tool", "tool_result", text) for _, text in texts]


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"system": "a"}, [("system", "system", "instructions", 0, "a")]),
        (
            {"system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, "b"]},
            [("system.0.text", "system", "instructions", 0, "a"), ("system.1", "system", "instructions", 0, "b")],
        ),
        (
            {"tools": [{"name": "f", "description": "a", "input_schema": {"type": "object", "properties": {
                "q": {"description": "b", "enum": ["c"], "pattern": "x"}}}}, {"type": "bash_20250124", "name": "x"}]},
            [
                ("tools.0.description", "developer", "instructions", 0, "a"),
                ("tools.0.input_schema.properties.q.description", "developer", "instructions", 0, "b"),
                ("tools.0.input_schema.properties.q.enum.0", "developer", "instructions", 0, "c"),
            ],
        ),
        (
            {"tools": [{"name": "f", "description": "a", "input_examples": [{"q": "b", "description": ["c"]}]}]},
            [
                ("tools.0.description", "developer", "instructions", 0, "a"),
                ("tools.0.input_examples.0.q", "developer", "instructions", 0, "b"),
                ("tools.0.input_examples.0.description.0", "developer", "instructions", 0, "c"),
            ],
        ),
        ({"tools": {"description": "a"}}, [("tools.description", "developer", "instructions", 0, "a")]),
        ({"tools": [[{"description": "a"}]]}, [("tools.0.0.description", "developer", "instructions", 0, "a")]),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"title": "a"}}}},
            [("output_config.format.schema.title", "developer", "instructions", 0, "a")],
        ),
        (
            {"context_management": {"edits": [{"type": "clear"}, {"type": "compact", "instructions": "a"}]}},
            [("context_management.edits.1.instructions", "system", "instructions", 0, "a")],
        ),
        (
            {"compaction": {"type": "summarize", "instructions": "a"}},
            [("compaction.instructions", "system", "instructions", 0, "a")],
        ),
        ({"prompt": "a"}, [("prompt", "user", "content", 0, "a")]),
        ({"input": [{"content": "a"}]}, [("input.0.content", "user", "content", 0, "a")]),
        ({"instructions": "a"}, [("instructions", "system", "instructions", 0, "a")]),
        ({"documents": [{"any": "a"}]}, [("documents.0.any", "user", "content", 0, "a")]),
        ({"messages": "a"}, [("messages", "user", "content", 0, "a")]),
        ({"messages": {"role": "system", "content": "a"}}, [("messages.content", "system", "instructions", 0, "a")]),
        ({"messages": [0, ["a"]]}, [("messages.1.0", "user", "content", 1, "a")]),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "a"}}]}]},
            [("messages.0.tool_calls.0.function.arguments", "assistant", "tool_arguments", 0, "a")],
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "mcp_tool_listing", "tools": [
                {"name": "f", "description": "a"}]}]}]},
            [("messages.0.content.0.tools.0.description", "developer", "instructions", 0, "a")],
        ),
        ({"system": 5, "tools": "x", "compaction": "x", "context_management": {"edits": "x"}, "messages": 7}, []),
        ({"model": "m", "stop_sequences": ["s"], "metadata": {"user_id": "u"}, "tool_choice": {"type": "any"}}, []),
    ],
)  # fmt: skip
def test_texts_around_and_without_blocks(body: dict[str, Any], texts: list[Found]) -> None:
    assert request_texts(**body) == texts


def test_messages_come_before_what_stands_around_them() -> None:
    texts = request_texts(system="b", messages=[{"role": "user", "content": "a"}], tools=[{"description": "c"}])
    assert [text for *_, text in texts] == ["a", "b", "c"]


def test_texts_of_a_reply_carry_the_index_of_their_block() -> None:
    reply = {
        "content": [
            {"type": "thinking", "thinking": "a", "signature": "s"},
            {"type": "text", "text": "b"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"q": "c"}},
            {"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"title": "d"}]},
        ],
        "stop_details": {"type": "refusal", "explanation": "e"},
    }
    assert found(ChatResponse.of(msgspec.json.encode(reply), MESSAGES).texts()) == [
        ("content.0.thinking", "assistant", "reasoning", 0, "a"),
        ("content.1.text", "assistant", "content", 1, "b"),
        ("content.2.input.q", "assistant", "tool_arguments", 2, "c"),
        ("content.3.content.0.title", "tool", "tool_result", 3, "d"),
        ("stop_details.explanation", "assistant", "refusal", 0, "e"),
    ]


@pytest.mark.parametrize("content", ["a", {"text": "a"}, ["a"]])
def test_a_reply_whose_content_is_no_list_of_blocks_is_read_too(content: Any) -> None:
    reply = ChatResponse.of(msgspec.json.encode({"content": content}), MESSAGES)
    assert [(text.kind, text.value) for text in reply.texts()] == [("content", "a")]


def test_deep_content_costs_no_stack() -> None:
    deep: Any = {"type": "text", "text": "x"}
    for _ in range(240):
        deep = {"type": "tool_result", "content": [deep]}
    assert [text for *_, text in block_texts(deep)] == ["x"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["x", "", "system", "text", "tool_result"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role", "type", "content", "text", "thinking", "input", "source", "data", "media_type", "citations",
                    "citation", "tool_use_id", "tools", "description", "input_examples", "instructions", "index",
                    "edits", "stop_details", "explanation", "partial_json",
                ]
            ),
            inner,
        )
    ),
    max_leaves=12,
)  # fmt: skip
KEYS = [
    "messages", "system", "tools", "prompt", "documents", "compaction", "context_management", "output_config",
    "content", "delta", "content_block", "message", "index", "stop_reason", "stop_details", "usage",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), json_values))
def test_no_shape_raises_and_every_text_can_be_replaced(body: dict[str, Any]) -> None:
    data = msgspec.json.encode(body)
    event = StreamEvent(b"data: " + data + b"\n\n", MESSAGES)
    for lens in (ChatRequest.of(data, MESSAGES), ChatResponse.of(data, MESSAGES), event):
        before = lens.encode()
        fields = set()
        for text in lens.texts():
            assert isinstance(text.value, str)
            text.replace(f"<{text.value}>")
            assert text.field not in fields
            fields.add(text.field)
        assert [text.value[:1] for text in lens.texts()] == ["<"] * len(fields)
        assert (lens.encode() != before) == bool(fields)
        assert MESSAGES.usage(body) is None or isinstance(body.get("usage"), dict) or "message" in body
        assert all(isinstance(reason, str) for reason in MESSAGES.finish_reasons(body))
