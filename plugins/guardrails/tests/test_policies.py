"""Policies: whom they hold for, what they do, and what goes on record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import chatproxy_guardrails
import pytest
from chatproxy_guardrails.registry import CheckError, check_type, make_check

from chatproxy import Principal, hookimpl
from chatproxy.errors import ConfigError
from chatproxy.testing import Gateway, Recorder, ScriptedUpstream, make_app, reply
from chatproxy.types import RequestContext, ToolCall, ToolResult

Policy = dict[str, Any]


class Known:
    """Authenticates everybody who names himself."""

    chatproxy_name = "known"

    @hookimpl
    async def authenticate(self, headers: Mapping[str, str]) -> Principal | None:
        """The key is the name; those of the team have a tag."""
        name = headers.get("authorization", "").removeprefix("Bearer ")
        return Principal(id=name, attributes={"tags": ["team"] if name.startswith("t") else []}) if name else None


def gateway_with(*policies: Policy, plugins: tuple[Any, ...] = (), upstream: Any = None, **settings: Any) -> Gateway:
    tables = {"guardrails": {"policy": [{"name": "no-secret", "check": "probe_word", **one} for one in policies]}}
    tables["guardrails"].update(settings)
    return make_app(plugins=[chatproxy_guardrails, *plugins], plugin_settings=tables, upstream=upstream)


async def status_for(policy: Policy, *, model: str = "gpt-5", name: str | None = None) -> int:
    async with gateway_with(policy, plugins=(Known(),) if name else ()) as gateway:
        answer = await gateway.client.post(
            "/v1/chat/completions",
            json={"model": model, "messages": [{"role": "user", "content": "a SECRET"}]},
            headers={"authorization": f"Bearer {name}"} if name else {},
        )
    return answer.status_code


@pytest.mark.parametrize(
    ("policy", "model", "name", "status"),
    [
        ({}, "gpt-5", None, 400),
        ({"models": ["gpt-*"]}, "gpt-5", None, 400),
        ({"models": ["claude-*"]}, "gpt-5", None, 200),
        ({"keys": ["tim"]}, "gpt-5", "tim", 400),
        ({"keys": ["t*"]}, "gpt-5", "ann", 200),
        ({"keys": ["t*"]}, "gpt-5", None, 200),
        ({"tags": ["team"]}, "gpt-5", "tim", 400),
        ({"tags": ["team"]}, "gpt-5", "ann", 200),
        ({"roles": ["system"]}, "gpt-5", None, 200),
        ({"roles": ["user"]}, "gpt-5", None, 400),
        ({"on": ["output"]}, "gpt-5", None, 200),
    ],
)
async def test_policy_holds_for_those_it_names(policy: Policy, model: str, name: str | None, status: int) -> None:
    assert await status_for(policy, model=model, name=name) == status


async def test_blocked_request_names_the_policy_and_asks_no_model() -> None:
    upstream = ScriptedUpstream()
    async with gateway_with({}, upstream=upstream) as gateway:
        answer = await gateway.chat("a SECRET")
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "The request was blocked by the policy 'no-secret'.",
        "type": "invalid_request_error",
        "param": None,
        "code": "content_filter",
    }
    assert upstream.requests == []


async def test_policies_that_rewrite_act_in_their_order() -> None:
    upstream = ScriptedUpstream()
    async with gateway_with(
        {"name": "first", "action": "redact", "replacement": "a TOKEN"},
        {"name": "second", "action": "redact", "replacement": "<{kind}>", "options": {"words": ["TOKEN"]}},
        {"name": "third", "options": {"words": ["SECRET"]}},
        upstream=upstream,
    ) as gateway:
        answer = await gateway.chat("SECRET")
    assert answer.status_code == 200
    assert upstream.requests[0].json["messages"][0]["content"] == "a <word>"


@pytest.mark.parametrize("act", ["fail", "hang"])
@pytest.mark.parametrize(("on_error", "status"), [("closed", 503), ("open", 200)])
async def test_a_check_that_fails_follows_its_policy(act: str, on_error: str, status: int) -> None:
    recorder = Recorder()
    policy = {"check": "probe_judge", "options": {"act": act}, "on_error": on_error, "timeout_s": 0.05}
    async with gateway_with({**policy, "on": ["input"]}, plugins=(recorder,)) as gateway:
        answer = await gateway.chat("hello")
        await recorder.wait()
    assert answer.status_code == status
    (verdict,) = recorder.exchanges[0].notes["guardrails"]["verdicts"]
    assert (verdict["outcome"], verdict["findings"]) == ("failed", {"check_failed": 1})
    if status == 503:
        assert answer.json()["error"]["code"] == "guardrail_failed"


async def test_judges_get_every_text_of_a_request_at_once() -> None:
    judge = check_type("probe_judge").make(make_check("probe_judge", {}).options).__class__
    judge.asked.clear()
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    async with gateway_with({"check": "probe_judge", "on": ["input"]}) as gateway:
        await gateway.chat(messages=messages)
    assert judge.asked == [["Be brief.", "Hi"]]


@pytest.mark.parametrize("target", ["input", "output"])
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_checks_that_only_read_run_at_the_same_time(target: str, stream: bool) -> None:
    meeting = {"check": "probe_judge", "options": {"act": "meet"}, "on": [target]}
    both = ({**meeting, "name": "one"}, {**meeting, "name": "two", "action": "flag"})
    async with gateway_with(*both) as gateway:
        answer = await gateway.chat("hello", stream=stream)
    assert answer.status_code == 200
    assert "guardrail_failed" not in answer.text


async def test_blocked_reply_says_the_refusal() -> None:
    upstream = ScriptedUpstream(reply("a SECRET"))
    async with gateway_with({"on": ["output"], "refusal": "I cannot say."}, upstream=upstream) as gateway:
        answer = await gateway.chat("hello")
    (choice,) = answer.json()["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("content_filter", "I cannot say.")
    assert answer.json()["usage"]["total_tokens"] > 0


class Tools:
    """Runs a tool by the gateway and notes what it got and what came back."""

    chatproxy_name = "tools"

    def __init__(self) -> None:
        self.got: Any = None
        self.result: Any = None

    @hookimpl
    async def around_execute(self, ctx: RequestContext, request: Any, call_next: Any) -> Any:
        """One call before the model's turn."""
        call = ToolCall(id="1", name="mail", arguments={"to": ["[WORD_1]"], "n": 1})

        async def run(call: ToolCall) -> ToolResult:
            self.got = call.arguments
            return ToolResult(content=[{"type": "text", "text": "sent to SECRET"}])

        self.result = (await ctx.call_tool(call, run)).content
        return await call_next(request)


async def test_gateway_tools_get_the_values_and_models_the_placeholders() -> None:
    tools = Tools()
    async with gateway_with({"action": "mask_reversibly"}, plugins=(tools,)) as gateway:
        answer = await gateway.chat("a SECRET")
    assert answer.status_code == 200
    assert tools.got == {"to": ["SECRET"], "n": 1}
    assert tools.result == [{"type": "text", "text": "sent to [WORD_1]"}]


async def test_blocked_tool_result_never_reaches_a_model() -> None:
    tools, upstream = Tools(), ScriptedUpstream()
    async with gateway_with({"on": ["tool_results"]}, plugins=(tools,), upstream=upstream) as gateway:
        answer = await gateway.chat("hello")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter")
    assert upstream.requests == []


async def test_status_counts_exchanges_by_what_was_done() -> None:
    async with gateway_with({"on": ["input"]}) as gateway:
        for text in ("a SECRET", "fine", "SECRET SECRET"):
            await gateway.chat(text)
        answer = await gateway.client.get("/plugins/guardrails/status")
    assert answer.json()["policies"] == [
        {
            "policy": "no-secret",
            "check": "probe_word",
            "action": "block",
            "mode": "enforce",
            "on": ["input"],
            "exchanges": {"blocked": 2},
        }
    ]


async def test_nothing_is_checked_without_policies(caplog: pytest.LogCaptureFixture) -> None:
    async with make_app(plugins=[chatproxy_guardrails]) as gateway:
        answer = await gateway.chat("a SECRET")
    assert answer.status_code == 200
    assert "no policy" in caplog.text


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ([{"check": "secretz"}], "did you mean 'secrets'"),
        ([{"check": "probe_broken"}], "guardrails-probe"),
        ([{"check": "probe_missing"}], "cannot be loaded"),
        ([{"options": {"word": "x"}}], "word"),
        ([{}, {}], "two policies are called 'no-secret'"),
        ([{"check": "probe_judge", "action": "mask_reversibly"}], "could be masked"),
        ([{"action": "blok"}], "blok"),
        ([{"on": ["inputs"]}], "inputs"),
        ([{"timeout_s": 0}], "timeout_s"),
    ],
)
def test_wrong_policies_are_refused_at_start(policies: list[Policy], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        gateway_with(*policies)


def test_unknown_check_is_named() -> None:
    with pytest.raises(CheckError, match="no check is called 'nothing'"):
        make_check("nothing", {})


async def test_verdicts_hold_no_text_of_the_exchange(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    recorder, upstream = Recorder(), ScriptedUpstream(reply("your SECRET"))
    async with gateway_with({"action": "redact"}, plugins=(recorder,), upstream=upstream) as gateway:
        await gateway.chat("my SECRET")
        await recorder.wait()
    (exchange,) = recorder.exchanges
    assert [verdict["on"] for verdict in exchange.notes["guardrails"]["verdicts"]] == ["input", "output"]
    assert "SECRET" not in json.dumps(exchange.notes) + caplog.text
