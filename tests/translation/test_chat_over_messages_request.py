"""What a Messages handler gets for a chat client's request."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from chatproxy.translation.base import Losses
from chatproxy.translation.chat.messages import ChatOverMessages

Json = dict[str, Any]
Lost = list[tuple[str, str]]
HI = [{"role": "user", "content": "hi"}]
PDF = "JVBERi0xLjQ="
PNG = "iVBORw0KGgo="


def sent(**body: Any) -> tuple[Json, Lost]:
    """The handler's request, and the fields that were lost, changed or added."""
    losses = Losses()
    request = {"model": "m", "messages": HI, "max_completion_tokens": 9, **body}
    before = copy.deepcopy(request)
    made = ChatOverMessages(losses).request(request)
    assert request == before
    return made, [(loss.field, loss.action) for loss in losses.kept]


def turns(*messages: Json) -> tuple[list[Json], Lost]:
    made, lost = sent(messages=list(messages))
    return made["messages"], lost


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def test_smallest_request_gets_the_limit_that_messages_wants() -> None:
    made, lost = sent(max_completion_tokens=None)
    assert made == {"model": "m", "messages": [user(text("hi"))], "max_tokens": 4096}
    assert lost == [("max_completion_tokens", "added")]
    assert (
        sent(max_completion_tokens=None, thinking={"type": "enabled", "budget_tokens": 8000})[0]["max_tokens"] == 12096
    )


@pytest.mark.parametrize(
    ("given", "expected", "lost"),
    [
        ({"max_tokens": 7, "max_completion_tokens": 9}, {"max_tokens": 9}, []),
        ({"stop": "x"}, {"stop_sequences": ["x"]}, []),
        ({"stop": ["x", "\n", ""]}, {"stop_sequences": ["x"]}, [("stop[1]", "dropped"), ("stop[2]", "dropped")]),
        ({"stop": "\n"}, {}, [("stop[0]", "dropped")]),
        ({"temperature": 0.5, "top_p": 0.5, "top_k": 4}, {"temperature": 0.5, "top_p": 0.5, "top_k": 4}, []),
        ({"temperature": 1.5}, {"temperature": 1}, [("temperature", "changed")]),
        ({"temperature": None, "top_p": None, "stream": None, "user": None}, {}, []),
        ({"user": "u"}, {"metadata": {"user_id": "u"}}, []),
        ({"safety_identifier": "s"}, {"metadata": {"user_id": "s"}}, []),
        ({"safety_identifier": "s", "user": "u"}, {"metadata": {"user_id": "u"}}, [("safety_identifier", "dropped")]),
        ({"metadata": {"user_id": "i", "k": "v"}}, {"metadata": {"user_id": "i"}}, [("metadata.k", "dropped")]),
        ({"service_tier": "auto"}, {"service_tier": "auto"}, []),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}, []),
        ({"service_tier": "priority"}, {"service_tier": "auto"}, [("service_tier", "changed")]),
        ({"service_tier": "flex"}, {}, [("service_tier", "dropped")]),
        ({"response_format": {"type": "text"}}, {}, []),
        ({"response_format": {"type": "json_object"}}, {}, [("response_format", "dropped")]),
        ({"response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "description": "d", "strict": True, "schema": {"type": "object"}}}},
         {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
         [("response_format.json_schema.description", "dropped")]),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}, []),
        ({"stream_options": {"odd": 1}}, {}, [("stream_options.odd", "dropped")]),
        ({"store": True, "n": 1}, {}, [("store", "changed")]),
        ({"my_extension": [1], "another": None}, {"my_extension": [1], "another": None}, []),
        ({"frequency_penalty": 0, "logit_bias": {}, "logprobs": False, "parallel_tool_calls": True}, {}, []),
    ],
)  # fmt: skip
def test_parameter_is_carried_or_on_record(given: Json, expected: Json, lost: Lost) -> None:
    made, found = sent(**given)
    base = {"model": "m", "messages": [user(text("hi"))], "max_tokens": 9}
    assert (made, found) == ({**base, **expected}, lost)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", 0),
        ("logit_bias", {"1": 1}),
        ("presence_penalty", 1),
        ("frequency_penalty", 1),
        ("prediction", {"type": "content", "content": "x"}),
        ("logprobs", True),
        ("top_logprobs", 2),
        ("verbosity", "low"),
        ("prompt_cache_key", "k"),
        ("prompt_cache_retention", "24h"),
        ("web_search_options", {}),
        ("moderation", {"model": "x"}),
    ],
)
def test_parameter_that_messages_lacks_is_on_record(field: str, value: Any) -> None:
    assert sent(**{field: value}) == (sent()[0], [(field, "dropped")])


ADAPTIVE = {"thinking": {"type": "adaptive"}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"reasoning_effort": "high"}, {"output_config": {"effort": "high"}, **ADAPTIVE}),
        ({"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}, **ADAPTIVE}),
        ({"reasoning_effort": "low", "temperature": 1},
         {"output_config": {"effort": "low"}, "temperature": 1, **ADAPTIVE}),
        ({"reasoning_effort": "low", "temperature": 0.2}, {"output_config": {"effort": "low"}, "temperature": 0.2}),
        ({"output_config": {"task_budget": 1, "effort": "max"}, "reasoning_effort": "low"},
         {"output_config": {"task_budget": 1, "effort": "low"}, **ADAPTIVE}),
        ({"reasoning_effort": "low", "output_config": {"task_budget": 1, "effort": "max"}},
         {"output_config": {"task_budget": 1, "effort": "low"}, **ADAPTIVE}),
        ({"reasoning_effort": "low", "thinking": {"type": "between_tools"}},
         {"output_config": {"effort": "low"}, "thinking": {"type": "between_tools"}}),
        ({"output_config": {"effort": "max"}}, {"output_config": {"effort": "max"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "none", **ADAPTIVE}, ADAPTIVE),
    ],
)  # fmt: skip
def test_effort_lets_the_model_think_where_nothing_forbids_it(given: Json, expected: Json) -> None:
    made, _ = sent(**given)
    assert {key: value for key, value in made.items() if key not in ("model", "messages", "max_tokens")} == expected


TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}


def test_forced_tool_is_not_sent_beside_thinking() -> None:
    made, lost = sent(tools=[TOOL], tool_choice="required", reasoning_effort="low")
    assert "thinking" not in made
    assert lost == [("reasoning_effort", "changed")]


def test_tools_are_carried() -> None:
    tools = [
        TOOL,
        {"type": "function", "function": {"name": "g", "strict": True}, "cache_control": {"type": "ephemeral"}},
        {"type": "function", "function": {"name": "h", "strict": False, "parameters": {"properties": {}}}},
        {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}},
    ]
    made, lost = sent(tools=tools)
    free = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
    assert made["tools"] == [
        {"name": "f", "description": "d", "input_schema": {"type": "object"}},
        {"name": "g", "strict": True, "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}},
        {"name": "h", "input_schema": {"type": "object", "properties": {}}},
        {"name": "c", "input_schema": free},
    ]
    assert lost == [("tools[3].custom", "changed"), ("tools[3].custom.format", "dropped")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"type": "tool", "name": "f"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": False, "tool_choice": "required"}, {"type": "any", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}),
        ({"parallel_tool_calls": True}, None),
        ({"tools": None, "tool_choice": "auto", "parallel_tool_calls": False}, None),
        ({"tools": [], "tool_choice": "required"}, {"type": "any"}),
    ],
)
def test_tool_choice_is_carried(given: Json, expected: Json | None) -> None:
    assert sent(**{"tools": [TOOL], **given})[0].get("tool_choice") == expected


def test_only_allowed_tools_are_sent() -> None:
    other = {"type": "function", "function": {"name": "g"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}
    made, lost = sent(tools=[other, TOOL], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool["name"] for tool in made["tools"]] == ["f"]
    assert made["tool_choice"] == {"type": "any"}
    assert lost == [("tool_choice.allowed_tools", "changed")]


@pytest.mark.parametrize(
    ("messages", "system", "lost"),
    [
        ([{"role": "system", "content": "a"}], "a", []),
        ([{"role": "system", "content": " "}], None, []),
        ([{"role": "system", "content": "a"}, {"role": "system", "content": "b"}], [text("a"), text("b")], []),
        (
            [*HI, {"role": "developer", "content": [text("a")]}],
            "a",
            [("messages[1]", "changed")],
        ),
        (
            [{"role": "system", "content": "a", "cache_control": {"type": "ephemeral"}}],
            [{**text("a"), "cache_control": {"type": "ephemeral"}}],
            [],
        ),
    ],
    ids=["one", "blank", "two", "later", "marked"],
)
def test_instructions_become_the_system_prompt(messages: list[Json], system: Any, lost: Lost) -> None:
    made, found = sent(messages=[*messages, *HI])
    assert (made.get("system"), found) == (system, lost)
    assert {message["role"] for message in made["messages"]} == {"user"}


def test_instructions_follow_those_in_anthropics_own_field() -> None:
    messages = [{"role": "system", "content": "b"}, *HI]
    assert sent(messages=messages, system="a")[0]["system"] == [text("a"), text("b")]
    assert sent(messages=messages, system=[text("a")])[0]["system"] == [text("a"), text("b")]
    assert sent(system="a")[0]["system"] == "a"


def test_parts_become_blocks() -> None:
    txt = "data:text/plain;base64,w6R0"
    mark = {"type": "ephemeral"}
    made, lost = turns(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a", "cache_control": mark},
                {"type": "text", "text": "  "},
                {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}", "detail": "auto"}},
                {"type": "image_url", "image_url": {"url": "HTTPS://x.y/z", "detail": "low"}},
                {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}},
                {"type": "file", "file": {"file_data": PDF}},
                {"type": "file", "file": {"file_data": txt}},
                {"type": "file", "file": {"file_data": "w6R0", "filename": "A.TXT"}},
            ],
        }
    )
    plain = {"type": "text", "media_type": "text/plain", "data": "ät"}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    assert made == [
        user(
            {**text("a"), "cache_control": mark},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG}},
            {"type": "image", "source": {"type": "url", "url": "HTTPS://x.y/z"}},
            {"type": "document", "source": pdf, "title": "a.pdf"},
            {"type": "document", "source": pdf},
            {"type": "document", "source": plain},
            {"type": "document", "source": plain, "title": "A.TXT"},
        )
    ]
    assert lost == [("messages[0].content[3].image_url.detail", "dropped")]


def call(call_id: str, arguments: str = '{"a":1}') -> Json:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}


def used(call_id: str, given: Any) -> Json:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": given}


def test_turns_alternate_and_results_come_first() -> None:
    free = {"id": "c", "type": "custom", "custom": {"name": "e", "input": "ls"}}
    made, lost = turns(
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "", "tool_calls": [call("x"), call("y", " "), free]},
        {"role": "user", "content": "wait"},
        {"role": "tool", "tool_call_id": "x", "content": "1", "cache_control": {"type": "ephemeral"}},
        {"role": "tool", "tool_call_id": "y", "content": [{"type": "text", "text": "2"}]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
        {"role": "user", "content": "go"},
    )
    assert lost == []
    assert made == [
        user(text("a"), text("b")),
        {
            "role": "assistant",
            "content": [
                used("x", {"a": 1}),
                used("y", {}),
                {"type": "tool_use", "id": "c", "name": "e", "input": {"input": "ls"}},
            ],
        },
        user(
            {"type": "tool_result", "tool_use_id": "x", "content": "1", "cache_control": {"type": "ephemeral"}},
            {"type": "tool_result", "tool_use_id": "y", "content": [text("2")]},
            {"type": "tool_result", "tool_use_id": "c"},
            text("wait"),
            text("go"),
        ),
    ]


def test_results_of_a_later_turn_stand_in_that_turn() -> None:
    made, _ = turns(
        {"role": "assistant", "tool_calls": [call("x")]},
        {"role": "tool", "tool_call_id": "x", "content": "1"},
        {"role": "assistant", "tool_calls": [call("y")]},
        {"role": "user", "content": "now"},
        {"role": "tool", "tool_call_id": "y", "content": "2"},
    )
    assert [[block["type"] for block in turn["content"]] for turn in made] == [
        ["tool_use"],
        ["tool_result"],
        ["tool_use"],
        ["tool_result", "text"],
    ]


def test_empty_messages_are_left_out_on_record() -> None:
    made, lost = turns(
        {"role": "user", "content": "a"}, {"role": "assistant", "content": ""}, {"role": "user", "content": "b"}
    )
    assert made == [user(text("a"), text("b"))]
    assert lost == [("messages[1]", "dropped")]


def test_only_signed_reasoning_is_sent() -> None:
    signed = {"type": "thinking", "thinking": "hm", "signature": "s"}
    hidden = {"type": "redacted_thinking", "data": "d"}
    unsigned = {"type": "thinking", "thinking": "hm", "signature": None}
    made, lost = turns(
        {"role": "assistant", "content": "a", "thinking_blocks": [{**signed, "extra": 1}, hidden, unsigned]},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c", "reasoning_content": "hm"},
        {"role": "user", "content": "d"},
    )
    assert [turn["content"] for turn in made if turn["role"] == "assistant"] == [
        [signed, hidden, text("a")],
        [text("c")],
    ]
    assert lost == [("messages[0].thinking_blocks[2]", "dropped"), ("messages[2].reasoning_content", "dropped")]


def test_refusal_is_sent_as_text_and_the_last_word_goes_on() -> None:
    made, lost = turns(*HI, {"role": "assistant", "content": None, "refusal": "no"})
    assert made[-1] == {"role": "assistant", "content": [text("no")]}
    assert lost == [("messages[1].refusal", "changed"), ("messages[1]", "changed")]


def test_ids_that_messages_refuses_are_replaced_everywhere() -> None:
    made, lost = turns(
        {"role": "assistant", "tool_calls": [call("functions.f:0"), call("ok_-1"), call("functions.f:1")]},
        {"role": "tool", "tool_call_id": "functions.f:0", "content": "1"},
    )
    ids = [block["id"] for block in made[0]["content"]]
    assert ids[1] == "ok_-1"
    assert len(set(ids)) == 3
    assert all(one.replace("_", "").replace("-", "").isalnum() for one in ids)
    assert made[1]["content"][0]["tool_use_id"] == ids[0]
    assert lost == [("messages[0].tool_calls", "changed")]


@pytest.mark.parametrize(
    ("handlers", "clients"),
    [
        ("max_tokens", "max_tokens"),
        ("system", "messages"),
        ("messages.0.content", "messages"),
        ("stop_sequences", "stop"),
        ("output_config.format.schema", "response_format.json_schema.schema"),
        ("metadata.user_id", "safety_identifier"),
        ("thinking", "reasoning_effort"),
        ("temperature", "temperature"),
    ],
)
def test_error_names_the_clients_field(handlers: str, clients: str) -> None:
    translation = ChatOverMessages(Losses())
    body = {"model": "m", "messages": HI, "max_tokens": 5, "safety_identifier": "s", "reasoning_effort": "low"}
    translation.request(body)
    assert translation.param(handlers) == clients
