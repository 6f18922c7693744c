"""What one span must be by itself: its kind, its name, its attributes and its status.

Rule: looks at no other span, and changes nothing.
Sources: semantic-conventions, ``docs/gen-ai/gen-ai-spans.md``, ``docs/gen-ai/mcp.md``, ``docs/http/http-spans.md``,
``docs/general/recording-errors.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from chatproxy.testing.semconv_registry import (
    AGENT,
    AGENT_OPERATIONS,
    CLIENT,
    EMBEDDINGS,
    INFERENCE,
    JSON_LISTS,
    MCP,
    OTHER,
    RESERVED,
    SERVER,
    SPELLINGS,
    TEMPLATES,
    TOOL,
    TYPES,
    VALUES,
    SpanType,
    Type,
)

Attributes = Mapping[str, Any]


class SpanLike(Protocol):
    """What is read of a span; the SDK's ``ReadableSpan`` has it."""

    name: Any
    context: Any
    parent: Any
    kind: Any
    attributes: Any
    events: Any
    status: Any
    start_time: Any
    end_time: Any


def type_of(span: SpanLike) -> SpanType:
    """Which kind of span the conventions take it for."""
    attributes: Attributes = span.attributes or {}
    kind = span.kind.name
    if "mcp.method.name" in attributes and kind != "INTERNAL":
        return MCP
    operation = attributes.get("gen_ai.operation.name")
    if operation is not None:
        if operation in AGENT_OPERATIONS:
            return AGENT
        return {"execute_tool": TOOL, "embeddings": EMBEDDINGS}.get(operation, INFERENCE)
    if "http.request.method" in attributes:
        return {"SERVER": SERVER, "CLIENT": CLIENT}.get(kind, OTHER)
    return OTHER


def span_faults(span: SpanLike) -> Iterator[str]:
    """What is wrong with a span, one clause for each fault."""
    kind, attributes = type_of(span), span.attributes or {}
    if span.kind.name not in kind.kinds:
        yield f"kind is {span.kind.name}, a span of {kind.name} is {' or '.join(sorted(kind.kinds))}"
    yield from (f"lacks {name}, which {kind.name} requires" for name in kind.required if name not in attributes)
    yield from _name_faults(span, kind, attributes)
    for name, value in attributes.items():
        yield from _attribute_faults(name, value)
    yield from _error_faults(span, kind, attributes)
    if kind in _MORE:
        yield from _MORE[kind](span, attributes)
    for event in span.events or ():
        yield from (f"event {event.name!r}: {fault}" for fault in _event_faults(event))


def _name_faults(span: SpanLike, kind: SpanType, attributes: Attributes) -> Iterator[str]:
    wanted = _name(kind, attributes)
    if wanted is not None and span.name != wanted:
        yield f"its name should be {wanted!r}"


def _name(kind: SpanType, attributes: Attributes) -> str | None:
    if kind in {SERVER, CLIENT}:
        method = attributes.get("http.request.method", "")
        target = attributes.get("http.route" if kind is SERVER else "url.template")
        return " ".join(filter(None, ["HTTP" if method == "_OTHER" else method, target]))
    operation = attributes.get("gen_ai.operation.name", "")
    if kind in {INFERENCE, EMBEDDINGS}:
        return " ".join(filter(None, [operation, attributes.get("gen_ai.request.model")]))
    if kind is TOOL:
        return " ".join(filter(None, [operation, attributes.get("gen_ai.tool.name")]))
    if kind is MCP:
        target = attributes.get("gen_ai.tool.name") or attributes.get("gen_ai.prompt.name")
        return " ".join(filter(None, [attributes["mcp.method.name"], target]))
    return None


def _attribute_faults(name: str, value: Any) -> Iterator[str]:
    kind = TYPES.get(name)
    if kind is None:
        if name.startswith(RESERVED) and not name.startswith(TEMPLATES):
            yield f"{name} is in a reserved namespace, and no convention knows it"
        return
    if not _fits(value, kind):
        yield f"{name} is {value!r}, its type is {kind}"
    elif name in VALUES and value not in VALUES[name]:
        yield f"{name} is {value!r}, only {', '.join(sorted(VALUES[name]))} are known"
    elif value == "" and name.startswith(("gen_ai.", "server.", "error.")):
        yield f"{name} is empty; leave it out"
    elif name in SPELLINGS:
        known = {_plain(spelling): spelling for spelling in SPELLINGS[name]}.get(_plain(value), value)
        if known != value:
            yield f"{name} is {value!r}, it is spelt {known!r}"
    elif name in JSON_LISTS and not _is_json_list(value):
        yield f"{name} is no JSON list: {value[:40]!r}"


def _fits(value: Any, kind: Type) -> bool:
    if kind == "string[]":
        return isinstance(value, list | tuple) and all(type(item) is str for item in value)
    return type(value) is {"string": str, "int": int, "double": float, "boolean": bool}[kind]


def _is_json_list(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), list)
    except msgspec.DecodeError:
        return False


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _error_faults(span: SpanLike, kind: SpanType, attributes: Attributes) -> Iterator[str]:
    failed = span.status.status_code.name == "ERROR"
    if failed and "error.type" not in attributes and kind is not OTHER:
        yield "its status is ERROR, and it lacks error.type"
    if not failed and "error.type" in attributes:
        yield f"error.type is {attributes['error.type']!r}, and its status is {span.status.status_code.name}"
    if not failed and span.status.description:
        yield "only the status ERROR has a description"


def _server_faults(span: SpanLike, attributes: Attributes) -> Iterator[str]:
    yield from _http_faults(attributes)
    path, status = str(attributes.get("url.path", "/")), attributes.get("http.response.status_code")
    failed = span.status.status_code.name == "ERROR"
    if not path.startswith("/") or "?" in path:
        yield f"url.path is {path!r}, a path without its query is wanted"
    if status is not None and status >= 500 and not failed:
        yield f"it answered {status}, its status should be ERROR"
    if status is not None and 400 <= status < 500 and failed:
        yield f"it answered {status}, which is the client's error: its status should be UNSET"


def _client_faults(span: SpanLike, attributes: Attributes) -> Iterator[str]:
    yield from _http_faults(attributes)
    url, status = urlsplit(str(attributes.get("url.full", "http://x"))), attributes.get("http.response.status_code")
    if not url.scheme or not url.hostname:
        yield f"url.full is {attributes['url.full']!r}, an absolute URL is wanted"
    if (url.username or url.password) and (url.username, url.password) != ("REDACTED", "REDACTED"):
        yield "url.full holds credentials"
    if status is not None and status >= 400 and span.status.status_code.name != "ERROR":
        yield f"it was answered {status}, its status should be ERROR"
    if attributes.get("http.request.resend_count", 1) < 1:
        yield "http.request.resend_count is left out where nothing was sent again"


def _http_faults(attributes: Attributes) -> Iterator[str]:
    other, original = attributes.get("http.request.method") == "_OTHER", "http.request.method_original" in attributes
    if other and not original:
        yield "http.request.method is '_OTHER', and it lacks http.request.method_original"
    if not 100 <= attributes.get("http.response.status_code", 200) <= 599:
        yield f"http.response.status_code is {attributes['http.response.status_code']}"
    yield from _address_faults(attributes)


def _address_faults(attributes: Attributes) -> Iterator[str]:
    if "server.port" in attributes and "server.address" not in attributes:
        yield "server.port means nothing without server.address"
    address = str(attributes.get("server.address", ""))
    if "/" in address.removeprefix("/") and not address.startswith("/"):
        yield f"server.address is {address!r}, a host is wanted"


def _model_faults(span: SpanLike, attributes: Attributes) -> Iterator[str]:
    yield from _address_faults(attributes)
    if "server.address" in attributes and "server.port" not in attributes:
        yield "lacks server.port, which is required beside server.address"
    if attributes.get("gen_ai.request.stream") is False:
        yield "gen_ai.request.stream is set only where it is true"
    if "gen_ai.response.time_to_first_chunk" in attributes and "gen_ai.request.stream" not in attributes:
        yield "gen_ai.response.time_to_first_chunk is of streams only, see gen_ai.request.stream"
    if attributes.get("gen_ai.request.choice.count") == 1:
        yield "gen_ai.request.choice.count is set only where it is not 1"
    if attributes.get("gen_ai.response.finish_reasons") in ([], ()):
        yield "gen_ai.response.finish_reasons is empty; leave it out"
    yield from _usage_faults(attributes)


def _embeddings_faults(span: SpanLike, attributes: Attributes) -> Iterator[str]:
    yield from _model_faults(span, attributes)
    if "gen_ai.usage.output_tokens" in attributes:
        yield "gen_ai.usage.output_tokens is not of embeddings, which write nothing"


def _usage_faults(attributes: Attributes) -> Iterator[str]:
    for name, value in attributes.items():
        if not name.startswith("gen_ai.usage.") or type(value) is not int:
            continue
        whole = "gen_ai.usage." + name.rpartition(".")[2]
        if value < 0:
            yield f"{name} is {value}"
        if value > attributes.get(whole, -1):
            yield f"{name} is {value}, a part of {whole}, which is {attributes.get(whole)}"


def _event_faults(event: Any) -> Iterator[str]:
    attributes: Attributes = event.attributes or {}
    if event.name == "exception" and not {"exception.type", "exception.message"} & set(attributes):
        yield "lacks exception.type or exception.message"
    for name, value in attributes.items():
        yield from _attribute_faults(name, value)


_MORE: Mapping[SpanType, Callable[[SpanLike, Attributes], Iterator[str]]] = {
    SERVER: _server_faults,
    CLIENT: _client_faults,
    INFERENCE: _model_faults,
    EMBEDDINGS: _embeddings_faults,
}
