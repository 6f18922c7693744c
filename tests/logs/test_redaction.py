"""No secret in any log."""

from __future__ import annotations

import io
import logging

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.logs import ExchangeLog, register_secret, setup_logging
from chatproxy.logs.redaction import MAX_TEXT, Secrets, secrets_of_process
from chatproxy.types import Exchange
from chatproxy.types.context import SECRET_HEADERS

KEY = "k3y-of-Upstream/77=="

TEXTS = [
    ("Authorization: Bearer abc.def-123", "Authorization: ***"),
    ("sent 'authorization': 'Basic dXNlcjpwYXNz' upstream", "sent 'authorization': '***' upstream"),
    (
        "[(b'authorization', b'Bearer abcdef'), (b'accept', b'*/*')]",
        "[(b'authorization', b'***'), (b'accept', b'*/*')]",
    ),
    ('{"x-api-key": "a\\"b", "model": "m"}', '{"x-api-key": "***", "model": "m"}'),
    ("cookie: a=1; b=2", "cookie: ***"),
    ("Set-Cookie: sid=77; Path=/\nnext line", "Set-Cookie: ***\nnext line"),
    ("got bearer AbCd1234 from client", "got bearer *** from client"),
    ("key sk-proj-abcdefgh was refused", "key *** was refused"),
    ("virtual key cp_live_12345678.", "virtual key ***"),
    ("gsk_abcdefgh1 hf_abcdefgh1 xai-abcdefgh1 ghp_abcdefgh1", "*** *** *** ***"),
    ("?key=AIzaSyA-1234567890abcdef", "?key=***"),
    ("GET /v1?api_key=abc12345&x=1", "GET /v1?api_key=***&x=1"),
    ("password=hunter22 user=me", "password=*** user=me"),
    ("https://me:pass@host/v1", "https://***@host/v1"),
    ("openai-organization: org-1", "openai-organization: ***"),
    ("BEARER ABCDEFGH", "BEARER ***"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_what_looks_like_a_secret_is_hidden(text: str, expected: str) -> None:
    assert Secrets().clean(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "plugin 'alpha' failed in before_request (a.py:1): error after 0.010 s",
        "upstreams.x.api_key: the variable OPENAI_API_KEY is not set",
        "model gpt-4o-mini, task-master-2000 and risk_model_12345678",
        "POST http://127.0.0.1:8000/v1/chat/completions",
        "12 tokens: 3 cached",
        "550e8400-e29b-41d4-a716-446655440000",
        "grüße, 你好, 🎉",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert Secrets().clean(text) == text


@pytest.mark.parametrize("name", sorted(SECRET_HEADERS))
def test_every_secret_header_is_hidden_in_every_form(name: str) -> None:
    value = "q1w2e3r4t5y6"
    secrets = Secrets()
    for text in (f"{name}: {value}", f"{name.title()}={value}", f"{{'{name}': '{value}'}}", f"(b'{name}', b'{value}')"):
        assert value not in secrets.clean(text)
    assert secrets.clean_value({"headers": {name.upper(): value}}) == {"headers": {name.upper(): "***"}}
    assert secrets.clean_value({name.encode(): value.encode()}) == {str(name.encode()): "***"}


def test_registered_value_is_hidden_everywhere_and_the_longest_first() -> None:
    secrets = Secrets()
    secrets.register("plain")
    secrets.register("plain-and-longer")
    assert secrets.clean("plain plain-and-longer explained") == "*** *** ex***ed"
    assert secrets.clean_value(["plain", ("x", {"plain"}), b"plain"]) == ["***", ["x", ["***"]], "***"]


def test_short_values_are_no_secrets() -> None:
    secrets = Secrets()
    secrets.register("abc")
    secrets.register("")
    assert secrets.clean("abc") == "abc"


def test_value_registered_late_is_hidden_in_texts_seen_before() -> None:
    secrets = Secrets()
    assert secrets.clean_short("my-model") == "my-model"
    secrets.register("my-model")
    assert secrets.clean_short("my-model") == "***"


def test_values_become_what_json_can_carry() -> None:
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    cleaned = Secrets().clean_value({"n": 2**70, "f": 1.5, "none": None, "t": True, "o": object, "deep": deep, 5: 6})
    assert cleaned["n"] == str(2**70)
    assert (cleaned["f"], cleaned["none"], cleaned["t"], cleaned["5"]) == (1.5, None, True, 6)
    assert cleaned["o"] == "<class 'object'>"
    assert msgspec.json.decode(msgspec.json.encode(cleaned)) == cleaned


def test_long_text_is_cut() -> None:
    cleaned = Secrets().clean("x" * (MAX_TEXT + 7))
    assert cleaned == "x" * MAX_TEXT + "… (7 more characters)"


@given(
    before=st.text(max_size=20),
    after=st.text(max_size=20),
    secret=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=4, max_size=30),
)
def test_registered_value_never_survives(before: str, after: str, secret: str) -> None:
    secrets = Secrets()
    secrets.register(secret)
    if secret not in "***":
        assert secret not in secrets.clean(f"{before}|{secret}|{after}")


@given(st.text(max_size=300))
def test_cleaning_never_fails_and_its_result_can_be_encoded(text: str) -> None:
    Secrets().clean(text).encode()


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_secret_is_in_no_line_at_any_level(log_format: str, level: str) -> None:
    register_secret(KEY)
    stream = io.StringIO()
    setup_logging(log_format, "debug", stream)  # type: ignore[arg-type]  # parametrized
    logger = logging.getLogger("chatproxy.upstream")
    try:
        raise ConnectionError(f"refused, sent {KEY}")
    except ConnectionError:
        logger.log(
            logging.getLevelNamesMapping()[level.upper()],
            "call with %s failed",
            KEY,
            exc_info=True,
            extra={"headers": {"Authorization": f"Bearer {KEY}"}, "note": [KEY], "api_key": KEY},
        )
    logging.getLogger("uvicorn.error").error("Authorization: Bearer %s", KEY)
    assert KEY not in stream.getvalue()
    assert "call with *** failed" in stream.getvalue()
    assert "ConnectionError: refused, sent ***" in stream.getvalue()


def test_secret_is_in_no_exchange_line() -> None:
    stream = io.StringIO()
    log = ExchangeLog("json", "info", stream)
    register_secret(KEY)
    log.write(
        Exchange(
            request_id="r",
            path=f"/v1/{KEY}",
            model=KEY,
            upstream_model="sk-abcdef123456",
            principal="Bearer abcdef123",
            error_code=KEY,
            finish_reasons=[KEY],
            client_request_id=KEY,
        )
    )
    line = msgspec.json.decode(stream.getvalue())
    assert KEY not in stream.getvalue()
    assert (line["path"], line["model"], line["upstream_model"]) == ("/v1/***", "***", "***")
    assert (line["principal"], line["error_code"], line["client_request_id"]) == ("Bearer ***", "***", "***")
    assert line["finish_reasons"] == ["***"]


def test_two_applications_protect_each_other() -> None:
    first, second = io.StringIO(), io.StringIO()
    logs = [ExchangeLog("json", "info", first), ExchangeLog("json", "info", second)]
    register_secret("key-of-the-first")
    register_secret("key-of-the-second")
    for log in logs:
        log.write(Exchange(request_id="r", model="key-of-the-first or key-of-the-second"))
    for stream in (first, second):
        assert msgspec.json.decode(stream.getvalue())["model"] == "*** or ***"


def test_what_was_registered_outlives_a_second_setup() -> None:
    register_secret(KEY)
    setup_logging("json", "info", io.StringIO())
    stream = io.StringIO()
    setup_logging("json", "info", stream)
    logging.getLogger("chatproxy").warning("with %s", KEY)
    assert msgspec.json.decode(stream.getvalue())["message"] == "with ***"
    assert secrets_of_process() is secrets_of_process()
