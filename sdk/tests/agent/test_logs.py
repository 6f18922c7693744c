"""What an agent writes down, in the log and in ``agent.debug``; and what it never does."""

from __future__ import annotations

import base64
import logging
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chatproxy_sdk.agent import ChatAgent, ModelConfig, RuntimeConfig
from chatproxy_sdk.exceptions import APIConnectionError, APIResponseError, ConfigurationError

from ..servers import FaultServer, answer, by, call, error, reset_after, says, server_error, stall_after, too_many
from .talking import KEY, agent_of, both_ways, say

ALL = {"log_level": "DEBUG", "log_http_requests": True, "log_http_responses": True, "enable_debug": True}
PASSWORD = "p@ss/w0rd-9d1f"
ENCODED = "p%40ss%2Fw0rd-9d1f"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged anywhere, from httpx too; the level of our logger is as it was afterwards."""
    logger = logging.getLogger("chatproxy_sdk")
    before = logger.level
    with caplog.at_level(logging.DEBUG):
        logger.setLevel(logging.NOTSET)
        yield caplog
    logger.setLevel(before)


def lines(log: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and message of each of our lines."""
    return [(one.levelname, one.getMessage()) for one in log.records if one.name == "chatproxy_sdk"]


@both_ways
async def test_a_turn_is_one_line(server: FaultServer, log: pytest.LogCaptureFixture, way: str) -> None:
    server.replies(says("ok"))
    async with agent_of(server, enable_logging=True) as agent:
        await say(agent, way)
    ((level, line),) = lines(log)
    assert (level, line.partition(" in ")[0]) == ("INFO", "gpt-4o: answered")
    assert line.endswith("attempt 1, 3 + 2 tokens")


@both_ways
async def test_retries_are_warnings_and_failures_errors(
    server: FaultServer, log: pytest.LogCaptureFixture, way: str
) -> None:
    server.replies(too_many("0"), server_error(500, "It broke."))
    async with agent_of(server, enable_logging=True, log_level="WARNING", max_retries=1) as agent:
        with pytest.raises(APIResponseError):
            await say(agent, way)
    (first, warning), (second, failure) = lines(log)
    assert (first, second) == ("WARNING", "ERROR")
    assert "Too many requests." in warning
    assert "attempt 2: APIResponseError: It broke." in failure


@both_ways
async def test_requests_and_responses_are_logged_if_asked_for(
    server: FaultServer, log: pytest.LogCaptureFixture, way: str
) -> None:
    server.replies(says("the answer"))
    async with agent_of(server, enable_logging=True, **ALL) as agent:
        await say(agent, way, "the question")
    shown = [line for level, line in lines(log) if level == "DEBUG"]
    assert shown[0].startswith(f"> POST {server.url}/chat/completions headers=")
    assert "the question" in shown[0]
    assert "'authorization': '[hidden]'" in shown[0]
    assert shown[1].startswith("< 200 in ")
    assert "req-1" in shown[1]
    assert "the answer" in shown[-1]


@pytest.mark.parametrize(
    "settings",
    [{"enable_logging": False, **ALL}, {"enable_logging": True, "log_level": "CRITICAL"}],
    ids=["off", "only critical"],
)
async def test_nothing_is_logged_that_is_not_wanted(
    server: FaultServer, log: pytest.LogCaptureFixture, settings: dict[str, Any]
) -> None:
    server.replies(error(400))
    async with agent_of(server, **settings) as agent:
        with pytest.raises(APIResponseError):
            await agent.chat("Hello")
    assert lines(log) == []


async def test_each_agent_keeps_to_its_own_level(server: FaultServer, log: pytest.LogCaptureFixture) -> None:
    async with (
        agent_of(server, enable_logging=True, model={"model": "loud"}) as loud,
        agent_of(server, enable_logging=True, model={"model": "quiet"}, log_level="ERROR") as quiet,
    ):
        await quiet.chat("Hello")
        await loud.chat("Hello")
    assert [line.partition(":")[0] for _, line in lines(log)] == ["loud"]


async def test_a_level_that_was_set_by_somebody_else_stays(server: FaultServer, log: pytest.LogCaptureFixture) -> None:
    logging.getLogger("chatproxy_sdk").setLevel(logging.ERROR)
    async with agent_of(server, enable_logging=True, log_level="DEBUG") as agent:
        await agent.chat("Hello")
    assert logging.getLogger("chatproxy_sdk").level == logging.ERROR
    assert lines(log) == []


@pytest.mark.parametrize("configured", [False, True], ids=["no handler", "a later handler"])
def test_without_any_handler_lines_go_to_stderr_once(server: FaultServer, configured: bool) -> None:
    code = (
        "import asyncio, logging; from chatproxy_sdk.agent import *\n"
        f"settings = ModelConfig(api_base_url={server.url!r}, api_key={KEY!r})\n"
        "ChatAgent(settings)\n"
        f"if {configured}: logging.basicConfig(format=' %(levelname)s %(name)s: %(message)s')\n"
        "async def main():\n"
        "    for _ in range(2):\n"
        "        async with ChatAgent(settings) as agent: print(await agent.chat('Hello'))\n"
        "asyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=40, check=True)
    assert done.stdout == "ok\nok\n"
    assert [line.partition(" INFO ")[2].partition(" in ")[0] for line in done.stderr.splitlines()] == [
        "chatproxy_sdk: gpt-4o: answered"
    ] * 2


# -- debug ------------------------------------------------------------------------------------------------------------


@both_ways
async def test_debug_has_request_response_and_timings(server: FaultServer, way: str) -> None:
    server.replies(server_error(), says("ok"))
    async with agent_of(server, enable_debug=True, max_retries=1) as agent:
        await say(agent, way)
        (record,) = agent.debug
    assert record.request["url"] == f"{server.url}/chat/completions"
    assert record.request["body"] == server.requests[-1].json
    assert record.response["status"] == 200
    assert record.response["headers"]["x-request-id"] == "req-1"
    assert record.response["body"]["choices"][0]["message"]["content"] == "ok"
    assert 0 < record.timings["first_text"] <= record.timings["total"]
    assert (record.outcome, record.attempts, record.retried, record.error) == ("ok", 2, ["It broke."], None)
    assert record.to_dict()["outcome"] == "ok"


@both_ways
async def test_debug_tells_what_went_wrong(server: FaultServer, way: str) -> None:
    server.replies(error(400, "No."), reset_after())
    async with agent_of(server, enable_debug=True) as agent:
        with pytest.raises(APIResponseError):
            await say(agent, way)
        with pytest.raises(APIConnectionError):
            await say(agent, way)
        first, second = agent.debug
    assert (first.outcome, first.error, first.response["status"]) == ("error", "APIResponseError: No.", 400)
    assert first.response["body"]["error"]["message"] == "No."
    assert (second.outcome, second.response) == ("error", {})


async def test_debug_tells_of_streams_that_were_left(server: FaultServer) -> None:
    server.replies(stall_after("one"))
    async with agent_of(server, enable_debug=True) as agent:
        async for _ in agent.chat_stream("Hello"):
            assert agent.debug[0].outcome == "open"
            break
        server.replies(says("ok"))
        await agent.chat("Hello")
        assert agent.debug[0].outcome == "aborted"


async def test_debug_is_bounded_and_off_by_default(server: FaultServer) -> None:
    async with agent_of(server, enable_debug=True) as noted, agent_of(server) as quiet:
        for number in range(52):
            await noted.chat(str(number), add_to_history=False)
        await quiet.chat("Hello")
        assert [one.request["body"]["messages"][0]["content"] for one in noted.debug] == [str(n) for n in range(2, 52)]
        assert quiet.debug == []


# -- secrets ----------------------------------------------------------------------------------------------------------

SECRETS = [KEY, "sk-inside-the-body-1234", "tool-token-77f1", base64.b64encode(PNG).decode()]


def _shown(agent: ChatAgent, log: pytest.LogCaptureFixture, caught: BaseException | None = None) -> str:
    """All that an agent lets see: log lines, httpx's too, debug records, its repr, an exception with its traceback."""
    parts = [one.getMessage() for one in log.records if one.name in {"chatproxy_sdk", "httpx"}]
    parts += [repr(agent.debug), repr(agent)]
    if caught is not None:
        parts += ["".join(traceback.format_exception(caught)), repr(caught), repr(getattr(caught, "details", ""))]
    return "\n".join(parts)


@both_ways
@pytest.mark.parametrize("fails", [False, True], ids=["answered", "failed"])
async def test_no_secret_is_ever_shown(
    server: FaultServer, log: pytest.LogCaptureFixture, tmp_path: Path, way: str, fails: bool
) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    echo = {"set-cookie": "session=tool-token-77f1", "x-api-key": KEY}
    quoted = f"Bad key {KEY}, Authorization: Bearer sk-inside-the-body-1234"
    server.replies(error(401, quoted, echo, code=KEY) if fails else says(quoted))
    body = {"api_key": "sk-inside-the-body-1234", "metadata": {"token": "tool-token-77f1"}, "note": KEY}
    async with agent_of(server, enable_logging=True, **ALL, model={"extra_body": body}) as agent:
        caught = None
        try:
            await say(agent, way, "Look", image_paths=tmp_path / "a.png")
        except APIResponseError as exc:
            caught = exc
        assert (caught is not None) is fails
        shown = _shown(agent, log, caught)
    assert "Look" in shown
    assert server.requests[0].json["note"] == KEY
    assert [secret for secret in SECRETS if secret in shown] == []


@both_ways
@pytest.mark.parametrize("fails", [False, True], ids=["answered", "failed"])
async def test_a_password_in_the_url_is_sent_and_never_shown(
    server: FaultServer, log: pytest.LogCaptureFixture, way: str, fails: bool
) -> None:
    url = server.url.replace("://", f"://me:{ENCODED}@")
    basic = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    quoted = f"{PASSWORD} {ENCODED} {basic} {url}"
    server.replies(error(401, quoted) if fails else says(quoted))
    async with agent_of(server, enable_logging=True, **ALL, model={"api_base_url": url}) as agent:
        caught = None
        try:
            await say(agent, way)
        except APIResponseError as exc:
            caught = exc
        shown = _shown(agent, log, caught)
    assert (caught is not None) is fails
    assert server.requests[0].headers["authorization"] == f"Basic {basic}"
    assert [secret for secret in (PASSWORD, ENCODED, basic) if secret in shown] == []


@both_ways
async def test_a_password_in_the_url_is_not_shown_without_a_server(log: pytest.LogCaptureFixture, way: str) -> None:
    settings = ModelConfig(api_base_url=f"http://me:{ENCODED}@127.0.0.1:9/v1", api_key=KEY)
    async with ChatAgent(settings, RuntimeConfig(**ALL)) as agent:  # type: ignore[arg-type]
        with pytest.raises(APIConnectionError) as caught:
            await say(agent, way)
        shown = _shown(agent, log, caught.value)
    assert "127.0.0.1:9" in shown
    assert [secret for secret in (PASSWORD, ENCODED, KEY) if secret in shown] == []


async def test_a_key_that_cannot_be_used_is_not_quoted(server: FaultServer) -> None:
    with pytest.raises(ConfigurationError) as caught:
        agent_of(server, model={"api_key": f"{KEY}\n"})
    assert KEY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.details)


async def test_an_unreadable_answer_that_quotes_the_key_is_not_shown(
    server: FaultServer, log: pytest.LogCaptureFixture
) -> None:
    server.replies(answer(f'{{"key": "{KEY}"'.encode()))
    async with agent_of(server, enable_logging=True, **ALL) as agent:
        with pytest.raises(APIResponseError) as caught:
            await agent.chat("Hello")
        assert KEY not in _shown(agent, log, caught.value)


async def test_a_tools_error_that_quotes_the_key_is_not_shown(
    server: FaultServer, log: pytest.LogCaptureFixture
) -> None:
    server.replies(by(lambda _: says(tool_calls=[call("fail", {})])))
    async with agent_of(server, enable_logging=True, **ALL, tool_failure_policy="raise") as agent:

        @agent.tool
        def fail() -> None:
            raise ValueError(f"Bearer {KEY}")

        with pytest.raises(Exception, match="hidden") as caught:
            await agent.chat("Hello")
        assert KEY not in repr(caught.value) + repr(getattr(caught.value, "details", ""))
        assert KEY not in _shown(agent, log)


async def test_very_long_and_very_deep_answers_are_logged_in_part(
    server: FaultServer, log: pytest.LogCaptureFixture
) -> None:
    deep: Any = "core"
    for _ in range(300):
        deep = {"in": [deep]}
    server.replies(says("x" * 100_000, usage=None), says("ok", extra=deep))
    async with agent_of(server, enable_logging=True, **ALL) as agent:
        await agent.chat("Hello", add_to_history=False)
        await agent.chat("Hello")
        assert len(repr(agent.debug)) < 50_000
    assert max(len(line) for _, line in lines(log)) < 30_000
