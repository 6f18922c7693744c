"""Between the two forms of a chat answer: chunks put together, and a whole answer cut into chunks."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator, Mapping
from typing import Any

from chatproxy.handlers.base import choice, chunk, completion, delta, message

Json = dict[str, Any]


class Assembly:
    """Collects the chunks of a streamed chat answer; `result` is the buffered form."""

    def __init__(self) -> None:
        self._head: Json = {}
        self._messages: dict[int, Json] = {}
        self._reasons: dict[int, str] = {}
        self._usage: Mapping[str, Any] | None = None

    def add(self, event: Mapping[str, Any]) -> None:
        """Take the next chunk."""
        self._head = self._head or {key: event[key] for key in ("id", "created", "model") if key in event}
        if isinstance(event.get("usage"), Mapping):
            self._usage = event["usage"]
        for part in event.get("choices") or ():
            index = part.get("index", 0)
            self._extend(self._messages.setdefault(index, message(None)), part.get("delta") or {})
            if part.get("finish_reason"):
                self._reasons[index] = part["finish_reason"]

    def result(self, model: str) -> Json:
        """The ``chat.completion`` object; ``model`` stands in where no chunk named one."""
        choices = [
            choice(said, index=index, finish_reason=self._reasons.get(index, "stop"))
            for index, said in sorted(self._messages.items())
        ]
        return completion(
            choices,
            model=self._head.get("model") or model,
            completion_id=self._head.get("id"),
            created=self._head.get("created"),
            usage=self._usage,
        )

    @staticmethod
    def _extend(said: Json, part: Mapping[str, Any]) -> None:
        for key, value in part.items():
            if key == "tool_calls":
                _extend_calls(said.setdefault("tool_calls", []), value)
            elif key != "role" and isinstance(value, str):
                said[key] = (said.get(key) or "") + value
            elif value is not None and key != "role":
                said[key] = value


def _extend_calls(calls: list[Json], parts: Any) -> None:
    for part in parts or ():
        index = part.get("index", len(calls))
        while len(calls) <= index:
            calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        call, function = calls[index], part.get("function") or {}
        call["id"] = part.get("id") or call["id"]
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""


async def assembled(events: AsyncIterable[Mapping[str, Any] | str], model: str) -> Json:
    """Read a stream of chunks or plain texts to its end and return the buffered form."""
    assembly = Assembly()
    async for event in events:
        assembly.add(chunk(event, model=model) if isinstance(event, str) else event)
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
