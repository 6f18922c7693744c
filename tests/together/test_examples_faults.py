"""The handlers of examples/handlers where something goes wrong, against servers that do what they are told."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import httpx
import psutil
import pytest
from tests.examples.running import forget, load
from tests.faults.upstream import CHUNKED_HEAD, FaultUpstream, chunk, chunked, ok, reset

from chatproxy.testing import Gateway, ScriptedUpstream, text_of

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
ANSWER = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}
]}  # fmt: skip
CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
    {"index": 0, "delta": {"role": "assistant", "content": "fine"}, "finish_reason": None}
]}  # fmt: skip
END = {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def events(*data: dict[str, Any]) -> list[bytes]:
    return [*[f"data: {json.dumps(each)}\n\n".encode() for each in data], b"data: [DONE]\n\n"]


def fine(*, stream: bool) -> Any:
    return chunked(events(CHUNK, END)) if stream else ok(json.dumps(ANSWER).encode())


def failed(status: int) -> Any:
    error = {"message": "no", "type": "api_error", "param": None, "code": "no"}
    return ok(json.dumps({"error": error}).encode(), status=status)


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    forget(monkeypatch)
    return monkeypatch


def serving(module: ModuleType) -> Gateway:
    return Gateway(module.app, ScriptedUpstream())


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        return text_of(answer.content)
    return str(answer.json()["choices"][0]["message"]["content"])


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def anthropic_events(stop_reason: str) -> list[bytes]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": []}
    usage = {"input_tokens": 7, "output_tokens": 1}
    sent = [
        {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Bonjour"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in sent]


@pytest.mark.parametrize(
    ("stop_reason", "expected"), [("end_turn", "stop"), ("max_tokens", "length"), ("refusal", "content_filter")]
)
async def test_claude_tells_tokens_and_reason(stop_reason: str, expected: str, clean: pytest.MonkeyPatch) -> None:
    async with FaultUpstream(chunked(anthropic_events(stop_reason))) as claude:
        module = load("handlers/claude.py", clean, ANTHROPIC_BASE_URL=claude.url, ANTHROPIC_API_KEY="sk-ant")
        async with serving(module) as gateway:
            answer = await gateway.chat("Hello", model="claude-x", max_tokens=9)
    (choice,), usage = answer.json()["choices"], answer.json()["usage"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Bonjour", expected)
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (7, 3, 10)
    assert json.loads(claude.requests[0].body)["max_tokens"] == 9


@STREAMED
async def test_failure_of_claude_is_an_openai_error(stream: bool, clean: pytest.MonkeyPatch) -> None:
    async with FaultUpstream(failed(400)) as claude:
        module = load("handlers/claude.py", clean, ANTHROPIC_BASE_URL=claude.url, ANTHROPIC_API_KEY="sk-ant")
        async with serving(module) as gateway:
            answer = await gateway.chat("Hello", model="claude-x", stream=stream)
    assert "anthropic_error" in answer.text
    assert "Anthropic: " in answer.text


async def test_model_that_never_stops_calling_tools_is_stopped(clean: pytest.MonkeyPatch) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "nothing", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    calling = {**ANSWER, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    async with FaultUpstream(ok(json.dumps(calling).encode())) as upstream:
        module = load(
            "handlers/mcp_client.py", clean, PROXY_UPSTREAM_URL=upstream.url, PROXY_UPSTREAM_API_KEY="sk-none"
        )
        module.handler.backend = "upstream:default"
        async with serving(module) as gateway:
            assert error(await gateway.chat("Go on")) == (502, "too_many_rounds")
    first, *later = [json.loads(request.body) for request in upstream.requests]
    assert len(later) == module.MAX_ROUNDS - 1
    assert "get_current_time" in [tool["function"]["name"] for tool in first["tools"]]
    assert "nothing" in later[0]["messages"][-1]["content"]


async def test_model_is_told_that_the_mcp_server_died(clean: pytest.MonkeyPatch) -> None:
    module = load("handlers/mcp_client.py", clean)
    question = 'What is the time in the zone "Europe/Paris"?'
    async with serving(module) as gateway:
        assert "Europe/Paris" in said(await gateway.chat(question, model="any"))
        for process in psutil.Process().children():
            if "mcp_server_time" in process.cmdline():
                process.kill()
                process.wait(10)
        answer = await gateway.chat(question, model="any")
    assert "The tool failed" in said(answer)


@STREAMED
@pytest.mark.parametrize("status", [500, 429])
async def test_next_provider_answers_and_the_first_rests(status: int, stream: bool, clean: pytest.MonkeyPatch) -> None:
    async with FaultUpstream(failed(status)) as first, FaultUpstream(fine(stream=stream)) as second:
        module = load("handlers/fallback.py", clean, OPENAI_BASE_URL=first.url, MISTRAL_BASE_URL=second.url)
        async with serving(module) as gateway:
            answers = [said(await gateway.chat("Hello", model="any", stream=stream)) for _ in range(3)]
    assert answers == ["fine"] * 3
    assert (len(first.requests), len(second.requests)) == (1, 3)


async def test_fault_of_the_request_is_told_at_once(clean: pytest.MonkeyPatch) -> None:
    async with FaultUpstream(failed(400)) as first, FaultUpstream(fine(stream=False)) as second:
        module = load("handlers/fallback.py", clean, OPENAI_BASE_URL=first.url, MISTRAL_BASE_URL=second.url)
        async with serving(module) as gateway:
            answer = await gateway.chat("Hello", model="any")
    assert (answer.status_code, second.requests) == (400, [])


async def test_last_failure_is_told_where_all_fail(clean: pytest.MonkeyPatch) -> None:
    async with FaultUpstream(failed(503)) as all_of_them:
        names = ("OPENAI_BASE_URL", "MISTRAL_BASE_URL", "LOCAL_BASE_URL")
        module = load("handlers/fallback.py", clean, **dict.fromkeys(names, all_of_them.url))
        async with serving(module) as gateway:
            answers = [await gateway.chat("Hello", model="any") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert len(all_of_them.requests) == 6


def test_split_is_stable_and_deals_as_many_as_it_says(clean: pytest.MonkeyPatch) -> None:
    module = load("handlers/ab_split.py", clean)
    users = [f"user-{number}" for number in range(5000)]
    before = {user: module.variant_of(user).model for user in users}
    assert 950 < list(before.values()).count("assistant-b") < 1050
    first, second = module.VARIANTS
    module.VARIANTS = [first._replace(percent=90), second._replace(percent=10)]
    changed = {(before[user], after) for user in users if (after := module.variant_of(user).model) != before[user]}
    assert changed == {("assistant-b", "assistant-a")}


async def test_conversation_without_a_user_stays_with_its_variant(clean: pytest.MonkeyPatch) -> None:
    module = load("handlers/ab_split.py", clean)
    first = next(text for text in map(str, range(100)) if module.variant_of(text).model == "assistant-b")
    later = [{"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Go on"}]
    messages = [{"role": "user", "content": first}]
    async with serving(module) as gateway:
        answers = [await gateway.chat(None, model="x", messages=[*messages, *more]) for more in ([], later)]
    assert [answer.json()["model"] for answer in answers] == ["assistant-b"] * 2


def cached(clean: pytest.MonkeyPatch, upstream: FaultUpstream, **limits: Any) -> Gateway:
    """The cache before an upstream."""
    module = load("handlers/caching.py", clean, PROXY_UPSTREAM_URL=upstream.url, PROXY_UPSTREAM_API_KEY="sk-none")
    module.CachingHandler.backend = "upstream:default"
    for name, value in limits.items():
        setattr(module, name, value)
    return serving(module)


@STREAMED
async def test_second_answer_comes_from_memory(stream: bool, clean: pytest.MonkeyPatch) -> None:
    async with FaultUpstream(fine(stream=stream)) as upstream, cached(clean, upstream) as gateway:
        first, second = [await gateway.chat("Hello", model="m", stream=stream) for _ in range(2)]
        assert (said(first), first.content) == ("fine", second.content)
        assert len(upstream.requests) == 1
        await gateway.chat("Hello", model="m", stream=stream, user="ann")
        assert len(upstream.requests) == 2


async def test_stream_that_broke_off_is_not_kept(clean: pytest.MonkeyPatch) -> None:
    broken = reset(CHUNKED_HEAD + chunk(events(CHUNK)[0]))
    async with FaultUpstream(broken, fine(stream=True)) as upstream, cached(clean, upstream) as gateway:
        first = await gateway.chat("Hello", model="m", stream=True)
        second = await gateway.chat("Hello", model="m", stream=True)
    assert '"error"' in first.text
    assert (said(second), len(upstream.requests)) == ("fine", 2)


@pytest.mark.parametrize(
    ("limits", "asked"),
    [({"MAX_ANSWERS": 1}, 3), ({"MAX_CHARACTERS": 10}, 3), ({"TTL_S": 0.0}, 3), ({}, 2)],
    ids=["answers", "characters", "age", "none"],
)
async def test_memory_has_bounds(limits: dict[str, Any], asked: int, clean: pytest.MonkeyPatch) -> None:
    async with FaultUpstream(fine(stream=False)) as upstream, cached(clean, upstream, **limits) as gateway:
        for text in ("one", "two", "one"):
            assert said(await gateway.chat(text, model="m")) == "fine"
    assert len(upstream.requests) == asked


@STREAMED
async def test_refused_request_never_reaches_the_model(stream: bool, clean: pytest.MonkeyPatch) -> None:
    verdict = {"results": [{"flagged": True, "categories": {"violence": True, "hate": False}}]}
    async with FaultUpstream(ok(json.dumps(verdict).encode())) as judge, FaultUpstream() as model:
        module = load("handlers/moderation.py", clean, MODERATION_URL=judge.url, PROXY_UPSTREAM_URL=model.url)
        async with serving(module) as gateway:
            answer = await gateway.chat("Fight", model="m", stream=stream)
    assert error(answer) == (400, "content_policy_violation")
    assert answer.json()["error"]["message"] == "Refused, as it was found to be about violence."
    assert json.loads(judge.requests[0].body)["input"] == ["Fight"]
    assert model.requests == []


@pytest.mark.parametrize("verdict", [failed(500), ok(b"no JSON"), ok(b"{}")], ids=["500", "text", "empty"])
async def test_nothing_passes_without_moderation(verdict: Any, clean: pytest.MonkeyPatch) -> None:
    async with FaultUpstream(verdict) as judge, FaultUpstream() as model:
        module = load("handlers/moderation.py", clean, MODERATION_URL=judge.url, PROXY_UPSTREAM_URL=model.url)
        async with serving(module) as gateway:
            assert error(await gateway.chat("Hello", model="m")) == (503, "moderation_unavailable")
    assert model.requests == []
