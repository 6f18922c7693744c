"""What models get of a tool's answer: every kind of content, within the limit."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from chatproxy_mcp.calling.results import as_result, as_text
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

Content = str | list[dict[str, Any]]

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(16)).decode()
WAV = base64.b64encode(b"RIFF" + bytes(20)).decode()


def content(*blocks: ContentBlock, structured: Any = None, limit: int = 4096, takes_audio: bool = True) -> Content:
    answer = CallToolResult(content=list(blocks), structured_content=structured)
    return as_result(answer, limit, takes_audio=takes_audio).content


def text(value: str) -> TextContent:
    return TextContent(text=value)


def image(data: str = PNG, mime_type: str = "image/png") -> ImageContent:
    return ImageContent(data=data, mime_type=mime_type)


def shown(kind: str, data: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}


def said(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def blob(data: str, mime_type: str | None) -> EmbeddedResource:
    return EmbeddedResource(resource=BlobResourceContents(uri="file:///a", blob=data, mime_type=mime_type))


LINK = ResourceLink(name="a", uri="file:///a", mime_type="text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        pytest.param([], "(no output)", id="nothing"),
        pytest.param([text("")], "(no output)", id="empty text"),
        pytest.param([text(" \n")], "(no output)", id="blank text"),
        pytest.param([text(" a\n")], " a\n", id="one text"),
        pytest.param([text("a"), text("b")], "a\nb", id="two texts"),
        pytest.param([image()], [shown("image/png", PNG)], id="image"),
        pytest.param(
            [text("a"), text("b"), image(), text(""), image(JPEG, "IMAGE/JPEG; q=1"), text("c")],
            [said("a\nb"), shown("image/png", PNG), shown("image/jpeg", JPEG), said("c")],
            id="in order",
        ),
        pytest.param([image(JPEG, "image/png")], [shown("image/jpeg", JPEG)], id="image of another type"),
        pytest.param([image(f" {PNG[:9]}\n{PNG[9:]}\n")], [shown("image/png", PNG)], id="base64 in lines"),
        pytest.param([image("***")], "[image left out: image/png, 2 bytes, not valid base64]", id="no base64"),
        pytest.param([image("é" * 4)], "[image left out: image/png, 3 bytes, not valid base64]", id="no ASCII"),
        pytest.param([image("")], "[image left out: image/png, 0 bytes, not valid base64]", id="empty image"),
        pytest.param(
            [image("PHN2Zz4=", "image/svg+xml")],
            "[image left out: image/svg+xml, 5 bytes, no type that models take]",
            id="drawing",
        ),
        pytest.param(
            [AudioContent(data=WAV, mime_type="audio/wav")],
            [{"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}],
            id="sound",
        ),
        pytest.param(
            [AudioContent(data=WAV, mime_type="audio/ogg")],
            "[audio left out: audio/ogg, 24 bytes, no type that models take]",
            id="other sound",
        ),
        pytest.param([LINK], "[resource: a <file:///a> (text/plain)]", id="link"),
        pytest.param(
            [EmbeddedResource(resource=TextResourceContents(uri="file:///a", text="x\0y"))],
            "[resource: file:///a]\nxy",
            id="text resource",
        ),
        pytest.param([blob(PNG, "image/png")], [shown("image/png", PNG)], id="image resource"),
        pytest.param(
            [blob("AAAA", "application/pdf")], "[resource: file:///a, application/pdf, 3 bytes, not shown]", id="blob"
        ),
        pytest.param(
            [blob("AA==", None)], "[resource: file:///a, application/octet-stream, 1 bytes, not shown]", id="bytes"
        ),
    ],
)
def test_every_kind_of_content_has_its_form(blocks: list[ContentBlock], expected: Content) -> None:
    assert content(*blocks) == expected


def test_sound_is_a_note_where_the_surface_has_none() -> None:
    told = "[audio left out: audio/wav, 24 bytes, no type that models take]"
    assert content(AudioContent(data=WAV, mime_type="audio/wav"), takes_audio=False) == told


def test_error_of_a_tool_stays_one() -> None:
    answer = CallToolResult(content=[text("no")], is_error=True)
    assert as_result(answer, 4096, takes_audio=True).is_error


@pytest.mark.parametrize(
    ("texts", "structured", "expected"),
    [
        pytest.param([], {"a": 1}, '{"a":1}', id="alone"),
        pytest.param(['{ "a": 1 }'], {"a": 1}, '{ "a": 1 }', id="said as JSON"),
        pytest.param(["Here.", '{"a":1}'], {"a": 1}, 'Here.\n{"a":1}', id="one says it"),
        pytest.param(["Here."], {"a": 1}, 'Here.\n{"a":1}', id="another text"),
        pytest.param(["hello"], {"result": "hello"}, "hello", id="wrapped text"),
        pytest.param(["5"], {"result": 5}, "5", id="wrapped number"),
        pytest.param(["[1, 2]"], {"result": [1, 2]}, "[1, 2]", id="wrapped array"),
        pytest.param(["a", "2"], {"result": ["a", 2]}, "a\n2", id="one text for each item"),
        pytest.param(["a"], {"result": ["a", 2]}, 'a\n{"result":["a",2]}', id="not all items"),
        pytest.param([], {"result": None}, '{"result":null}', id="null"),
        pytest.param(["x"], [1, 2], "x\n[1,2]", id="array"),
        pytest.param(["x"], {"a": "\ud800"}, 'x\n{"a":"\\ud800"}', id="half a character"),
        pytest.param(["[" * 4000], {"a": 1}, "[" * 4000 + '\n{"a":1}', id="deep text"),
    ],
)
def test_structured_content_is_said_once(texts: list[str], structured: Any, expected: str) -> None:
    assert content(*map(text, texts), structured=structured, limit=8192) == expected


def test_structured_content_beside_an_image_is_text() -> None:
    assert content(image(), structured={"a": 1}) == [shown("image/png", PNG), said('{"a":1}')]


def test_deep_structured_content_is_a_note() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    answer = CallToolResult.model_construct(content=[], structured_content=deep)
    told = as_result(answer, 4096, takes_audio=True).content
    assert told == "[structured content left out: it is nested too deep]"


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\0b\x07\x7f\tc\r\n", "ab\tc\r\n"),
        ("é\0\x85\x9b", "é"),
        ("\x1b[31mred\x1b[0m \x1b[2K\x1b(x", "red (x"),
        ("\ud83d\ude00 \ud800 é", "😀 \ufffd é"),
        ("👩‍👧 \u202e", "👩‍👧 \u202e"),
    ],
)
def test_characters_that_models_cannot_have_are_taken_out(raw: str, clean: str) -> None:
    assert content(text(raw)) == clean


def test_names_in_notes_are_one_short_line() -> None:
    link = ResourceLink(name="a\n\x1b[1m" + "b" * 1000, uri="file:///a")
    told = content(link)
    assert told == f"[resource: a {'b' * 197}… <file:///a>]"


def test_text_over_the_limit_is_cut_between_characters() -> None:
    told = content(text("é" * 2000), limit=1024)
    assert isinstance(told, str)
    kept, _, mark = told.partition("\n")
    assert set(kept) == {"é"}
    assert mark == f"[truncated: {2 * len(kept)} of 4000 bytes]"
    assert 900 < len(told.encode()) <= 1024


@pytest.mark.parametrize("size", [1023, 1024])
def test_text_within_the_limit_is_whole(size: int) -> None:
    assert content(text("x" * size), limit=1024) == "x" * size


def test_texts_behind_the_limit_are_left_out_once() -> None:
    told = content(text("x" * 2000), text("y" * 2000), image(), text("z"), limit=1024)
    note = "[image left out: image/png, 24 bytes, over the size limit]"
    assert told == "x" * 944 + f"\n[truncated: 944 of {2000 + 2000 + len(note) + 1 + 3} bytes]"


def test_media_that_find_no_room_are_notes() -> None:
    large = base64.b64encode(b"\x89PNG" + bytes(700)).decode()
    told = content(image(), image(large), image(), text("z"), limit=1024)
    note = "[image left out: image/png, 704 bytes, over the size limit]"
    assert told == [shown("image/png", PNG), said(note), shown("image/png", PNG), said("z")]
    assert content(image(large * 9), limit=1024) == "[image left out: image/png, 6344 bytes, over the size limit]"
    sound = AudioContent(data="A" * 2000, mime_type="audio/mp3")
    assert content(sound, limit=1024) == "[audio left out: audio/mp3, 1500 bytes, over the size limit]"


def test_structured_content_behind_a_long_text_is_left_out() -> None:
    told = content(text("x" * 2000), structured={"a": "y" * 2000}, limit=1024)
    assert isinstance(told, str)
    assert told.endswith(" of 2000 bytes]")
    cut = content(structured={"a": "y" * 2000}, limit=1024)
    assert isinstance(cut, str)
    assert cut.endswith(" of 2008 bytes]")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ("a", "a"),
        ([said("a"), shown("image/png", PNG), said("b")], "a\n[image: image/png]\nb"),
        ([{"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}], "[image_url]"),
        ([{"type": "file", "file": {}}, {"text": 5}], "[file]\n[content]"),
    ],
)
def test_output_names_what_is_no_text(parts: Content, expected: str) -> None:
    assert as_text(parts) == expected


RAW = st.text(alphabet=st.characters(), max_size=400)
BLOCKS = st.one_of(
    RAW.map(text),
    st.text(max_size=2000).map(text),
    st.binary(max_size=900).map(lambda data: image(base64.b64encode(b"\x89PNG" + data).decode())),
    st.binary(max_size=400).map(lambda data: AudioContent(data=base64.b64encode(data).decode(), mime_type="audio/wav")),
    st.builds(image, st.text(max_size=30), st.text(max_size=30)),
    st.just(LINK),
)
STRUCTURED = st.none() | st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=300), max_size=3)


def bytes_of(told: Content) -> int:
    if isinstance(told, str):
        return len(told.encode())
    prefix = len("data:image/png;base64,")
    sizes = {"text": lambda p: len(p["text"].encode()), "image_url": lambda p: len(p["image_url"]["url"]) - prefix}
    return sum(sizes.get(part["type"], lambda p: len(p["input_audio"]["data"]))(part) for part in told)


@settings(max_examples=300, deadline=None)
@given(blocks=st.lists(BLOCKS, max_size=6), structured=STRUCTURED, limit=st.integers(1024, 4096))
def test_any_answer_is_json_within_the_limit(blocks: list[ContentBlock], structured: Any, limit: int) -> None:
    told = content(*blocks, structured=structured, limit=limit)
    assert told
    assert bytes_of(told) <= limit
    assert msgspec.json.decode(msgspec.json.encode(told)) == told
    plain = as_text(told)
    assert not any(ord(character) < 32 and character not in "\t\r\n" for character in plain)


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"])), max_size=5))
def test_texts_within_the_limit_are_whole(texts: list[str]) -> None:
    told = content(*map(text, texts), limit=1 << 20)
    joined = "\n".join(texts)
    assert told == (joined if joined.strip() else "(no output)")
