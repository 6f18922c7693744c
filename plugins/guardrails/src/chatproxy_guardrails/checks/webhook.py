"""The check ``webhook``: asks a service of your own.

It is sent, with one entry in ``texts`` for each text::

    {"request_id": "req_1", "model": "gpt-5", "texts": [{"text": "Hi", "target": "input", "role": "user"}]}

It answers with status 200 and one verdict for each text, in order; places are counted in Unicode code points, the
first is 0, and ``end`` lies behind the last one::

    {"verdicts": [{"findings": [{"kind": "project_name", "start": 0, "end": 2}]}]}

or, shorter, with one verdict about everything that was sent, where ``kind`` may be left out::

    {"allow": false, "kind": "project_name"}

Other fields, other types, places outside the text and empty findings are no verdict. A kind has 1 to 64 letters,
digits, ``_``, ``.``, ``/``, ``:`` or ``-``.

With ``secret``, a request carries ``webhook-id``, ``webhook-timestamp`` (Unix time in seconds) and
``webhook-signature``: ``v1,`` and the Base64 form of HMAC-SHA256 over ``<id>.<timestamp>.<body>``.
Source: Standard Webhooks, "Symmetric signatures".
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import time
import uuid
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import msgspec

from chatproxy.types import RequestContext
from chatproxy_guardrails.checks.base import CheckType, Finding, Piece
from chatproxy_guardrails.checks.remote import Kind, RemoteOptions, RemoteService

_PREFIX = "whsec_"
Place = Annotated[int, msgspec.Meta(ge=0)]


class WebhookOptions(RemoteOptions, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check ``webhook``; `RemoteOptions` has the others.

    Attributes:
        secret: requests are signed with it; Base64 behind ``whsec_``, or else any text. Never shown.
    """

    secret: str = ""


class _Found(msgspec.Struct, forbid_unknown_fields=True):
    kind: Kind
    start: Place
    end: Place


class _Verdict(msgspec.Struct, forbid_unknown_fields=True):
    findings: list[_Found]


class _Verdicts(msgspec.Struct, forbid_unknown_fields=True):
    verdicts: list[_Verdict]


class _Allowance(msgspec.Struct, forbid_unknown_fields=True):
    allow: bool
    kind: Kind = "webhook"


_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Signer:
    """Signs bodies; raises ValueError for a secret that is not Base64 behind ``whsec_``."""

    def __init__(self, secret: str) -> None:
        try:
            self._key = (
                b64decode(secret[len(_PREFIX) :], validate=True) if secret.startswith(_PREFIX) else secret.encode()
            )
        except binascii.Error:
            raise ValueError("'secret' is wrong, wanted Base64 behind 'whsec_'") from None

    def __call__(self, body: bytes) -> dict[str, str]:
        """Headers for a body; each call makes an id of its own."""
        message_id, timestamp = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
        signed = b".".join((message_id.encode(), timestamp.encode(), body))
        digest = hmac.new(self._key, signed, hashlib.sha256).digest()
        return {
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{b64encode(digest).decode()}",
        }


class WebhookCheck:
    """Finds what the service says."""

    def __init__(self, options: WebhookOptions) -> None:
        self.window = options.window
        self.overlap = options.overlap
        self._service = RemoteService("webhook", options, sign=Signer(options.secret) if options.secret else None)

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """The connections to the service."""
        return self._service.lifespan()

    async def judge(self, ctx: RequestContext | None, pieces: Sequence[Piece]) -> Sequence[Sequence[Finding]]:
        """See `JudgeCheck.judge`."""
        if not pieces:
            return []
        question = {
            "request_id": ctx.request_id if ctx is not None else "",
            "model": ctx.exchange.model if ctx is not None else "",
            "texts": [piece._asdict() for piece in pieces],
        }
        return await self._service.ask(question, lambda body: _findings(body, pieces))


def _findings(body: bytes, pieces: Sequence[Piece]) -> list[list[Finding]]:
    reply = _decode(body)
    if "allow" in reply:
        verdict = msgspec.convert(reply, _Allowance)
        return [[] if verdict.allow else [Finding(0, len(piece.text), verdict.kind)] for piece in pieces]
    verdicts = msgspec.convert(reply, _Verdicts).verdicts
    if len(verdicts) != len(pieces):
        raise ValueError("wanted one verdict for each text")
    return [
        [_placed(found, piece.text) for found in verdict.findings]
        for verdict, piece in zip(verdicts, pieces, strict=True)
    ]


def _placed(found: _Found, text: str) -> Finding:
    if not found.start < found.end <= len(text):
        raise ValueError("wanted a place in the text")
    return Finding(found.start, found.end, found.kind)


CHECK = CheckType(
    options=WebhookOptions, make=WebhookCheck, summary="Asks a service of your own, and takes its verdict."
)
