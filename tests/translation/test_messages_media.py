"""Images, documents and search results of a Messages request."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.translation import Losses
from chatproxy.translation.messages.over_chat import MessagesOverChat

PDF_DATA = "data:application/pdf;base64,JVBERg=="
TEN_MB = 10_000_000


def said(*blocks: dict[str, Any]) -> tuple[Any, list[str]]:
    """The content a chat handler gets for a user's blocks, and the fields on record."""
    losses = Losses()
    made = MessagesOverChat(losses).request({"max_tokens": 1, "messages": [{"role": "user", "content": list(blocks)}]})
    return made["messages"][0]["content"], [f"{loss.field} {loss.action}" for loss in losses.kept]


def image(data: str, media_type: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def document(source: Any, **more: Any) -> dict[str, Any]:
    return {"type": "document", "source": source, **more}


def pdf(**more: Any) -> dict[str, Any]:
    return document({"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}, **more)


@pytest.mark.parametrize(
    ("block", "content"),
    [
        pytest.param(
            image("iVBORw0KGgo="),
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
            id="image bytes",
        ),
        pytest.param(
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}],
            id="image address",
        ),
        pytest.param(pdf(), [{"type": "file", "file": {"filename": "document.pdf", "file_data": PDF_DATA}}], id="pdf"),
        pytest.param(
            pdf(title="Report", context="Of May."),
            [
                {"type": "text", "text": "Of May."},
                {"type": "file", "file": {"filename": "Report", "file_data": PDF_DATA}},
            ],
            id="pdf with title and context",
        ),
    ],
)
def test_what_chat_has_a_part_for_arrives_whole(block: dict[str, Any], content: Any) -> None:
    assert said(block) == (content, [])


@pytest.mark.parametrize(
    ("block", "content"),
    [
        pytest.param(
            document({"type": "text", "media_type": "text/plain", "data": "Rain."}, title="Log", context="May"),
            "Log\n\nMay\n\nRain.",
            id="text document",
        ),
        pytest.param(
            document({"type": "content", "content": "Rain."}),
            "Rain.",
            id="document of a string",
        ),
        pytest.param(
            document({"type": "content", "content": [{"type": "text", "text": "Rain."}, image("iVBORw0KGgo=")]}),
            [
                {"type": "text", "text": "Rain."},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ],
            id="document of blocks",
        ),
        pytest.param(
            {
                "type": "search_result",
                "title": "Weather",
                "source": "https://example.com",
                "content": [{"type": "text", "text": "Rain."}, {"type": "text", "text": "Sun."}],
            },
            "Weather\nhttps://example.com\nRain.\nSun.",
            id="search result",
        ),
    ],
)
def test_what_becomes_text_is_on_record(block: dict[str, Any], content: Any) -> None:
    assert said(block) == (content, ["messages[0].content[0] changed"])


def test_citations_asked_for_are_on_record() -> None:
    assert said(pdf(citations={"enabled": True}), pdf(citations={"enabled": False}))[1] == [
        "messages[0].content[0].citations dropped"
    ]


def test_an_image_of_ten_million_bytes_passes() -> None:
    data = "A" * (TEN_MB // 3 * 4) + "AA=="
    assert said(image(data))[0][0]["image_url"]["url"].endswith("AA==")


@pytest.mark.parametrize(
    ("block", "field", "code"),
    [
        pytest.param({"type": "image"}, "source", "missing_required_parameter", id="no source"),
        pytest.param({"type": "image", "source": "x"}, "source", "invalid_type", id="source as text"),
        pytest.param({"type": "image", "source": {}}, "source.type", "missing_required_parameter", id="no type"),
        pytest.param({"type": "image", "source": {"type": 1}}, "source.type", "invalid_type", id="type as number"),
        pytest.param({"type": "image", "source": {"type": "ftp"}}, "source.type", "invalid_value", id="other type"),
        pytest.param(
            {"type": "image", "source": {"type": "file", "file_id": "f"}},
            "source.type",
            "unsupported_content",
            id="file id",
        ),
        pytest.param(image("A" * (TEN_MB // 3 * 4 + 4)), "source.data", "invalid_value", id="over 10 MB"),
        pytest.param(image("not base64!"), "source.data", "invalid_value", id="no base64"),
        pytest.param(image("ÄÖÜ="), "source.data", "invalid_value", id="no ASCII"),
        pytest.param(image("iVBORw0KGgo"), "source.data", "invalid_value", id="no padding"),
        pytest.param(image("iVBO Rw0K"), "source.data", "invalid_value", id="space in base64"),
        pytest.param(image(""), "source.data", "invalid_value", id="no bytes"),
        pytest.param(image("AA==", "image/svg+xml"), "source.media_type", "invalid_value", id="other image type"),
        pytest.param(
            {"type": "image", "source": {"type": "base64", "data": "AA=="}},
            "source.media_type",
            "missing_required_parameter",
            id="no media type",
        ),
        pytest.param(
            {"type": "image", "source": {"type": "url", "url": "file:///etc/hosts"}},
            "source.url",
            "invalid_value",
            id="local address",
        ),
        pytest.param(
            document({"type": "url", "url": "https://example.com/a.pdf"}),
            "source.type",
            "unsupported_content",
            id="document address",
        ),
        pytest.param(
            document({"type": "file", "file_id": "f"}), "source.type", "unsupported_content", id="document id"
        ),
        pytest.param(
            document({"type": "base64", "media_type": "text/html", "data": "AA=="}),
            "source.media_type",
            "invalid_value",
            id="other document type",
        ),
        pytest.param(document({"type": "content", "content": 1}), "source.content", "invalid_type", id="no blocks"),
        pytest.param(
            document({"type": "content", "content": [pdf()]}),
            "source.content[0].type",
            "invalid_value",
            id="document in a document",
        ),
        pytest.param(
            {"type": "search_result", "title": "t", "source": "s", "content": [image("AA==")]},
            "content[0].type",
            "invalid_value",
            id="image in a search result",
        ),
        pytest.param(
            {"type": "search_result", "title": "t", "content": []},
            "source",
            "missing_required_parameter",
            id="search result without source",
        ),
    ],
)
def test_wrong_media_are_refused_by_name(block: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        said(block)

    assert (caught.value.param, caught.value.code) == (f"messages[0].content[0].{field}", code)
    assert len(caught.value.message) < 400
