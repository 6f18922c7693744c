"""What the tests of the responses surface share: an upstream that speaks it, clients, and a clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
from tests.hooks.cases import Plugin

from chatproxy import Principal
from chatproxy.sse import encode_frame
from chatproxy.testing import Fault, Gateway, Scripted, ScriptedUpstream, SeenRequest, make_app, raw_reply

Json = dict[str, Any]
NATIVE = {"default": {"base_url": "http://upstream/v1", "surfaces": ["responses"]}}
OPEN = {"queued", "in_progress"}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Native:
    """A script for `ScriptedUpstream` that speaks responses and numbers its answers.

    Args:
        outputs: items of the answers, in order; later ones are a message that says its number.
        fields: of the response object, in place of the usual ones.
    """

    def __init__(self, *outputs: list[Json], fault: Fault | None = None, named: bool = True, **fields: Any) -> None:
        self._outputs = list(outputs)
        self._fault = fault
        self._named = named
        self._fields = fields
        self._answered = 0

    def __call__(self, seen: SeenRequest) -> Scripted:
        self._answered += 1
        number = self._answered
        output = self._outputs.pop(0) if self._outputs else [message(f"answer {number}", f"msg_{number}")]
        whole = {**response(f"resp_{number}", output), **self._fields}
        if seen.json.get("stream") is not True:
            return raw_reply(msgspec.json.encode(whole), fault=self._fault)
        events = self._events(whole)
        return raw_reply(
            *(self._frame(event) for event in (events[:3] if self._fault else events)),
            content_type="text/event-stream",
            fault=self._fault,
        )

    def _frame(self, event: Json) -> bytes:
        return encode_frame(msgspec.json.encode(event), event=event["type"] if self._named else None)

    def _events(self, whole: Json) -> list[Json]:
        begun = {**whole, "status": "in_progress", "output": [], "usage": None}
        place = {"item_id": "msg_0", "output_index": 0, "content_index": 0}
        events: list[Json] = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
            {"type": "response.output_text.delta", **place, "delta": "answer"},
            {"type": f"response.{whole['status']}", "response": whole},
        ]
        return [{**event, "sequence_number": i} for i, event in enumerate(events)]


def message(text: str, item_id: str) -> Json:
    """An item that a model wrote."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": item_id, "type": "message", "status": "completed", "role": "assistant", "content": content}


def response(response_id: str, output: list[Json]) -> Json:
    """A response object as an upstream that stores everything sends it."""
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 12,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 21,
    }
    return {
        "id": response_id,
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "model": "m",
        "output": output,
        "previous_response_id": None,
        "store": True,
        "usage": usage,
    }


def native(*script: Callable[[SeenRequest], Scripted] | Scripted, plugins: Any = (), **settings: Any) -> Gateway:
    """A gateway over an upstream that speaks responses."""
    upstream = ScriptedUpstream(*(script or (Native(),)))
    return make_app(upstream=upstream, plugins=plugins, upstreams=NATIVE, **settings)


def two_principals() -> Plugin:
    """Authenticates whoever names themselves by their key."""

    async def authenticate(headers: Any) -> Principal | None:
        key = headers.get("authorization", "").removeprefix("Bearer ")
        return Principal(id=key) if key in {"ann", "bob"} else None

    return Plugin("keys", authenticate=authenticate)


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


def keeps_in(store: Any) -> Plugin:
    """A plugin that brings a session store."""
    return Plugin("store", session_store=lambda: store)


async def ask(
    app: Gateway, value: Any = "Hello.", *, headers: Any = None, path: str = "/v1/responses", **fields: Any
) -> Any:
    """Ask for a response; the whole answer."""
    return await app.client.post(path, json={"model": "m", "input": value, **fields}, headers=headers)


def upstream_of(app: Gateway) -> ScriptedUpstream:
    assert isinstance(app.upstream, ScriptedUpstream)
    return app.upstream


def sent(app: Gateway) -> Json:
    """The body of the last request that the upstream got."""
    body: Json = upstream_of(app).requests[-1].json
    return body


def said(items: list[Json]) -> list[str]:
    """The texts of a conversation."""
    contents = [item["content"] for item in items if "content" in item]
    return [content if isinstance(content, str) else content[0]["text"] for content in contents]


def shown(stream: str) -> list[Json]:
    """Every response object in a stream, in order."""
    data = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    return [event["response"] for event in map(json.loads, data) if "response" in event]


async def ended(app: Gateway, response_id: str, headers: Any = None) -> Json:
    """The response once it runs no more."""
    while True:
        found: Json = (await app.client.get(f"/v1/responses/{response_id}", headers=headers)).json()
        if found["status"] not in OPEN:
            return found
