"""Between the two forms of a chat answer: chunks put together, and a whole answer cut into chunks."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator, Mapping
from typing import Any

from chatproxy.handlers.base import chunk, delta
from chatproxy.types.assembly_chat import ChatAssembly

Json = dict[str, Any]


async def assembled(events: AsyncIterable[Mapping[str, Any] | str], model: str) -> Json:
    """Read a stream of chunks or plain texts to its end and return the buffered form."""
    assembly = ChatAssembly()
    async for event in as_chunks(events, model):
        assembly.add(event)
    return assembly.result(model)


async def as_chunks(events: AsyncIterable[Mapping[str, Any] | str], model: str) -> Any:
    """Chunks of a stream whose items may be plain texts: one id, a role first, a finish reason last."""
    shared = None
    finished = False
    async for event in events:
        if not isinstance(event, str):
            finished = finished or any(c.get("finish_reason") for c in event.get("choices") or ())
            yield event
            continue
        if shared is None:
            first = chunk([delta({"role": "assistant", "content": ""})], model=model)
            shared = {"completion_id": first["id"], "created": first["created"]}
            yield first
        yield chunk(event, model=model, **shared)
    if not finished:
        yield chunk([delta({}, finish_reason="stop")], model=model, **(shared or {}))


def cut(response: Mapping[str, Any]) -> Iterator[Json]:
    """A whole answer as the chunks of a stream: role, message, finish reason, usage."""
    shared: Json = {
        "model": response.get("model") or "",
        "completion_id": response.get("id"),
        "created": response.get("created"),
    }
    for part in response.get("choices") or ():
        index, said = part.get("index", 0), dict(part.get("message") or {})
        if said.get("tool_calls"):
            said["tool_calls"] = [{"index": i, **call} for i, call in enumerate(said["tool_calls"])]
        said = {key: value for key, value in said.items() if value is not None and value != []}
        yield chunk([delta({"role": "assistant", **said}, index=index)], **shared)
        yield chunk([delta({}, index=index, finish_reason=part.get("finish_reason") or "stop")], **shared)
    if isinstance(response.get("usage"), Mapping):
        yield chunk(usage=response["usage"], **shared)
