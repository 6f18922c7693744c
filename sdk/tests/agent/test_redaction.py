"""What is taken out of texts before anybody sees them, and what stays."""

from __future__ import annotations

import pytest
from chatproxy_sdk._core.terms import basic, url_credentials, without_credentials
from chatproxy_sdk.agent.redaction import Redactor

REDACTOR = Redactor(["a-known-secret", None, "", "abc"])

SHOWN = {
    "known": ("a-known-secret is it", "[hidden] is it"),
    "too short to be one": ("abc", "abc"),
    "bearer": ("Authorization: Bearer abc123def456", "Authorization: Bearer [hidden]"),
    "the word bearer": ("Missing bearer authentication in header", "Missing bearer authentication in header"),
    "basic": ("Basic bWU6c2VjcmV0LXdvcmQ=", "Basic [hidden]"),
    "key": ("key sk-proj-abcdef0123456789 is wrong", "key [hidden] is wrong"),
    "a word": ("a task-force-management", "a task-force-management"),
    "url": ("no route to https://me:word@host:1/v1", "no route to https://[hidden]@host:1/v1"),
    "plain url": ("https://host/v1?mail=a@b", "https://host/v1?mail=a@b"),
    "image": ("data:image/png;base64,AAAA", "data:image/png;base64,[4 characters]"),
    "image with parameters": ("x data:image/png;a=b;base64,AA== y", "x data:image/png;base64,[4 characters] y"),
    "done": ("data:image/png;base64,[4 characters]", "data:image/png;base64,[4 characters]"),
}


@pytest.mark.parametrize(("text", "shown"), SHOWN.values(), ids=SHOWN)
def test_texts_are_shown_without_secrets_and_media(text: str, shown: str) -> None:
    assert REDACTOR.text(text) == shown
    assert REDACTOR.text(shown) == shown


def test_long_texts_are_cut() -> None:
    assert REDACTOR.text("x" * 30_000) == "x" * 20_000 + "… [30000 characters]"


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "apiKey",
        "X-Api-Key",
        "authorization",
        "Set-Cookie",
        "client_secret",
        "password",
        "token",
        "access_key",
    ],
)
def test_what_is_named_as_a_secret_is_hidden(name: str) -> None:
    given = {"a": [{name: "anything"}]}
    assert REDACTOR.value(given) == {"a": [{name: "[hidden]"}]}
    assert given == {"a": [{name: "anything"}]}


@pytest.mark.parametrize("name", ["max_tokens", "prompt_tokens", "tokenizer", "key", "monkey", "cookies_eaten"])
def test_other_names_are_left(name: str) -> None:
    assert REDACTOR.value({name: "anything", "token": 3}) == {name: "anything", "token": 3}


@pytest.mark.parametrize(
    ("url", "credentials", "clean"),
    [
        ("https://host/v1", None, "https://host/v1"),
        ("https://me:a%40b@host:1/v1", ("me", "a@b"), "https://host:1/v1"),
        ("https://key@[::1]:8/v1", ("key", ""), "https://[::1]:8/v1"),
    ],
    ids=["none", "both", "user"],
)
def test_urls_are_split_from_their_credentials(url: str, credentials: tuple[str, str] | None, clean: str) -> None:
    assert url_credentials(url) == credentials
    assert without_credentials(url) == clean


def test_credentials_are_sent_as_basic() -> None:
    assert basic(("me", "a@b")) == "Basic bWU6YUBi"
