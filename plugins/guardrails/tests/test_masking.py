"""Reversible masking: who gets the values, and who never does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import chatproxy_guardrails
from chatproxy_guardrails.masking import Vault

from chatproxy import Principal, hookimpl
from chatproxy.testing import Gateway, ScriptedUpstream, make_app, reply, stream_reply, text_of


class Known:
    """Authenticates everybody who names himself."""

    chatproxy_name = "known"

    @hookimpl
    async def authenticate(self, headers: Mapping[str, str]) -> Principal | None:
        """The key is the name."""
        name = headers.get("authorization", "").removeprefix("Bearer ")
        return Principal(id=name) if name else None


def gateway_with(upstream: Any, **settings: Any) -> Gateway:
    policy = {
        "name": "mask",
        "check": "probe_word",
        "action": "mask_reversibly",
        "options": {"words": ["ANNA", "BERT"]},
    }
    tables = {"guardrails": {"policy": [policy], **settings}}
    return make_app(plugins=[chatproxy_guardrails, Known()], plugin_settings=tables, upstream=upstream)


async def ask(gateway: Gateway, text: str, *, name: str = "tim", session: str | None = None, **fields: Any) -> Any:
    headers = {"authorization": f"Bearer {name}", **({"x-session-id": session} if session else {})}
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
    return await gateway.client.post("/v1/chat/completions", json=body, headers=headers)


def sent(upstream: ScriptedUpstream, number: int = 0) -> str:
    content: str = upstream.requests[number].json["messages"][0]["content"]
    return content


async def test_the_same_value_has_the_same_placeholder() -> None:
    upstream = ScriptedUpstream(reply("[WORD_2] and [WORD_1]"))
    async with gateway_with(upstream) as gateway:
        answer = await ask(gateway, "ANNA, BERT, ANNA")
    assert sent(upstream) == "[WORD_1], [WORD_2], [WORD_1]"
    assert answer.json()["choices"][0]["message"]["content"] == "BERT and ANNA"


async def test_streamed_placeholders_come_back_however_they_are_cut() -> None:
    for pieces in (["[", "WORD", "_", "1", "]", "!"], ["so [WOR", "D_1]!"], ["[WORD_1", "]! [WORD_", "9] [x"]):
        upstream = ScriptedUpstream(stream_reply(pieces))
        async with gateway_with(upstream) as gateway:
            answer = await ask(gateway, "ANNA", stream=True)
        assert text_of(answer.content) == "".join(pieces).replace("[WORD_1]", "ANNA")


async def test_placeholder_that_a_client_wrote_is_not_given_again() -> None:
    vault = Vault()
    vault.reserve(["see [EMAIL_1] and [EMAIL_2"])
    assert [vault.mask("email", value) for value in ("a@x.org", "b@x.org", "a@x.org")] == [
        "[EMAIL_2]", "[EMAIL_3]", "[EMAIL_2]",
    ]  # fmt: skip
    assert vault.value("[EMAIL_1]") == "[EMAIL_1]"


async def test_values_never_reach_another_exchange() -> None:
    upstream = ScriptedUpstream(reply("[WORD_1]"), reply("[WORD_1]"))
    async with gateway_with(upstream) as gateway:
        await ask(gateway, "ANNA", session="s")
        answer = await ask(gateway, "hello", session="s")
    assert answer.json()["choices"][0]["message"]["content"] == "[WORD_1]"


async def test_values_of_a_session_last_but_belong_to_one_principal() -> None:
    upstream = ScriptedUpstream(*[reply("[WORD_1]") for _ in range(4)])
    async with gateway_with(upstream, mask_scope="session") as gateway:
        await ask(gateway, "ANNA", session="s")
        answers = [
            await ask(gateway, "hello", session="s"),
            await ask(gateway, "hello", session="s", name="eve"),
            await ask(gateway, "hello", session="t"),
        ]
    said = [answer.json()["choices"][0]["message"]["content"] for answer in answers]
    assert said == ["ANNA", "[WORD_1]", "[WORD_1]"]
