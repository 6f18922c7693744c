"""An agent that fails, in each way and at each moment: a clear error, once, and the next request works."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chatproxy.testing import Gateway

from .agentapi import NOT_WAITING, AgentApi, answer, encode, problem
from .asking import QUICK, ask, error_in, error_of, gateway_of, said

SHORT: dict[str, Any] = {**QUICK, "request_timeout_s": 0.3, "stable_timeout_s": 0.3, "breaker_failures": 100}

HTML = answer(502, b"<html>nginx</html>", "text/html")
WRONG = answer(200, {"unexpected": True})
BROKEN = answer(200, b'{"status": "sta', "application/json")
CUT = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{"
NO_HTTP = b"SSH-2.0-OpenSSH_9.6\r\n\r\n"
REDIRECT = b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
REFUSED = answer(422, problem(422, "validation failed"))
UNAUTHORISED = answer(401, b"", "text/plain")
NOT_OK = answer(200, {"ok": False})
ERROR = answer(500, problem(500, "unexpected error occurred", "failed to write"))
FORGETFUL = answer(200, {"messages": []})
NO_STREAM = answer(200, {"status": "stable"})


class Streamed:
    """A script that goes on when the client has read its first line."""

    def __init__(self, end: Callable[[], Awaitable[None]] | None = None) -> None:
        self._end = end
        self._was_read = asyncio.Event()

    async def __call__(self, agent: AgentApi, text: str) -> None:
        agent.show("One line.\nAnother.")
        if "Go" in text:
            await self._was_read.wait()
        if self._end is not None:
            await self._end()

    async def through(self, gateway: Gateway) -> dict[str, Any]:
        """Read a stream to its end; the error that it ends in."""
        body = {"model": "coder", "stream": True, "messages": [{"role": "user", "content": "Go"}]}
        data: list[str] = []
        async with gateway.client.stream("POST", "/v1/chat/completions", json=body) as response:
            assert response.status_code == 200
            async for line in response.aiter_lines():
                data += [line.removeprefix("data: ")] if line.startswith("data: ") else []
                if "One line." in line:
                    self._was_read.set()
        *before, last = data
        assert self._was_read.is_set()
        assert not any("[DONE]" in event or '"error"' in event for event in before)
        error: dict[str, Any] = json.loads(last)["error"]
        return error


Case = tuple[str, bytes | str, int, str]
BEFORE: list[Case] = [
    ("/events", "reset", 502, "agent_disconnected"),
    ("/events", "hang", 504, "agent_timeout"),
    ("/events", HTML, 502, "agent_status"),
    ("/events", REDIRECT, 502, "agent_status"),
    ("/events", NO_STREAM, 502, "agent_invalid_answer"),
    ("/events", NO_HTTP, 502, "agent_disconnected"),
    ("/events", UNAUTHORISED, 502, "agent_status"),
    ("/message", "reset", 502, "agent_disconnected"),
    ("/message", "hang", 504, "agent_timeout"),
    ("/message", HTML, 502, "agent_status"),
    ("/message", ERROR, 502, "agent_status"),
    ("/message", REFUSED, 502, "agent_refused"),
    ("/message", NOT_OK, 502, "agent_refused"),
    ("/message", WRONG, 502, "agent_invalid_answer"),
    ("/message", BROKEN, 502, "agent_invalid_answer"),
    ("/message", CUT, 502, "agent_disconnected"),
]
AFTER: list[Case] = [
    ("/messages", "reset", 502, "agent_disconnected"),
    ("/messages", "hang", 504, "agent_timeout"),
    ("/messages", WRONG, 502, "agent_invalid_answer"),
    ("/messages", BROKEN, 502, "agent_invalid_answer"),
    ("/messages", FORGETFUL, 502, "agent_restarted"),
]


def name_of(case: Case) -> str:
    names = {value: name for name, value in globals().items() if isinstance(value, bytes)}
    return f"{case[0]} {names.get(case[1], case[1])}"  # type: ignore[call-overload]


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("case", BEFORE, ids=name_of)
async def test_a_fault_before_the_answer_is_an_error_answer(agent: AgentApi, case: Case, stream: bool) -> None:
    path, fault, status, code = case
    agent.faults[path] = [fault]
    async with gateway_of(agent, **SHORT) as gateway:
        failed = await ask(gateway, "One", stream=stream)
        assert error_of(failed) == (status, code)
        assert agent.url not in failed.text
        assert said(await ask(gateway, "Two")).endswith("Two")


@pytest.mark.parametrize("case", AFTER, ids=name_of)
async def test_a_fault_at_the_end_of_a_buffered_answer_is_an_error_answer(agent: AgentApi, case: Case) -> None:
    path, fault, status, code = case
    agent.faults[path] = [fault]
    async with gateway_of(agent, **SHORT) as gateway:
        assert error_of(await ask(gateway, "One")) == (status, code)
        assert said(await ask(gateway, "Two")).endswith("Two")


@pytest.mark.parametrize("case", AFTER, ids=name_of)
async def test_a_fault_at_the_end_of_a_stream_is_its_one_error_event(agent: AgentApi, case: Case) -> None:
    path, fault, _, code = case
    agent.faults[path] = [fault]
    agent.script = streamed = Streamed()
    async with gateway_of(agent, **SHORT) as gateway:
        assert (await streamed.through(gateway))["code"] == code
        assert said(await ask(gateway, "Two")).startswith("One line.")


@pytest.mark.parametrize("fault", ["dies", "is reset", "gives nonsense"])
async def test_a_stream_that_has_begun_ends_in_one_error_event(agent: AgentApi, fault: str) -> None:
    async def end() -> None:
        if fault == "dies":
            await agent.die()
        elif fault == "is reset":
            agent.faults["/events"] = ["reset", "reset", "reset"]
            agent.break_events()
            await agent.interrupted.wait()
        else:
            agent.tell("message_update", "nonsense")
            await agent.interrupted.wait()

    agent.script = streamed = Streamed(end)
    async with gateway_of(agent, **SHORT) as gateway:
        error = await streamed.through(gateway)
    assert error["code"] in {"agent_unreachable", "agent_disconnected", "agent_invalid_answer"}
    assert "'coder'" in error["message"]


MID: list[tuple[str, bytes]] = [
    ("invalid json", b"event: message_update\ndata: {nope\n\n"),
    ("wrong schema", encode("message_update", {"id": "two", "role": "agent", "message": "x", "time": "t"})),
    ("unknown status", encode("status_change", {"status": "on fire", "agent_type": "claude"})),
    ("unknown role", encode("message_update", {"id": 2, "role": "ghost", "message": "x", "time": "t"})),
    ("too long", b"data: " + b"x" * 40_000 + b"\n\n"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("event", [event for _, event in MID], ids=[name for name, _ in MID])
async def test_an_event_that_cannot_be_read_ends_the_answer(agent: AgentApi, event: bytes, stream: bool) -> None:
    async def write(agent: AgentApi, text: str) -> None:
        agent.show("One line.\nAnother.")
        agent.write_events(event)
        await agent.interrupted.wait()

    agent.script = write
    async with gateway_of(agent, max_response_bytes=32_000, **SHORT) as gateway:
        failed = await ask(gateway, "Go", stream=stream)
        error = error_in(failed)
        assert error["code"] == "agent_invalid_answer"
        await agent.interrupted.wait()
    assert agent.typed == ["\x1b"]


async def test_unknown_events_and_fields_do_not_matter(agent: AgentApi) -> None:
    async def write(agent: AgentApi, text: str) -> None:
        agent.tell("agent_error", {"message": "new in a later version"})
        agent.write_events(b": a comment\n\nretry: 5\n\n")
        agent.tell("status_change", {"status": "running", "agent_type": "claude", "transport": "pty"})
        agent.show("Fine.")

    agent.script = write
    async with gateway_of(agent, **QUICK) as gateway:
        assert said(await ask(gateway, "Go")) == "Fine."


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_an_agent_that_dies_while_it_answers_is_an_error(agent: AgentApi, stream: bool) -> None:
    async def write(agent: AgentApi, text: str) -> None:
        agent.show("One line.\nAnother.")
        await agent.die()

    agent.script = write
    async with gateway_of(agent, **SHORT) as gateway:
        failed = await ask(gateway, "Go", stream=stream)
        error = error_in(failed)
        assert error["code"] in {"agent_unreachable", "agent_disconnected"}
        async with AgentApi() as other:
            other_url = other.url
        assert other_url != agent.url
        agent.script = lambda agent, text: _fine(agent)
        async with agent:
            agent.status = "stable"
            assert said(await ask(gateway, "Two")) == "Fine."


async def _fine(agent: AgentApi) -> None:
    agent.show("Fine.")


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("how", ["reset", "ended"])
async def test_events_that_break_off_are_taken_up_again(agent: AgentApi, how: str, stream: bool) -> None:
    async def write(agent: AgentApi, text: str) -> None:
        agent.show("One line.\nAnother.")
        if how == "reset":
            agent.break_events()
        else:
            agent.write_events(None)
        await agent.count("/events", 2)
        agent.show("One line.\nAnother.\nThe end.")

    agent.script = write
    async with gateway_of(agent, **QUICK) as gateway:
        heard = await ask(gateway, "Go", stream=stream)
    assert "Another.\\nThe end." in heard.text if not stream else heard.text.count("Another.") == 1


async def test_events_that_break_off_again_and_again_are_an_error(agent: AgentApi) -> None:
    async def write(agent: AgentApi, text: str) -> None:
        for times in range(1, 3):
            agent.break_events()
            await agent.count("/events", times + 1)
        agent.break_events()
        await agent.interrupted.wait()

    agent.script = write
    async with gateway_of(agent, **{**QUICK, "reconnects": 2}) as gateway:
        assert error_of(await ask(gateway, "Go")) == (502, "agent_disconnected")


async def test_an_agent_that_was_started_anew_does_not_answer_for_the_old_one(agent: AgentApi) -> None:
    async def write(agent: AgentApi, text: str) -> None:
        agent.forget()
        agent.messages += [{"id": 1, "role": "agent", "content": "Another life.", "time": "t"}]
        agent.break_events()

    agent.script = write
    async with gateway_of(agent, **SHORT) as gateway:
        assert error_of(await ask(gateway, "Go")) == (502, "agent_restarted")


async def test_events_that_stop_without_an_end_are_noticed(agent: AgentApi) -> None:
    async def write(agent: AgentApi, text: str) -> None:
        agent.show("Silently done.")
        agent.status = "stable"  # and no event says so
        await agent.count("/events", 2)

    agent.script = write
    async with gateway_of(agent, **{**QUICK, "probe_s": 0.05}) as gateway:
        assert said(await ask(gateway, "Go")) == "Silently done."


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_an_agent_that_runs_for_ever_is_interrupted_at_the_deadline(agent: AgentApi, stream: bool) -> None:
    async def spin(agent: AgentApi, text: str) -> None:
        agent.show("Hm.")
        while not agent.interrupted.is_set():
            agent.show(f"Hm. {len(agent.messages[-1]['content'])}")
            await asyncio.sleep(0.01)

    agent.script = spin
    async with gateway_of(agent, **{**QUICK, "answer_timeout_s": 0.2}) as gateway:
        failed = await ask(gateway, "Go", stream=stream)
        error = error_in(failed)
        assert (error["type"], error["code"]) == ("timeout_error", "agent_timeout")
        agent.script = lambda agent, text: _fine(agent)
        assert said(await ask(gateway, "Two")) == "Fine."
    assert agent.typed == ["\x1b"]


async def test_an_agent_that_is_busy_by_itself_is_waited_for(agent: AgentApi) -> None:
    agent.status = "running"
    async with gateway_of(agent, **QUICK) as gateway:
        asking = asyncio.create_task(ask(gateway, "Go"))
        await agent.until(lambda: agent.listeners == 1)
        agent.set_status("stable")
        assert said(await asking) == "You said: Go"


async def test_somebody_who_is_quicker_is_waited_for(agent: AgentApi) -> None:
    agent.faults["/message"] = [answer(500, problem(500, "unexpected error occurred", NOT_WAITING))]
    async with gateway_of(agent, breaker_failures=1, **QUICK) as gateway:
        assert said(await ask(gateway, "Go")) == "You said: Go"
    assert agent.typed == []


async def test_somebody_who_is_always_quicker_is_an_error_with_advice(agent: AgentApi) -> None:
    agent.faults["/message"] = [answer(500, problem(500, "unexpected error occurred", NOT_WAITING))] * 9
    async with gateway_of(agent, **SHORT) as gateway:
        assert error_of(await ask(gateway, "Go")) == (503, "agent_busy")
    assert agent.typed == []


async def test_an_agent_that_stays_busy_is_an_error_with_advice(agent: AgentApi) -> None:
    agent.status = "running"
    async with gateway_of(agent, **SHORT) as gateway:
        failed = await ask(gateway, "Go")
        assert error_of(failed) == (503, "agent_busy")
        assert int(failed.headers["retry-after"]) >= 1
        agent.set_status("stable")
        assert said(await ask(gateway, "Go")) == "You said: Go"
    assert agent.typed == []


async def test_nobody_there_is_an_error() -> None:
    async with AgentApi() as gone:
        pass
    async with gateway_of(gone, **SHORT) as gateway:
        assert error_of(await ask(gateway, "Go")) == (502, "agent_unreachable")
