"""Errors that a handler raises on purpose, and those it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from chatproxy_kit import ChatKitError

from chatproxy.testing.matrix import CELLS, Cell

from .asking import ask, error_of, gateway_of, kit_with, last_error, said

NATIVE = [cell for cell in CELLS if cell.is_native]
CODES = {
    "rate_limit": (429, "rate_limit_error"),
    "auth_error": (401, "authentication_error"),
    "internal_error": (500, "api_error"),
    "internal": (500, "api_error"),
    "my_own": (500, "api_error"),
    "invalid_request": (400, "invalid_request_error"),
    "permission_denied": (403, "permission_error"),
    "not_found": (404, "invalid_request_error"),
    "overloaded": (503, "api_error"),
    "timeout": (504, "timeout_error"),
}


def raising(error: BaseException, *, after: tuple[str, ...] = ()) -> Any:
    async def handler(messages: Any, context: Any) -> AsyncIterator[str]:
        for text in after:
            yield text
        raise error

    return handler


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_error_before_the_first_piece_is_an_envelope(code: str, stream: bool) -> None:
    async with gateway_of(kit_with(raising(ChatKitError("Not now.", code)))) as gateway:
        answer = await ask(gateway, stream=stream)
    assert error_of(answer) == (*CODES[code], code)
    assert answer.json()["error"]["message"] == "Not now."


async def test_error_on_a_live_stream_is_one_event_and_the_end() -> None:
    error = ChatKitError(message="Not now.", code="rate_limit")
    async with gateway_of(kit_with(raising(error, after=("Hel", "lo")))) as gateway:
        answer = await ask(gateway, stream=True)
    assert last_error(answer) == {
        "message": "Not now.", "type": "rate_limit_error", "param": None, "code": "rate_limit"
    }  # fmt: skip


@pytest.mark.parametrize("cell", NATIVE, ids=str)
async def test_error_speaks_the_clients_surface(cell: Cell) -> None:
    async with gateway_of(kit_with(raising(ChatKitError("Not now.", "rate_limit")))) as gateway:
        heard = await cell.ask(gateway, "Hi", model="chatkit")
    assert heard.status == 429
    assert heard.error is not None
    assert heard.error[1] == "Not now."


async def test_error_may_choose_status_param_and_waiting_time() -> None:
    error = ChatKitError("Slower.", "too_fast", status=429, param="messages", retry_after_s=7)
    async with gateway_of(kit_with(raising(error))) as gateway:
        answer = await ask(gateway)
    assert error_of(answer) == (429, "rate_limit_error", "too_fast")
    assert (answer.headers["retry-after"], answer.json()["error"]["param"]) == ("7", "messages")


def test_error_with_the_status_of_a_success_is_refused() -> None:
    with pytest.raises(ValueError, match="400 to 599"):
        ChatKitError("?", status=200)


@pytest.mark.parametrize(
    "error", [ValueError("token=abc"), SystemExit(3), KeyError("k")], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("after", [(), ("Hello",)], ids=["at once", "in the stream"])
async def test_unexpected_error_says_nothing_of_the_inside(
    error: BaseException, after: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway_of(kit_with(raising(error, after=after))) as gateway:
        answer = await ask(gateway, stream=True)
        assert said(await gateway.chat("Hi", model="demo"))
    found = last_error(answer) if after else answer.json()["error"]
    assert (found["code"], found["message"]) == ("handler_failed", "The handler of 'chatkit' failed.")
    assert any(record.exc_info for record in caplog.records if record.name == "chatproxy.kit")


@pytest.mark.parametrize("after", [(), ("Hello",)], ids=["at once", "in the stream"])
async def test_debug_puts_the_traceback_into_the_message(after: tuple[str, ...]) -> None:
    async with gateway_of(kit_with(raising(ValueError("what?"), after=after), debug=True)) as gateway:
        answer = await ask(gateway, stream=True)
    found = last_error(answer) if after else answer.json()["error"]
    assert "Traceback (most recent call last)" in found["message"]
    assert "ValueError: what?" in found["message"]


async def test_traceback_leaves_out_secrets_that_the_process_knows() -> None:
    error = ValueError("sent upstream-secret-key-1234567890 to nobody")
    async with gateway_of(
        kit_with(raising(error), debug=True), upstream_api_key="upstream-secret-key-1234567890"
    ) as gateway:
        answer = await ask(gateway)
    assert "ValueError: sent" in answer.text
    assert "upstream-secret-key" not in answer.text


async def test_error_of_another_model_passes_as_it_is() -> None:
    async def handler(messages: Any, context: Any) -> Any:
        await context.ask({"model": "nobody", "messages": messages})

    async with gateway_of(kit_with(handler)) as gateway:
        assert error_of(await ask(gateway)) == (404, "invalid_request_error", "model_not_found")
