"""The layouts of the surfaces that pass through: where a client's texts are, and that nothing else is touched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.config.checks import SURFACES
from chatproxy.errors import NotFound
from chatproxy.types.layouts import LAYOUTS
from chatproxy.types.passthrough import PASSTHROUGH
from chatproxy.types.reply import ChatResponse
from chatproxy.types.request import ChatRequest

AUDIO = PASSTHROUGH["audio"]
EACH = pytest.mark.parametrize("layout", PASSTHROUGH.values(), ids=PASSTHROUGH)


def test_every_surface_of_the_configuration_has_one_layout() -> None:
    assert not PASSTHROUGH.keys() & LAYOUTS.keys()
    assert PASSTHROUGH.keys() <= set(SURFACES)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"model": "tts-1", "voice": "alloy", "input": "a", "instructions": "b"}, ["instructions", "input"]),
        ({"prompt": "a", "negative_prompt": "b", "size": "1x1"}, ["prompt", "negative_prompt"]),
        ({"prompt": ["a", "b"]}, ["prompt.0", "prompt.1"]),
        ({"input_file_id": "file-1", "endpoint": "/v1/responses", "metadata": {"a": "b"}}, []),
        ({"prompt": 1, "input": None}, []),
    ],
    ids=["speech", "image", "list", "batch", "no texts"],
)
def test_texts_are_what_is_to_be_spoken_or_drawn(body: dict[str, Any], fields: list[str]) -> None:
    assert [text.field for text in ChatRequest(body, layout=AUDIO).texts()] == fields


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "content", "x"]), inner),
    max_leaves=10,
)


@given(body=st.dictionaries(st.sampled_from(["prompt", "input", "instructions", "negative_prompt", "x"]), JSON))
def test_every_text_of_any_shape_can_be_replaced(body: dict[str, Any]) -> None:
    request = ChatRequest(body, layout=AUDIO)
    for text in list(request.texts()):
        text.replace("new")
    assert {text.value for text in request.texts()} <= {"new"}


@EACH
def test_reply_and_conversation_are_nobodys(layout: Any) -> None:
    reply = ChatResponse.of(b'{"choices": [{"message": {"content": "x"}}], "usage": {}}', layout)
    assert (list(reply.texts()), reply.usage, reply.finish_reasons, reply.tool_calls) == ([], None, [], [])
    request = ChatRequest({"prompt": "a"}, layout=layout)
    request.instruct("Be kind.")
    request.messages.append({"role": "user", "content": "x"})
    request.tools.append({"type": "function"})
    request.answer_calls(reply, {})
    assert request.to_dict() == {"prompt": "a"}


@EACH
def test_parameters_of_a_chat_are_left_out(layout: Any) -> None:
    assert [layout.own_param(name) for name in ("max_tokens", "top_p", "stop")] == [None, None, None]
    assert [layout.own_param(name) for name in ("size", "voice", "n", "seed")] == ["size", "voice", "n", "seed"]


def test_temperature_is_for_transcriptions() -> None:
    assert AUDIO.own_param("temperature") == "temperature"
    assert PASSTHROUGH["images"].own_param("temperature") is None


@EACH
def test_errors_have_openais_envelope(layout: Any) -> None:
    error = NotFound("No.")
    assert layout.error_body(error, "req_1") == error.envelope()
    assert layout.error_frame(error, layout.tally()).startswith(b'data: {"error":{"message":"No."')
