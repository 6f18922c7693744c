"""Legacy completions over chat completions."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.errors import InvalidRequest, UpstreamError
from chatproxy.translation import Losses
from chatproxy.translation.completions import CompletionsOverChat

USAGE = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}


def begun(losses: Losses | None = None, **fields: Any) -> CompletionsOverChat:
    translation = CompletionsOverChat(losses or Losses())
    translation.request({"model": "m", "prompt": "Say", **fields})
    return translation


def completion(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    made = [{"index": i, "finish_reason": "stop", "logprobs": None, **choice} for i, choice in enumerate(choices)]
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m", "choices": made, **fields}


def chunk(delta: dict[str, Any], finish_reason: str | None = None, *, index: int = 0, **fields: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
    return {**completion(), "object": "chat.completion.chunk", "choices": [choice], **fields}


def token(text: str, logprob: float, *others: tuple[str, float]) -> dict[str, Any]:
    tops = [{"token": other, "logprob": value, "bytes": None} for other, value in others]
    return {"token": text, "logprob": logprob, "bytes": None, "top_logprobs": tops}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        pytest.param({"prompt": "Hi"}, {}, id="prompt"),
        pytest.param({"prompt": ["Hi"]}, {}, id="list of one prompt"),
        pytest.param(
            {"suffix": None, "best_of": None, "echo": None, "logprobs": None, "messages": None}, {}, id="null is absent"
        ),
        pytest.param({"suffix": "", "best_of": 1, "echo": True}, {}, id="of no effect on the handler"),
        pytest.param({"logprobs": 3}, {"logprobs": True, "top_logprobs": 3}, id="log probabilities"),
        pytest.param({"logprobs": 0}, {"logprobs": True, "top_logprobs": 0}, id="of the taken tokens alone"),
        *[
            pytest.param({name: value}, {name: value}, id=name)
            for name, value in {
                "max_tokens": 5,
                "temperature": 0.5,
                "top_p": 0.5,
                "n": 2,
                "stop": ["a"],
                "seed": 3,
                "user": "u",
                "logit_bias": {"5": 1},
                "presence_penalty": 1,
                "frequency_penalty": 1,
                "stream": True,
                "stream_options": {"include_usage": True},
                "vendor": {"a": None},
            }.items()
        ],
    ],
)
def test_a_request_is_carried_without_loss(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    losses = Losses()
    body = {"model": "m", "prompt": "Hi", **fields}
    before = copy.deepcopy(body)

    made = CompletionsOverChat(losses).request(body)

    assert made == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **wanted}
    assert (body, losses.kept) == (before, [])


def test_messages_beside_the_prompt_are_on_record() -> None:
    losses = Losses()
    made = CompletionsOverChat(losses).request({"prompt": "Hi", "messages": [{"role": "user", "content": "x"}]})

    assert made == {"messages": [{"role": "user", "content": "Hi"}]}
    assert [loss.field for loss in losses.kept] == ["messages"]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        pytest.param({"prompt": None}, "prompt", "missing_required_parameter", id="no prompt"),
        pytest.param({"prompt": 1}, "prompt", "invalid_type", id="prompt as number"),
        pytest.param({"prompt": []}, "prompt", "empty_array", id="empty list"),
        pytest.param({"prompt": [None]}, "prompt[0]", "invalid_type", id="list of null"),
        pytest.param({"prompt": ["a", "b"]}, "prompt", "unsupported_parameter", id="two prompts"),
        pytest.param({"prompt": [1, 2]}, "prompt", "unsupported_content", id="tokens"),
        pytest.param({"prompt": [[1], [2]]}, "prompt", "unsupported_content", id="lists of tokens"),
        pytest.param({"suffix": "end"}, "suffix", "unsupported_parameter", id="suffix"),
        pytest.param({"best_of": 2}, "best_of", "unsupported_parameter", id="best_of"),
        pytest.param({"echo": "yes"}, "echo", "invalid_type", id="echo as text"),
        pytest.param({"echo": True, "logprobs": 1}, "echo", "unsupported_parameter", id="probabilities of the prompt"),
        pytest.param({"logprobs": True}, "logprobs", "invalid_type", id="chat's logprobs"),
    ],
)
def test_what_a_chat_model_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        begun(**fields)

    assert (caught.value.param, caught.value.code) == (param, code)
    assert f"'{param}'" in caught.value.message


def test_a_reply_is_a_text_completion() -> None:
    losses = Losses()
    made = begun(losses).reply(
        completion(
            {"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "length"},
            {"message": {"role": "assistant", "content": [{"type": "text", "text": "Ho"}]}, "finish_reason": None},
            usage=USAGE,
            system_fingerprint="fp",
        )
    )

    assert re.fullmatch(r"cmpl-[0-9a-f]{24}", made.pop("id"))
    assert made == {
        "object": "text_completion",
        "created": 7,
        "model": "m",
        "choices": [
            {"text": "Hi", "index": 0, "logprobs": None, "finish_reason": "length"},
            {"text": "Ho", "index": 1, "logprobs": None, "finish_reason": "stop"},
        ],
        "usage": USAGE,
        "system_fingerprint": "fp",
    }
    assert losses.kept == []


def test_an_own_id_stays() -> None:
    assert begun().reply(completion({"message": {"content": "a"}}, id="cmpl-1"))["id"] == "cmpl-1"


def test_echo_puts_the_prompt_before_every_choice() -> None:
    made = begun(echo=True).reply(completion({"message": {"content": " hi"}}, {"message": {"content": " ho"}}))
    assert [choice["text"] for choice in made["choices"]] == ["Say hi", "Say ho"]


def test_log_probabilities_take_the_legacy_form() -> None:
    content = [token("Hé", -0.1, ("Hé", -0.1), ("Ho", -2.0)), token("llo", -0.2)]
    made = begun(logprobs=2).reply(completion({"message": {"content": "Héllo"}, "logprobs": {"content": content}}))

    assert made["choices"][0]["logprobs"] == {
        "tokens": ["Hé", "llo"],
        "token_logprobs": [-0.1, -0.2],
        "top_logprobs": [{"Hé": -0.1, "Ho": -2.0}, {"llo": -0.2}],
        "text_offset": [0, 2],
    }


def test_log_probabilities_of_taken_tokens_alone_have_no_others() -> None:
    choice = {"message": {"content": "a"}, "logprobs": {"content": [token("a", -0.1)]}}
    made = begun(logprobs=0).reply(completion(choice))

    assert made["choices"][0]["logprobs"] == {
        "tokens": ["a"],
        "token_logprobs": [-0.1],
        "top_logprobs": None,
        "text_offset": [0],
    }


@pytest.mark.parametrize(
    ("message", "lost"),
    [
        pytest.param({"content": "a", "reasoning_content": "Hm."}, ["choices[0].text"], id="reasoning"),
        pytest.param({"content": "a", "reasoning": "Hm."}, ["choices[0].text"], id="reasoning's other name"),
        pytest.param({"content": "a", "tool_calls": [{"id": "c"}]}, ["choices[0].text"], id="calls"),
        pytest.param({"content": None, "refusal": "a"}, [], id="refusal"),
    ],
)
def test_only_text_is_carried_and_the_rest_on_record(message: dict[str, Any], lost: list[str]) -> None:
    losses = Losses()
    buffered = begun(losses).reply(completion({"message": message, "finish_reason": "tool_calls"}))
    streamed = begun(losses).event(chunk(message, "tool_calls"))

    wanted = [{"text": "a", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert buffered["choices"] == streamed[0]["choices"] == wanted
    assert [loss.field for loss in losses.kept] == lost


@pytest.mark.parametrize(
    "choices",
    [None, "a", {}, [], [None], [{"index": 0}]],
    ids=["null", "text", "object", "none", "nulls", "no message"],
)
def test_a_reply_without_choices_is_the_upstreams_error(choices: Any) -> None:
    with pytest.raises(UpstreamError) as caught:
        begun().reply(completion(choices=choices))
    assert (caught.value.status, caught.value.code) == (502, "upstream_invalid_response")


def test_a_stream_has_an_event_for_each_chunk_that_says_something() -> None:
    translation = begun()
    made = [
        translation.event(data)
        for data in (
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": "He"}),
            chunk({"content": "llo"}, usage=None),
            chunk({"reasoning_content": "Hm."}),
            chunk({}, "length"),
            chunk({}, choices=[], usage=USAGE),
            {"choices": None},
        )
    ]

    identity = made[1][0]["id"]
    head = {"id": identity, "object": "text_completion", "created": 7, "model": "m"}

    def said(text: str, finish_reason: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}]}

    assert re.fullmatch(r"cmpl-[0-9a-f]{24}", identity)
    assert made == [
        [],
        [said("He")],
        [{**said("llo"), "usage": None}],
        [],
        [said("", "length")],
        [{**head, "choices": [], "usage": USAGE}],
        [],
    ]
    assert translation.finish() == []


def test_echo_is_the_first_event_of_every_choice() -> None:
    translation = begun(echo=True, n=2)
    events = [
        event
        for data in (
            chunk({"role": "assistant"}),
            chunk({"content": " ho"}, index=1),
            chunk({"content": " hi"}),
            chunk({}, "stop"),
        )
        for event in translation.event(data)
    ]

    assert [(event["choices"][0]["index"], event["choices"][0]["text"]) for event in events] == [
        (0, "Say"),
        (1, "Say ho"),
        (0, " hi"),
        (0, ""),
    ]


def test_offsets_of_tokens_go_on_over_a_stream() -> None:
    translation = begun(logprobs=0)

    def offset(text: str) -> list[int]:
        choice = {"index": 0, "delta": {"content": text}, "logprobs": {"content": [token(text, -0.1)]}}
        (event,) = translation.event(chunk({}, choices=[choice]))
        found: list[int] = event["choices"][0]["logprobs"]["text_offset"]
        return found

    assert [offset("He"), offset("llo"), offset("!")] == [[0], [2], [5]]
    translation.event(chunk({"content": "four"}))
    assert offset(".") == [10]


@given(st.lists(st.text(max_size=6), max_size=6), st.booleans())
def test_a_stream_says_what_the_reply_says(parts: list[str], echo: bool) -> None:
    whole = begun(echo=echo).reply(completion({"message": {"content": "".join(parts)}}))["choices"][0]["text"]
    translation = begun(echo=echo)
    chunks = [*[chunk({"content": part}) for part in parts], chunk({}, "stop")]
    events = [event for data in chunks for event in translation.event(data)]

    assert "".join(event["choices"][0]["text"] for event in events) == whole


@pytest.mark.parametrize(
    ("chat_name", "client_name"),
    [
        ("messages", "prompt"),
        ("messages[0].content", "prompt"),
        ("top_logprobs", "logprobs"),
        ("max_completion_tokens", "max_tokens"),
        ("temperature", "temperature"),
    ],
)
def test_a_field_the_handler_names_is_named_in_the_clients_words(chat_name: str, client_name: str) -> None:
    assert begun().param(chat_name) == client_name
