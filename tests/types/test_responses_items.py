"""Texts of items on Responses: every place a model would read from or has written to, in any shape."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatproxy.types import ChatRequest, ChatResponse
from chatproxy.types.responses import RESPONSES

Found = tuple[str, str, str, str]
CALL = "tool_arguments"
RESULT = "tool_result"


def item_texts(item: Any, key: str = "input") -> list[Found]:
    """(field below the item, role, kind, value) of the texts of a second item."""
    body = msgspec.json.encode({key: [{"type": "item_reference", "id": "x"}, item]})
    lens = ChatRequest.of(body, RESPONSES) if key == "input" else ChatResponse.of(body, RESPONSES)
    texts = list(lens.texts())
    assert all(text.index == 1 and text.is_whole for text in texts)
    return [(text.field.removeprefix(f"{key}.1").lstrip("."), text.role, text.kind, text.value) for text in texts]


@pytest.mark.parametrize(
    ("role", "seen", "kind"),
    [
        ("system", "system", "instructions"),
        ("developer", "developer", "instructions"),
        ("user", "user", "content"),
        ("assistant", "assistant", "content"),
        ("tool", "tool", "tool_result"),
        ("critic", "critic", "content"),
        (None, "user", "content"),
        (["system"], "user", "content"),
    ],
)
@pytest.mark.parametrize("head", [{}, {"type": "message"}, {"type": "brand_new"}, {"type": ["x"]}], ids=str)
def test_role_decides_the_kind_of_a_message(role: Any, seen: str, kind: str, head: dict[str, Any]) -> None:
    for content, field in (
        ("x", "content"),
        ([{"type": "input_text", "text": "x"}], "content.0.text"),
        (["x"], "content.0"),
        ({"text": "x"}, "content.text"),
    ):
        assert item_texts({**head, "role": role, "content": content}) == [(field, seen, kind, "x")]


def test_a_message_without_a_role_is_the_model_s_in_a_reply() -> None:
    assert item_texts({"type": "message", "content": "x"}, "output") == [("content", "assistant", "content", "x")]


ITEMS: list[tuple[str, dict[str, Any], list[Found]]] = [
    (
        "output_message",
        {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "url": "u", "title": "t"}]},
            {"type": "refusal", "refusal": "b"},
        ]},
        [("content.0.text", "assistant", "content", "a"), ("content.1.refusal", "assistant", "refusal", "b")],
    ),
    (
        "media",
        {"role": "user", "content": [
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
            {"type": "input_file", "file_data": "AA==", "filename": "f", "file_id": "i", "file_url": "u"},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        ]},
        [],
    ),
    (
        "reasoning",
        {"type": "reasoning", "id": "r", "encrypted_content": "e", "summary": [{"type": "summary_text", "text": "a"}],
         "content": [{"type": "reasoning_text", "text": "b"}]},
        [("summary.0.text", "assistant", "reasoning", "a"), ("content.0.text", "assistant", "reasoning", "b")],
    ),
    ("reasoning_null", {"type": "reasoning", "summary": [], "content": None, "encrypted_content": None}, []),
    (
        "function_call",
        {"type": "function_call", "id": "i", "call_id": "c", "name": "f", "arguments": '{"a":1}', "status": "done"},
        [("arguments", "assistant", CALL, '{"a":1}')],
    ),
    (
        "function_call_object",
        {"type": "function_call", "name": "f", "arguments": {"a": ["b", {"any": "c"}]}},
        [("arguments.a.0", "assistant", CALL, "b"), ("arguments.a.1.any", "assistant", CALL, "c")],
    ),
    (
        "function_call_as_message",
        {"type": "function_call", "role": "user", "content": "a", "arguments": "b"},
        [("content", "user", "content", "a"), ("arguments", "user", CALL, "b")],
    ),
    ("function_call_output", {"type": "function_call_output", "call_id": "c", "output": "a"},
     [("output", "tool", RESULT, "a")]),
    (
        "function_call_output_parts",
        {"type": "function_call_output", "output": [
            {"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "u"}, "b", ["c"],
        ]},
        [
            ("output.0.text", "tool", RESULT, "a"),
            ("output.2", "tool", RESULT, "b"),
            ("output.3.0", "tool", RESULT, "c"),
        ],
    ),
    (
        "function_call_output_json",
        {"type": "function_call_output", "role": "user", "output": {"any": {"key": "a"}}},
        [("output.any.key", "tool", RESULT, "a")],
    ),
    ("function_call_output_typed_json", {"type": "function_call_output", "output": {"type": ["x"], "data": "a"}},
     [("output.type.0", "tool", RESULT, "x"), ("output.data", "tool", RESULT, "a")]),
    ("custom_tool_call", {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "a"},
     [("input", "assistant", CALL, "a")]),
    ("custom_tool_call_output", {"type": "custom_tool_call_output", "output": "a"}, [("output", "tool", RESULT, "a")]),
    (
        "mcp_call",
        {"type": "mcp_call", "id": "i", "name": "f", "server_label": "s", "arguments": "a", "output": "b"},
        [("arguments", "assistant", CALL, "a"), ("output", "tool", RESULT, "b")],
    ),
    ("mcp_call_error_text", {"type": "mcp_call", "error": "a"}, [("error", "tool", RESULT, "a")]),
    (
        "mcp_call_error",
        {"type": "mcp_call", "error": {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "a"}]}},
        [("error.content.0.type", "tool", RESULT, "text"), ("error.content.0.text", "tool", RESULT, "a")],
    ),
    ("mcp_call_http_error", {"type": "mcp_call", "error": {"type": "http_error", "code": 500, "message": "a"}},
     [("error.message", "tool", RESULT, "a")]),
    (
        "mcp_list_tools",
        {"type": "mcp_list_tools", "server_label": "s", "tools": [
            {"name": "f", "description": "a", "input_schema": {"properties": {"q": {"description": "b"}}}},
        ]},
        [
            ("tools.0.description", "developer", "instructions", "a"),
            ("tools.0.input_schema.properties.q.description", "developer", "instructions", "b"),
        ],
    ),
    ("mcp_approval_request", {"type": "mcp_approval_request", "name": "f", "arguments": "a"},
     [("arguments", "assistant", CALL, "a")]),
    ("mcp_approval_response", {"type": "mcp_approval_response", "approve": False, "reason": "a"},
     [("reason", "user", "content", "a")]),
    (
        "web_search_call",
        {"type": "web_search_call", "id": "w", "status": "completed", "action": {
            "type": "search", "query": "a", "queries": ["b"], "sources": [{"type": "url", "url": "u"}],
        }},
        [("action.query", "assistant", CALL, "a"), ("action.queries.0", "assistant", CALL, "b")],
    ),
    ("find_in_page", {"type": "web_search_call", "action": {"type": "find_in_page", "pattern": "a", "url": "u"}},
     [("action.pattern", "assistant", CALL, "a")]),
    (
        "file_search_call",
        {"type": "file_search_call", "queries": ["a"], "results": [
            {"file_id": "f", "filename": "n", "text": "b", "attributes": {"k": "c", "n": 1}}, "d",
        ]},
        [
            ("queries.0", "assistant", CALL, "a"),
            ("results.0.text", "tool", RESULT, "b"),
            ("results.0.attributes.k", "tool", RESULT, "c"),
            ("results.1", "tool", RESULT, "d"),
        ],
    ),
    (
        "code_interpreter_call",
        {"type": "code_interpreter_call", "container_id": "c", "code": "a",
         "outputs": [{"type": "logs", "logs": "b"}, {"type": "image", "url": "u"}]},
        [("code", "assistant", CALL, "a"), ("outputs.0.logs", "tool", RESULT, "b")],
    ),
    (
        "computer_call",
        {"type": "computer_call", "action": {"type": "type", "text": "a"}, "pending_safety_checks": [{"id": "s"}]},
        [("action.text", "assistant", CALL, "a")],
    ),
    ("computer_actions", {"type": "computer_call", "actions": [{"type": "wait"}, {"type": "type", "text": "a"}]},
     [("actions.1.text", "assistant", CALL, "a")]),
    ("computer_call_output", {"type": "computer_call_output", "call_id": "c", "output": {
        "type": "computer_screenshot", "image_url": "data:image/png;base64,AA=="}}, []),
    (
        "local_shell_call",
        {"type": "local_shell_call", "action": {"type": "exec", "command": ["a", "b"], "env": {"K": "c"}}},
        [
            ("action.command.0", "assistant", CALL, "a"),
            ("action.command.1", "assistant", CALL, "b"),
            ("action.env.K", "assistant", CALL, "c"),
        ],
    ),
    ("local_shell_call_output", {"type": "local_shell_call_output", "output": "a"}, [("output", "tool", RESULT, "a")]),
    ("shell_call", {"type": "shell_call", "action": {"commands": ["a"], "timeout_ms": 1}},
     [("action.commands.0", "assistant", CALL, "a")]),
    (
        "shell_call_output",
        {"type": "shell_call_output", "output": [{"stdout": "a", "stderr": "b", "outcome": {"type": "exit"}}, "c"]},
        [
            ("output.0.stdout", "tool", RESULT, "a"),
            ("output.0.stderr", "tool", RESULT, "b"),
            ("output.1", "tool", RESULT, "c"),
        ],
    ),
    ("apply_patch_call", {"type": "apply_patch_call", "operation": {"type": "create_file", "path": "p", "diff": "a"}},
     [("operation.diff", "assistant", CALL, "a")]),
    ("apply_patch_call_output", {"type": "apply_patch_call_output", "output": "a"}, [("output", "tool", RESULT, "a")]),
    ("program", {"type": "program", "call_id": "c", "code": "a", "fingerprint": "f"},
     [("code", "assistant", CALL, "a")]),
    ("program_output", {"type": "program_output", "result": "a"}, [("result", "tool", RESULT, "a")]),
    (
        "image_generation_call",
        {"type": "image_generation_call", "result": "iVBORw0KGgo=", "revised_prompt": "a", "status": "completed"},
        [("revised_prompt", "assistant", CALL, "a")],
    ),
    ("tool_search_call", {"type": "tool_search_call", "arguments": {"paths": ["a"]}},
     [("arguments.paths.0", "assistant", CALL, "a")]),
    (
        "tool_search_output",
        {"type": "tool_search_output", "tools": [
            {"type": "namespace", "name": "n", "description": "a", "tools": [
                {"type": "custom", "format": {"type": "grammar", "syntax": "lark", "definition": "b"}},
            ]},
        ]},
        [
            ("tools.0.description", "developer", "instructions", "a"),
            ("tools.0.tools.0.format.definition", "developer", "instructions", "b"),
        ],
    ),
    ("additional_tools", {"type": "additional_tools", "role": "developer", "tools": [
        {"type": "mcp", "server_label": "l", "server_url": "u", "server_description": "a", "authorization": "k"}]},
     [("tools.0.server_description", "developer", "instructions", "a")]),
    (
        "configuration_update",
        {"type": "configuration_update", "reasoning": {"effort": "low"}, "text": {
            "format": {"type": "json_schema", "name": "n", "schema": {"description": "a"}}}},
        [("text.format.schema.description", "developer", "instructions", "a")],
    ),
    ("compaction", {"type": "compaction", "id": "c", "encrypted_content": "e"}, []),
    ("item_reference", {"type": "item_reference", "id": "i"}, []),
    ("unknown", {"type": "brand_new", "content": [{"type": "brand_new", "text": "a"}], "text": "b"},
     [("content.0.text", "user", "content", "a"), ("text", "user", "content", "b")]),
    ("chat_message", {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "a"}}]},
     [("tool_calls.0.function.arguments", "assistant", CALL, "a")]),
    ("nothing", {"content": 5, "arguments": True, "output": None, "action": "a", "results": 1, "queries": {}},
     [("action", "user", CALL, "a")]),
]  # fmt: skip


@pytest.mark.parametrize(("item", "texts"), [case[1:] for case in ITEMS], ids=[case[0] for case in ITEMS])
def test_every_place_in_an_item(item: dict[str, Any], texts: list[Found]) -> None:
    assert item_texts(item) == texts


@pytest.mark.parametrize(("item", "texts"), [case[1:] for case in ITEMS], ids=[case[0] for case in ITEMS])
def test_an_item_of_a_reply_has_the_same_texts_said_by_the_model(item: dict[str, Any], texts: list[Found]) -> None:
    said = [
        (field, "assistant" if role == "user" and "role" not in item else role, k, v) for field, role, k, v in texts
    ]
    assert item_texts(item, "output") == said


@pytest.mark.parametrize(
    ("item", "texts"),
    [
        ("x", [("", "user", "content", "x")]),
        (["x"], [("0", "user", "content", "x")]),
        ([{"role": "user", "content": "x"}], [("0.content", "user", "content", "x")]),
        (None, []),
        (5, []),
        ({}, []),
    ],
    ids=str,
)
def test_items_of_unusual_shape(item: Any, texts: list[Found]) -> None:
    assert item_texts(item) == texts
