"""Content parts of a Responses request become those of chat."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.translation.base import Losses
from chatproxy.translation.responses.over_chat import ResponsesOverChat

Json = dict[str, Any]
PNG = "data:image/png;base64," + base64.b64encode(b"picture").decode()
TEN_MB = base64.b64encode(bytes(10_000_000)).decode()
TEN_MB_AND_ONE = base64.b64encode(bytes(10_000_001)).decode()


def content(*parts: Any, role: str = "user") -> tuple[Any, list[tuple[str, str]]]:
    losses = Losses()
    made = ResponsesOverChat(losses).request({"model": "m", "input": [{"role": role, "content": list(parts)}]})
    return made["messages"][0]["content"], [(loss.field, loss.action) for loss in losses.kept]


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        pytest.param(
            {"type": "input_image", "image_url": "https://example.com/a.png"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            id="image-url",
        ),
        pytest.param(
            {"type": "input_image", "image_url": PNG, "detail": "high", "file_id": None},
            {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
            id="image-data",
        ),
        pytest.param(
            {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}},
            id="file",
        ),
        pytest.param(
            {"type": "input_file", "file_data": "JVBERg=="},
            {"type": "file", "file": {"file_data": "JVBERg=="}},
            id="file-without-uri",
        ),
        pytest.param(
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            id="audio",
        ),
        pytest.param(
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            id="text-with-a-mark",
        ),
    ],
)
def test_part_is_carried(part: Json, wanted: Json) -> None:
    assert content(part) == ([wanted], [])


def test_one_text_is_a_string_and_two_are_parts() -> None:
    assert content({"type": "input_text", "text": "a"})[0] == "a"
    assert content({"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"})[0] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]


def test_detail_of_a_file_is_dropped_and_on_record() -> None:
    made, lost = content({"type": "input_file", "file_data": "JVBERg==", "detail": "high"})
    assert (made, lost) == (
        [{"type": "file", "file": {"file_data": "JVBERg=="}}],
        [("input[0].content[0].detail", "dropped")],
    )


def test_image_of_ten_million_bytes_passes_and_one_more_does_not() -> None:
    content({"type": "input_image", "image_url": "data:image/png;base64," + TEN_MB})
    with pytest.raises(InvalidRequest, match="at most 10000000 bytes") as caught:
        content({"type": "input_image", "image_url": "data:image/png;base64," + TEN_MB_AND_ONE})
    assert caught.value.param == "input[0].content[0].image_url"


@pytest.mark.parametrize(
    ("part", "at", "code"),
    [
        pytest.param("a", "", "invalid_type", id="text-as-part"),
        pytest.param({"text": "a"}, ".type", "missing_required_parameter", id="no-type"),
        pytest.param({"type": ["input_text"]}, ".type", "invalid_type", id="type-list"),
        pytest.param({"type": "text", "text": "a"}, ".type", "invalid_value", id="chat-part"),
        pytest.param({"type": "output_text", "text": "a"}, ".type", "invalid_value", id="part-of-a-model"),
        pytest.param({"type": "input_text"}, ".text", "missing_required_parameter", id="no-text"),
        pytest.param({"type": "input_text", "text": 1}, ".text", "invalid_type", id="text-number"),
        pytest.param({"type": "input_image"}, ".image_url", "missing_required_parameter", id="no-image"),
        pytest.param({"type": "input_image", "image_url": {"url": "u"}}, ".image_url", "invalid_type", id="chat-image"),
        pytest.param({"type": "input_image", "file_id": "file-1"}, ".file_id", "unsupported_content", id="image-id"),
        pytest.param(
            {"type": "input_image", "image_url": "data:image/png;base64,n o t"},
            ".image_url",
            "invalid_value",
            id="image-no-base64",
        ),
        pytest.param(
            {"type": "input_image", "image_url": "data:image/png;base64,é"}, ".image_url", "invalid_value", id="accent"
        ),
        pytest.param(
            {"type": "input_image", "image_url": "data:image/png;base64,"}, ".image_url", "invalid_value", id="no-data"
        ),
        pytest.param(
            {"type": "input_image", "image_url": "data:image/svg+xml,<svg/>"}, ".image_url", "invalid_value", id="plain"
        ),
        pytest.param({"type": "input_file", "file_id": "file-1"}, ".file_id", "unsupported_content", id="file-id"),
        pytest.param({"type": "input_file", "file_url": "u"}, ".file_url", "unsupported_content", id="file-url"),
        pytest.param({"type": "input_file"}, ".file_data", "missing_required_parameter", id="no-file"),
        pytest.param({"type": "input_file", "file_data": "%PDF"}, ".file_data", "invalid_value", id="file-no-base64"),
        pytest.param({"type": "input_audio"}, ".input_audio", "missing_required_parameter", id="no-audio"),
        pytest.param(
            {"type": "input_audio", "input_audio": {"data": "UklGRg=="}},
            ".input_audio.format",
            "missing_required_parameter",
            id="audio-no-format",
        ),
        pytest.param(
            {"type": "input_audio", "input_audio": {"data": "RIFF!", "format": "wav"}},
            ".input_audio.data",
            "invalid_value",
            id="audio-no-base64",
        ),
    ],
)
def test_wrong_part_is_refused_by_name(part: Any, at: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        content({"type": "input_text", "text": "a"}, part)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, f"input[0].content[1]{at}")


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_hold_text_only(role: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        content({"type": "input_image", "image_url": PNG}, role=role)
    assert (caught.value.code, caught.value.param) == ("unsupported_content", "input[0].content[0]")


@pytest.mark.parametrize(
    ("part", "at", "code"),
    [
        pytest.param({"type": "input_text", "text": "a"}, ".type", "invalid_value", id="input-text"),
        pytest.param({"type": "refusal"}, ".refusal", "missing_required_parameter", id="no-refusal"),
        pytest.param(5, "", "invalid_type", id="number"),
    ],
)
def test_wrong_part_of_an_answer_is_refused_by_name(part: Any, at: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        content(part, role="assistant")
    assert (caught.value.code, caught.value.param) == (code, f"input[0].content[0]{at}")
