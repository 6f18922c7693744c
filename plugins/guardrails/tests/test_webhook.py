"""The check ``webhook``, against a real server on loopback."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from typing import Any

import msgspec
import pytest
from chatproxy_guardrails.checks.base import CheckFailedError, Finding, Piece
from chatproxy_guardrails.checks.webhook import CHECK

from chatproxy import ChatRequest, RequestContext, hookimpl
from chatproxy.testing import make_app

Service = Any  # of conftest.py


def check_at(service: Service, **options: Any) -> Any:
    return CHECK.make(msgspec.convert({"url": service.url, "timeout_s": 5.0, **options}, CHECK.options))


PIECES = [Piece("Hi 🙂 all", "input", "user"), Piece("fine", "output", "assistant")]


async def judged(check: Any, ctx: RequestContext | None = None) -> list[list[Finding]]:
    async with check.lifespan():
        return [list(findings) for findings in await check.judge(ctx, PIECES)]


async def test_texts_are_sent_with_their_target_and_role(service: Service) -> None:
    service.reply = {"allow": True}
    assert await judged(check_at(service)) == [[], []]
    assert service.questions == [
        {
            "request_id": "",
            "model": "",
            "texts": [
                {"text": "Hi 🙂 all", "target": "input", "role": "user"},
                {"text": "fine", "target": "output", "role": "assistant"},
            ],
        }
    ]


async def test_exchange_is_named(service: Service) -> None:
    class Asking:
        @hookimpl
        async def before_request(self, ctx: RequestContext, request: ChatRequest) -> None:
            await judged(check_at(service), ctx)

    service.reply = {"allow": True}
    async with make_app(plugins=[Asking()]) as gateway:
        answer = await gateway.chat("Hi", model="scripted")
    assert answer.status_code == 200
    (question,) = service.questions
    assert question["request_id"] == answer.headers["x-request-id"]
    assert question["model"] == "scripted"


async def test_places_are_counted_in_code_points(service: Service) -> None:
    finding = {"kind": "word", "start": 5, "end": 8}
    service.reply = {"verdicts": [{"findings": [finding]}, {"findings": []}]}
    assert await judged(check_at(service)) == [[Finding(5, 8, "word")], []]
    assert PIECES[0].text[5:8] == "all"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [({"allow": False, "kind": "secret_project"}, "secret_project"), ({"allow": False}, "webhook")],
    ids=["named", "unnamed"],
)
async def test_short_form_is_about_everything(service: Service, reply: Any, kind: str) -> None:
    service.reply = reply
    assert await judged(check_at(service)) == [[Finding(0, 8, kind)], [Finding(0, 4, kind)]]


def verdict(**changes: Any) -> dict[str, Any]:
    finding = {"kind": "word", "start": 0, "end": 2, **changes}
    return {"verdicts": [{"findings": [finding]}, {"findings": []}]}


NO_VERDICTS: dict[str, Any] = {
    "nothing": {},
    "null": None,
    "a list": [],
    "too few": {"verdicts": [{"findings": []}]},
    "too many": {"verdicts": [{"findings": []}] * 3},
    "no findings": {"verdicts": [{}, {}]},
    "two forms": {"allow": True, "verdicts": []},
    "allow is a text": {"allow": "no"},
    "other field": {"allow": True, "why": "x"},
    "behind the end": verdict(end=9),
    "before the start": verdict(start=-1),
    "empty": verdict(start=2),
    "no whole number": verdict(end=1.5),
    "no kind": verdict(kind=None),
    "kind that is a text": verdict(kind="what was said"),
    "long kind": verdict(kind="k" * 65),
    "kind with a line break": verdict(kind="k\n"),
}


@pytest.mark.parametrize("reply", NO_VERDICTS.values(), ids=NO_VERDICTS.keys())
async def test_reply_of_another_shape_is_no_verdict(service: Service, reply: Any) -> None:
    service.reply = reply
    with pytest.raises(CheckFailedError, match="no verdict"):
        await judged(check_at(service))


def header(head: str, name: str) -> str:
    found = re.search(rf"\r\n{name}: ([^\r]*)\r\n", head, re.IGNORECASE)
    return "" if found is None else found[1]


@pytest.mark.parametrize(
    ("secret", "key"),
    [("plain text", b"plain text"), ("whsec_MfKQ9r8GKYqrTwjU", b64decode("MfKQ9r8GKYqrTwjU"))],
    ids=["text", "Base64"],
)
async def test_requests_are_signed_each_with_its_own_id(service: Service, secret: str, key: bytes) -> None:
    service.reply = {"allow": True}
    check = check_at(service, secret=secret)
    for _ in range(2):
        await judged(check)
    for head, body in zip(service.heads, service.bodies, strict=True):
        signed = f"{header(head, 'webhook-id')}.{header(head, 'webhook-timestamp')}.".encode() + body
        expected = b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert header(head, "webhook-signature") == f"v1,{expected}"
        assert header(head, "webhook-timestamp").isdigit()
    assert len({header(head, "webhook-id") for head in service.heads}) == 2


async def test_requests_without_a_secret_are_not_signed(service: Service) -> None:
    service.reply = {"allow": True}
    await judged(check_at(service))
    assert header(service.heads[0], "webhook-signature") == ""


async def test_nothing_is_asked_about_nothing(service: Service) -> None:
    check = check_at(service)
    async with check.lifespan():
        assert await check.judge(None, []) == []
    assert service.heads == []


async def test_wrong_secret_is_refused_without_showing_it(service: Service) -> None:
    with pytest.raises(ValueError, match="'secret' is wrong") as refused:
        check_at(service, secret="whsec_hush!")
    assert "hush" not in str(refused.value)
