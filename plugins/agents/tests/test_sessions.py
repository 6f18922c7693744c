"""Conversations: an agent has one, and is told only what is new of it."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy import Principal, RequestContext, hookimpl

from .agentapi import AgentApi
from .asking import QUICK, ask, error_of, gateway_of, said

SYSTEM = {"role": "system", "content": "Be brief."}
ANEW = "A new conversation begins here"


class Sessions:
    """A plugin that keeps conversations, and knows people."""

    chatproxy_name = "sessions"

    @hookimpl
    async def authenticate(self, headers: Any) -> Principal | None:
        return Principal(id=headers.get("x-user", "ann"))

    @hookimpl
    async def before_request(self, ctx: RequestContext) -> None:
        ctx.session_id = ctx.headers.get("x-session")


async def test_what_an_agent_knows_is_not_told_again(agent: AgentApi) -> None:
    async with gateway_of(agent, **QUICK) as gateway:
        first = said(await ask(gateway, SYSTEM, {"role": "user", "content": "One"}))
        messages = [SYSTEM, {"role": "user", "content": "One"}, {"role": "assistant", "content": first}]
        second = said(await ask(gateway, *messages, {"role": "user", "content": "Two"}))
    assert agent.sent() == ["Be brief.\n\nOne", "Two"]
    assert second == "You said: Two"


async def test_line_breaks_and_spaces_do_not_make_another_conversation(agent: AgentApi) -> None:
    async with gateway_of(agent, **QUICK) as gateway:
        await ask(gateway, "One\nand more")
        await ask(gateway, "One and more", "You said:\n One  and more ", "Two")
    assert agent.sent() == ["One\nand more", "Two"]


async def test_another_conversation_is_told_with_its_transcript(agent: AgentApi) -> None:
    async with gateway_of(agent, **QUICK) as gateway:
        await ask(gateway, "One")
        await ask(gateway, "Uno", "Dos", "Tres")
        await ask(gateway, "Fresh")
    _, second, third = agent.sent()
    assert second.startswith(ANEW)
    assert "The conversation so far:\n\nUser: Uno\n\nAssistant: Dos\n\nTres" in second
    assert third.startswith(ANEW)
    assert third.endswith("\n\nFresh")


async def test_a_fresh_agent_gets_a_transcript_without_more_words(agent: AgentApi) -> None:
    async with gateway_of(agent, **QUICK) as gateway:
        await ask(gateway, "Uno", "Dos", "Tres")
    assert agent.sent() == ["The conversation so far:\n\nUser: Uno\n\nAssistant: Dos\n\nTres"]


async def test_an_agent_may_refuse_another_conversation(agent: AgentApi) -> None:
    async with gateway_of(agent, another_session="refuse", **QUICK) as gateway:
        await ask(gateway, "One")
        assert error_of(await ask(gateway, "Uno", stream=True)) == (409, "agent_session_conflict")
        assert said(await ask(gateway, "One", "You said: One", "Two")) == "You said: Two"
    assert agent.sent() == ["One", "Two"]
    assert agent.typed == []


async def test_an_idle_conversation_gives_way(agent: AgentApi) -> None:
    async with gateway_of(agent, another_session="refuse", session_idle_s=1e-6, **QUICK) as gateway:
        await ask(gateway, "One")
        assert said(await ask(gateway, "Uno")).endswith("Uno")


async def test_an_agent_may_be_reset_for_another_conversation(agent: AgentApi) -> None:
    async with gateway_of(agent, another_session="reset", reset_command="/clear", **QUICK) as gateway:
        await ask(gateway, "One")
        assert said(await ask(gateway, "Uno")) == "You said: Uno"
    assert agent.sent() == ["One", "/clear", "Uno"]


async def test_an_agent_that_was_started_anew_is_told_everything(agent: AgentApi) -> None:
    async with gateway_of(agent, another_session="refuse", **QUICK) as gateway:
        await ask(gateway, "One")
        agent.forget()
        await ask(gateway, "One", "You said: One", "Two")
    assert agent.sent()[1] == "The conversation so far:\n\nUser: One\n\nAssistant: You said: One\n\nTwo"


async def test_a_session_goes_on_by_its_id(agent: AgentApi) -> None:
    async with gateway_of(agent, plugins=(Sessions(),), another_session="refuse", **QUICK) as gateway:
        for text in ("One", "Two"):
            gateway.client.headers["x-session"] = "s1"
            assert said(await ask(gateway, text)) == f"You said: {text}"
        gateway.client.headers["x-session"] = "s2"
        assert error_of(await ask(gateway, "Uno")) == (409, "agent_session_conflict")


async def test_nobody_goes_on_with_the_conversation_of_another(agent: AgentApi) -> None:
    async with gateway_of(agent, plugins=(Sessions(),), another_session="refuse", **QUICK) as gateway:
        gateway.client.headers.update({"x-session": "s1", "x-user": "ann"})
        await ask(gateway, "One")
        gateway.client.headers["x-user"] = "bob"
        assert error_of(await ask(gateway, "One", "You said: One", "Two")) == (409, "agent_session_conflict")


async def test_an_answer_that_failed_may_be_asked_for_again(agent: AgentApi) -> None:
    agent.faults["/messages"] = ["reset"]
    async with gateway_of(agent, another_session="refuse", **QUICK) as gateway:
        assert (await ask(gateway, "One")).status_code == 502
        assert said(await ask(gateway, "One")) == "You said: One"
        assert said(await ask(gateway, "One", "You said: One", "Two")) == "You said: Two"
    assert agent.sent() == ["One", "One", "Two"]


@pytest.mark.parametrize("partial", [["half an answer"], []], ids=["with what came", "without it"])
async def test_a_conversation_goes_on_after_an_answer_that_failed(agent: AgentApi, partial: list[str]) -> None:
    agent.faults["/messages"] = ["reset"]
    async with gateway_of(agent, another_session="refuse", **QUICK) as gateway:
        assert (await ask(gateway, "One")).status_code == 502
        turns = [
            {"role": "user", "content": "One"},
            *({"role": "assistant", "content": text} for text in partial),
            {"role": "user", "content": "Two"},
        ]
        assert said(await ask(gateway, *turns)) == "You said: Two"
    assert agent.sent() == ["One", "Two"]


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("\x1b[201~\rrm -rf /", "[201~\nrm -rf /"),
        ("a\x03b\x08c\x7f\x9b1m", "abc1m"),
        ("tab\tand\r\nbreak\n", "tab\tand\nbreak"),
        ("/clear", "Message:\n/clear"),
        ("!ls", "Message:\n!ls"),
        ("# note", "Message:\n# note"),
    ],
    ids=["end of paste", "keys", "white space", "slash command", "shell", "memory"],
)
async def test_a_text_types_nothing_but_itself(agent: AgentApi, text: str, typed: str) -> None:
    async with gateway_of(agent, **QUICK) as gateway:
        await ask(gateway, text)
    assert agent.sent() == [typed]


async def test_commands_pass_where_they_are_let(agent: AgentApi) -> None:
    async with gateway_of(agent, commands="pass", **QUICK) as gateway:
        await ask(gateway, "/compact")
    assert agent.sent() == ["/compact"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"messages": []}, "invalid_request"),
        ({"messages": [{"role": "user", "content": ""}]}, "invalid_request"),
        ({"messages": [{"role": "user", "content": " \x1b "}]}, "invalid_request"),
        ({"messages": [{"role": "user", "content": 5}]}, "invalid_request"),
        ({"messages": [{"content": "Hi"}]}, "invalid_request"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "invalid_request"),
        ({"messages": [{"role": "user", "content": "x" * 101}]}, "context_length_exceeded"),
        ({"n": 2}, "unsupported_value"),
        ({"tool_choice": "required"}, "unsupported_value"),
    ],
    ids=["none", "empty", "blank", "number", "no role", "video", "too long", "two answers", "forced tool"],
)
async def test_what_an_agent_cannot_do_is_refused(agent: AgentApi, fields: dict[str, Any], code: str) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], **fields}
    async with gateway_of(agent, max_prompt_chars=100, **QUICK) as gateway:
        answer = await gateway.client.post("/v1/chat/completions", json={"model": "coder", **body})
        assert error_of(answer) == (400, code)
        assert said(await ask(gateway, "Hi")) == "You said: Hi"
    assert agent.sent() == ["Hi"]
