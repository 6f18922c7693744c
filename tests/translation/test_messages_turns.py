"""The conversation of a Messages request: what a chat handler gets for it, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.translation import Losses
from chatproxy.translation.messages.over_chat import MessagesOverChat

IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Leer"}}
CHAT_CALL = {
    "id": "toolu_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city":"Leer"}'},
}


def said(*turns: tuple[str, Any], hub: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """Chat messages for (role, content) pairs, and the fields on record."""
    losses = Losses()
    messages = [{"role": role, "content": content} for role, content in turns]
    made = MessagesOverChat(losses, hub=hub).request({"model": "m", "max_tokens": 9, "messages": messages})
    return made["messages"], [f"{loss.field} {loss.action}" for loss in losses.kept]


def result(content: Any = "sunny", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **more}


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


@pytest.mark.parametrize(
    ("turns", "wanted"),
    [
        pytest.param([("user", "Hi")], [{"role": "user", "content": "Hi"}], id="string"),
        pytest.param([("user", [text("Hi")])], [{"role": "user", "content": "Hi"}], id="one text block"),
        pytest.param(
            [("user", [text("Hi"), text("there")])],
            [{"role": "user", "content": [text("Hi"), text("there")]}],
            id="texts of a user stay apart",
        ),
        pytest.param(
            [("user", [IMAGE, text("What is it?")])],
            [{"role": "user", "content": [IMAGE_PART, text("What is it?")]}],
            id="image and text",
        ),
        pytest.param(
            [("user", "a"), ("user", "b")],
            [{"role": "user", "content": [text("a"), text("b")]}],
            id="two user messages are one turn",
        ),
        pytest.param(
            [("user", "a"), ("system", "Be brief."), ("user", "b")],
            [
                {"role": "user", "content": "a"},
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "b"},
            ],
            id="system between users",
        ),
        pytest.param(
            [("user", "a"), ("system", [text("x"), text("y")]), ("user", "b")],
            [
                {"role": "user", "content": "a"},
                {"role": "system", "content": "x\n\ny"},
                {"role": "user", "content": "b"},
            ],
            id="system of two blocks",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [text("b"), text("c")]), ("user", "d")],
            [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "bc"},
                {"role": "user", "content": "d"},
            ],
            id="texts of an assistant side by side are one",
        ),
        pytest.param(
            [("user", "a"), ("assistant", "b"), ("assistant", [CALL]), ("user", [result()])],
            [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b", "tool_calls": [CHAT_CALL]},
                {"role": "tool", "tool_call_id": "toolu_1", "content": "sunny"},
            ],
            id="two assistant messages are one turn",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [CALL]), ("user", [result([text("sun"), text("ny")]), text("And now?")])],
            [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
                {"role": "tool", "tool_call_id": "toolu_1", "content": "sun\nny"},
                {"role": "user", "content": "And now?"},
            ],
            id="result, then what the user says",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [CALL]), ("user", [{"type": "tool_result", "tool_use_id": "toolu_1"}])],
            [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
                {"role": "tool", "tool_call_id": "toolu_1", "content": ""},
            ],
            id="result without content",
        ),
        pytest.param(
            [("user", "a"), ("assistant", []), ("user", "b")],
            [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}, {"role": "user", "content": "b"}],
            id="assistant that said nothing",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [{"type": "thinking", "thinking": "Hm.", "signature": ""}, text("b")])] * 2
            + [("user", "c")],
            [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b", "reasoning_content": "Hm."},
            ]
            * 2
            + [{"role": "user", "content": "c"}],
            id="reasoning",
        ),
    ],
)
def test_turns_become_chat_messages_without_loss(turns: list[tuple[str, Any]], wanted: list[dict[str, Any]]) -> None:
    assert said(*turns) == (wanted, [])


def test_images_and_documents_of_a_result_follow_in_the_user_message() -> None:
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}}
    chat, lost = said(
        ("user", "a"),
        ("assistant", [CALL]),
        ("user", [result([text("map"), IMAGE, pdf]), text("Well?")]),
    )

    assert chat[2:] == [
        {"role": "tool", "tool_call_id": "toolu_1", "content": "map"},
        {
            "role": "user",
            "content": [
                IMAGE_PART,
                {
                    "type": "file",
                    "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
                },
                text("Well?"),
            ],
        },
    ]
    assert lost == [
        "messages[2].content[0].content[1] changed",
        "messages[2].content[0].content[2] changed",
    ]


def test_a_result_of_an_image_alone_says_where_it_is() -> None:
    chat, _ = said(("user", "a"), ("assistant", [CALL]), ("user", [result([IMAGE])]))

    assert chat[2:] == [
        {"role": "tool", "tool_call_id": "toolu_1", "content": "(The result is in the user message that follows.)"},
        {"role": "user", "content": [IMAGE_PART]},
    ]


def test_results_come_before_what_was_said_first() -> None:
    chat, lost = said(("user", "a"), ("assistant", [CALL]), ("user", [text("Here:"), result()]))

    assert [message["role"] for message in chat] == ["user", "assistant", "tool", "user"]
    assert lost == ["messages[2].content[1] changed"]


def test_text_after_calls_keeps_its_words_and_is_on_record() -> None:
    chat, lost = said(("user", "a"), ("assistant", [text("One."), CALL, text("Two.")]), ("user", [result()]))

    assert chat[1] == {"role": "assistant", "content": "One.\n\nTwo.", "tool_calls": [CHAT_CALL]}
    assert lost == ["messages[1].content[2] changed"]


def test_a_last_assistant_turn_is_carried_and_on_record() -> None:
    chat, lost = said(("user", "a"), ("assistant", "The answer is ("))

    assert chat[-1] == {"role": "assistant", "content": "The answer is ("}
    assert lost == ["messages[1] changed"]


@pytest.mark.parametrize(
    ("block", "lost"),
    [
        pytest.param(
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            ["messages[1].content[0] dropped"],
            id="server tool",
        ),
        pytest.param(
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            ["messages[1].content[0] dropped"],
            id="search result of a server tool",
        ),
        pytest.param(
            {"type": "redacted_thinking", "data": "x"}, ["messages[1].content[0] dropped"], id="encrypted reasoning"
        ),
        pytest.param(
            {"type": "thinking", "thinking": "", "signature": "x"},
            ["messages[1].content[0] dropped"],
            id="reasoning that is hidden",
        ),
    ],
)
def test_what_chat_has_no_place_for_is_dropped_on_record(block: dict[str, Any], lost: list[str]) -> None:
    chat, found = said(("user", "a"), ("assistant", [block, text("b")]), ("user", "c"))

    assert chat[1] == {"role": "assistant", "content": "b"}
    assert found == lost


def test_marks_on_many_blocks_are_one_loss_each() -> None:
    marked = {**text("x"), "cache_control": {"type": "ephemeral"}}
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "abc"}

    _, lost = said(
        ("user", [marked, marked]), ("assistant", [thought, text("b")]), ("user", [marked]),
        ("assistant", [thought, {**CALL, "cache_control": {"type": "ephemeral"}}]),
        ("user", [result(is_error=True), {**text("y"), "cache_control": None}]),
    )  # fmt: skip

    assert lost == [
        "messages[0].content[0].cache_control dropped",
        "messages[1].content[0].signature dropped",
        "messages[4].content[0].is_error dropped",
    ]


def test_unknown_keys_of_messages_and_blocks_are_on_record() -> None:
    losses = Losses()
    message = {"role": "user", "content": [{**text("a"), "mood": "sad"}], "clear_at": "next_user_message"}
    MessagesOverChat(losses).request({"max_tokens": 1, "messages": [message]})

    assert [loss.field for loss in losses.kept] == ["messages[0].clear_at", "messages[0].content[0].mood"]


def test_on_the_way_to_another_surface_reasoning_keeps_its_signatures() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "abc"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "thinking", "thinking": "", "signature": "def"},
    ]
    chat, lost = said(("user", "a"), ("assistant", [*blocks, CALL]), ("user", [result()]), hub=True)

    assert chat[1] == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Hm.",
        "thinking_blocks": blocks,
        "tool_calls": [CHAT_CALL],
    }
    assert lost == []


@pytest.mark.parametrize(
    ("messages", "param", "code"),
    [
        pytest.param(None, "messages", "missing_required_parameter", id="no messages"),
        pytest.param("Hi", "messages", "invalid_type", id="messages as text"),
        pytest.param([], "messages", "empty_array", id="empty"),
        pytest.param(["Hi"], "messages[0]", "invalid_type", id="message as text"),
        pytest.param([{"content": "a"}], "messages[0].role", "missing_required_parameter", id="no role"),
        pytest.param([{"role": "developer", "content": "a"}], "messages[0].role", "invalid_value", id="unknown role"),
        pytest.param([{"role": 1, "content": "a"}], "messages[0].role", "invalid_type", id="role as number"),
        pytest.param([{"role": "user"}], "messages[0].content", "missing_required_parameter", id="no content"),
        pytest.param([{"role": "user", "content": 1}], "messages[0].content", "invalid_type", id="content as number"),
        pytest.param([{"role": "user", "content": []}], "messages[0].content", "empty_array", id="no blocks"),
        pytest.param([{"role": "user", "content": ["a"]}], "messages[0].content[0]", "invalid_type", id="bare string"),
        pytest.param(
            [{"role": "user", "content": [{"text": "a"}]}],
            "messages[0].content[0].type",
            "missing_required_parameter",
            id="block without type",
        ),
        pytest.param(
            [{"role": "user", "content": [{"type": "text", "text": 1}]}],
            "messages[0].content[0].text",
            "invalid_type",
            id="text as number",
        ),
        pytest.param(
            [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}],
            "messages[0].content[0].type",
            "invalid_value",
            id="block of another surface",
        ),
        pytest.param(
            [{"role": "user", "content": [CALL]}], "messages[0].content[0].type", "invalid_value", id="call of a user"
        ),
        pytest.param(
            [{"role": "assistant", "content": [IMAGE]}],
            "messages[0].content[0].type",
            "invalid_value",
            id="image of an assistant",
        ),
        pytest.param(
            [{"role": "system", "content": [IMAGE]}],
            "messages[0].content[0].type",
            "invalid_value",
            id="image of the system",
        ),
        pytest.param(
            [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}],
            "messages[0].content[0].type",
            "unsupported_content",
            id="file in a container",
        ),
        pytest.param(
            [{"role": "assistant", "content": [{"type": "compaction", "content": "s"}]}],
            "messages[0].content[0].type",
            "unsupported_content",
            id="compacted turns",
        ),
        pytest.param(
            [{"role": "user", "content": [result()]}],
            "messages[0].content[0].tool_use_id",
            "invalid_value",
            id="orphan result",
        ),
        pytest.param(
            [{"role": "user", "content": [result()]}, {"role": "assistant", "content": [CALL]}],
            "messages[0].content[0].tool_use_id",
            "invalid_value",
            id="result before its call",
        ),
        pytest.param(
            [{"role": "assistant", "content": [CALL]}, {"role": "user", "content": [result([CALL])]}],
            "messages[1].content[0].content[0].type",
            "invalid_value",
            id="call in a result",
        ),
        pytest.param(
            [{"role": "assistant", "content": [CALL]}, {"role": "user", "content": [result({})]}],
            "messages[1].content[0].content",
            "invalid_type",
            id="result as object",
        ),
        pytest.param(
            [{"role": "assistant", "content": [{**CALL, "input": "{}"}]}],
            "messages[0].content[0].input",
            "invalid_type",
            id="input as text",
        ),
        pytest.param(
            [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f"}]}],
            "messages[0].content[0].input",
            "missing_required_parameter",
            id="call without input",
        ),
        pytest.param(
            [{"role": "assistant", "content": [{"type": "thinking", "thinking": ["a"]}]}],
            "messages[0].content[0].thinking",
            "invalid_type",
            id="reasoning as list",
        ),
    ],
)
def test_wrong_shapes_are_refused_by_name(messages: Any, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        MessagesOverChat(Losses()).request({"max_tokens": 1, "messages": messages})

    assert (caught.value.param, caught.value.code) == (param, code)
    assert param in caught.value.message
