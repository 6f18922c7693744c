"""Parts of messages: what each form of a surface becomes, and that no text of any is lost."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from chatproxy_otel.content.parts import decoded, parts_of

from chatproxy import ChatRequest

from .captured import asked, layout, leaves, said

PNG = base64.b64encode(b"canary-bytes" * 100).decode()
SIZE = 1_200


def blob(modality: str, mime_type: str | None = None) -> dict[str, Any]:
    mime = {} if mime_type is None else {"mime_type": mime_type}
    return {"type": "blob", "modality": modality, **mime, "content": "", "size_bytes": SIZE}


def uri(modality: str, address: str) -> dict[str, Any]:
    return {"type": "uri", "modality": modality, "uri": address}


MEDIA = {
    "chat image": ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                   blob("image", "image/png")),
    "chat link": (
        {"type": "image_url", "image_url": {"url": "https://me:pw@pics.example/cat.png?sig=canary#x"}},
        uri("image", "https://***@pics.example/cat.png?***"),
    ),
    "chat audio": ({"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}}, blob("audio", "audio/wav")),
    "chat file": ({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}", "filename": "a.pdf"}},
                  blob("document", "application/pdf")),
    "chat file id": ({"type": "file", "file": {"file_id": "file-1"}},
                     {"type": "file", "modality": "document", "file_id": "file-1"}),
    "responses image": ({"type": "input_image", "image_url": f"data:image/gif;base64,{PNG}"},
                        blob("image", "image/gif")),
    "responses file": ({"type": "input_file", "file_url": "https://files.example/a.pdf"},
                       uri("document", "https://files.example/a.pdf")),
    "messages image": ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                       blob("image", "image/png")),
    "messages link": ({"type": "image", "source": {"type": "url", "url": "gs://bucket/cat.png"}},
                      uri("image", "gs://bucket/cat.png")),
    "messages document": ({"type": "document", "source": {"media_type": "application/pdf", "data": PNG}},
                          blob("document", "application/pdf")),
    "video": ({"type": "video_url", "video_url": {"url": "https://v.example/a.mp4"}}, uri("video", "https://v.example/a.mp4")),
    "nothing": ({"type": "image_url", "image_url": {}}, {"type": "blob", "modality": "image", "content": ""}),
}  # fmt: skip


@pytest.mark.parametrize(("part", "shown"), MEDIA.values(), ids=MEDIA)
def test_media_are_shown_by_kind_and_size_or_place(part: dict[str, Any], shown: dict[str, Any]) -> None:
    found = asked({"messages": [{"role": "user", "content": [part]}]})["input_messages"]
    assert found == [{"role": "user", "parts": [shown]}]


def test_encoded_data_inside_a_text_is_not_shown() -> None:
    (message,) = asked({"messages": [{"role": "user", "content": f"![cat](data:image/png;base64,{PNG})"}]})[
        "input_messages"
    ]
    assert message["parts"][0]["content"] == f"![cat](data:image/png;base64,({len(PNG)} characters of data))"


CHAT = {
    "messages": [
        {"role": "developer", "content": "t1", "name": "boss"},
        {"role": "user", "content": [{"type": "text", "text": "t2"}, {"type": "text", "text": "t3"}]},
        {
            "role": "assistant", "content": "t4", "reasoning_content": "t5", "reasoning": "t5", "refusal": "t6",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":"t7"}'}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "t8"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "t9"}]},
        {"role": "assistant", "content": None, "function_call": {"name": "h", "arguments": "t10 {"}},
        {"role": "function", "name": "h", "content": "t11"},
        {"role": "assistant", "audio": {"id": "a"}, "content": [{"type": "refusal", "refusal": "t12"}]},
    ],
}  # fmt: skip
RESPONSES = {
    "instructions": "t0",
    "input": [
        {"role": "user", "content": "t1"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "t2"}]},
        {
            "type": "reasoning",
            "id": "r",
            "summary": [{"type": "summary_text", "text": "t3"}],
            "encrypted_content": "no",
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":"t4"}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "t5"},
        {"type": "function_call_output", "call_id": "c1", "output": "t6"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "t7"}]},
        {"type": "local_shell_call", "call_id": "c3", "action": {"type": "exec", "command": ["t8"]}},
        {"type": "local_shell_call_output", "call_id": "c3", "output": "t9"},
        {"type": "web_search_call", "id": "w", "status": "completed", "action": {"type": "search", "query": "t10"}},
        {"type": "mcp_call", "id": "m", "name": "n", "server_label": "s", "arguments": '{"b":"t11"}', "output": "t12"},
        {"type": "code_interpreter_call", "id": "i", "code": "t13", "outputs": [{"type": "logs", "logs": "t14"}]},
    ],
    "prompt": {"id": "p", "variables": {"city": "t15", "part": {"type": "input_text", "text": "t16"}}},
}
MESSAGES = {
    "system": [{"type": "text", "text": "t0"}],
    "messages": [
        {"role": "user", "content": "t1"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t2", "signature": "no"},
                {"type": "redacted_thinking", "data": "no"},
                {"type": "text", "text": "t3"},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": ["t4"]}},
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "t5"}},
                {
                    "type": "web_search_tool_result", "tool_use_id": "s1",
                    "content": [{"type": "web_search_result", "title": "t6", "url": "u", "encrypted_content": "no"}],
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "t7"}]},
                {"type": "document", "title": "t8", "source": {"type": "text", "data": "t9"}},
                {"type": "search_result", "title": "t10", "source": "s", "content": [{"type": "text", "text": "t11"}]},
            ],
        },
    ],
}  # fmt: skip
WHOLE = {
    "chat": CHAT,
    "responses": RESPONSES,
    "messages": MESSAGES,
    "completions": {"prompt": ["t1", "t2"], "suffix": "t3"},
    "embeddings": {"input": ["t1", "t2"]},
    "moderations": {"input": [{"type": "text", "text": "t1"}]},
    "rerank": {"query": "t1", "documents": ["t2", {"text": "t3"}]},
}


@pytest.mark.parametrize("surface", WHOLE)
def test_every_text_that_a_model_sees_is_shown(surface: str) -> None:
    request = ChatRequest(WHOLE[surface], layout=layout(surface))
    texts = {text.value for text in request.texts()}
    shown = " ".join(leaves(asked(WHOLE[surface], surface)))
    words = [word for text in texts for word in leaves(decoded(text))]
    assert len(words) >= 1
    assert [word for word in words if word not in shown] == []
    assert "no" not in shown.split()


def test_a_conversation_of_chat() -> None:
    assert asked(CHAT)["input_messages"] == [
        {"role": "developer", "name": "boss", "parts": [{"type": "text", "content": "t1"}]},
        {"role": "user", "parts": [{"type": "text", "content": "t2"}, {"type": "text", "content": "t3"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "t5"},
                {"type": "text", "content": "t4"},
                {"type": "text", "content": "t6"},
                {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": "t7"}},
                {"type": "tool_call", "id": "c2", "name": "g", "arguments": "t8"},
            ],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "c1", "response": [{"type": "text", "content": "t9"}]}],
        },
        {"role": "assistant", "parts": [{"type": "tool_call", "id": None, "name": "h", "arguments": "t10 {"}]},
        {
            "role": "tool", "name": "h",
            "parts": [{"type": "tool_call_response", "id": None, "response": "t11"}],
        },
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "t12"}, {"type": "blob", "modality": "audio", "content": ""}],
        },
    ]  # fmt: skip


def test_calls_that_a_model_made_at_once_are_one_turn() -> None:
    items = [{"type": "function_call", "call_id": str(n), "name": "f", "arguments": "{}"} for n in range(2)]
    (message,) = asked({"input": items}, "responses")["input_messages"]
    assert message == {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": str(n), "name": "f", "arguments": {}} for n in range(2)],
    }


def test_what_a_provider_ran_itself_is_shown_as_such() -> None:
    (call,) = parts_of([RESPONSES["input"][9]])
    assert call == {
        "type": "server_tool_call", "id": "w", "name": "web_search",
        "server_tool_call": {
            "type": "web_search", "status": "completed", "action": {"type": "search", "query": "t10"},
        },
    }  # fmt: skip


def test_tokens_are_shown_by_their_number() -> None:
    found = asked({"prompt": [1, 2, 3]}, "completions")["input_messages"]
    assert found == [{"role": "user", "parts": [{"type": "text", "content": "(3 tokens)"}]}]


FINISHED = {
    "chat": ({"choices": [{"message": {"content": "a"}, "finish_reason": "tool_calls"}]}, "tool_call"),
    "chat null": ({"choices": [{"message": {"content": "a"}, "finish_reason": None}]}, "error"),
    "completions": ({"choices": [{"text": "a", "finish_reason": "length"}]}, "length"),
    "messages": ({"content": [{"type": "text", "text": "a"}], "stop_reason": "max_tokens"}, "length"),
    "messages end": ({"content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"}, "stop"),
    "responses": ({"status": "completed", "output": [_ := {"type": "message", "content": "a"}]}, "stop"),
    "responses cut": (
        {"status": "incomplete", "output": [_], "incomplete_details": {"reason": "max_output_tokens"}},
        "length",
    ),
    "responses failed": ({"status": "failed", "output": [_]}, "error"),
}


@pytest.mark.parametrize("case", FINISHED)
def test_finish_reasons_are_in_the_words_of_the_conventions(case: str) -> None:
    body, reason = FINISHED[case]
    text = {"type": "text", "content": "a"}
    assert said(body, case.split(maxsplit=1)[0]) == [{"role": "assistant", "parts": [text], "finish_reason": reason}]


@pytest.mark.parametrize("surface", ["chat", "responses", "messages", "completions", "embeddings", "rerank"])
@pytest.mark.parametrize(
    "body",
    [{}, {"messages": None}, {"messages": 3}, {"messages": [3, None, [], "x", {"role": 4, "content": {"a": 1}}]},
     {"input": [[1], {"type": 3}, {"type": "reasoning", "summary": 4}]}, {"prompt": {"variables": []}}, {"prompt": []},
     {"tools": [3, {}, {"type": 4, "function": 5}], "functions": "x"}, {"system": 4, "instructions": {"a": 1}},
     {"messages": [{"role": "assistant", "tool_calls": [3, {"function": 4}, {}], "audio": 4, "thinking_blocks": [4]}]}],
    ids=range(10),
)  # fmt: skip
def test_odd_shapes_are_shown_without_a_fault(surface: str, body: dict[str, Any]) -> None:
    assert isinstance(asked(body, surface), dict)
    assert isinstance(said({**body, "choices": body.get("messages"), "content": body.get("input")}, surface), list)


def test_no_field_of_a_reply_that_no_model_wrote_is_shown() -> None:
    assert said({"object": "list", "data": [{"embedding": [0.1]}]}, "embeddings") == []
