"""Tools: what a model may call, and the handlers that are called."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self

import msgspec

from chatproxy_sdk.agent.arguments import ArgumentsError, converted, decoded, fitted
from chatproxy_sdk.agent.config import FailurePolicy
from chatproxy_sdk.agent.handlers import Handler, Threads, is_generator
from chatproxy_sdk.agent.results import content_of, cut, writable
from chatproxy_sdk.agent.schema import Function, function_name, function_schema, function_text, signature_of
from chatproxy_sdk.exceptions import ConfigurationError, ToolExecutionError
from chatproxy_sdk.messages import Message, MessageRole, ToolCall

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_RESULT_CHARS = 100_000


def _no_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


@dataclass
class Tool:
    """What a model is told of a function that it may call.

    Attributes:
        name: 1 to 64 letters, digits, ``_`` and ``-``.
        parameters: JSON Schema of an object.
        strict: whether the server shall hold the model to the schema; None leaves it to the server.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=_no_parameters)
    strict: bool | None = None

    @classmethod
    def from_function(cls, fn: Function, *, name: str | None = None, description: str | None = None) -> Self:
        """The tool that a function's name, type hints and docstring describe.

        Raises:
            ConfigurationError: the name cannot be used, or a parameter has no hint or cannot be given by name.
        """
        name = function_name(fn) if name is None else name
        _check_name(name)
        described = function_text(fn) if description is None else description
        return cls(name=name, description=described, parameters=function_schema(fn))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """A tool from OpenAI's form, with or without ``{"type": "function", "function": …}`` around it.

        Raises:
            ConfigurationError: it is of another form.
        """
        inner = data.get("function", data)
        if not isinstance(inner, Mapping) or data.get("type", "function") != "function" or "name" not in inner:
            raise ConfigurationError(f"a tool must be {{'type': 'function', 'function': …}}; found {dict(data)!r:.200}")
        known = {name: inner[name] for name in ("name", "description", "parameters", "strict") if name in inner}
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """The tool as a request has it."""
        function: dict[str, Any] = {"name": self.name, "description": self.description, "parameters": self.parameters}
        if not self.description:
            del function["description"]
        if self.strict is not None:
            function["strict"] = self.strict
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A tool as it was registered. ``is_checked``: whether arguments are held against the tool's own schema."""

    tool: Tool
    handler: Handler
    is_checked: bool


@dataclass(frozen=True, slots=True)
class _Limits:
    """How the calls of one round are made."""

    policy: FailurePolicy
    timeout_s: float | None
    max_result_chars: int


class ToolBox:
    """The tools of an agent."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._threads = Threads()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def names(self) -> list[str]:
        """In the order of registration."""
        return list(self._entries)

    def register(self, tool: Tool | Mapping[str, Any], handler: Function) -> None:
        """Add a tool.

        The handler gets each argument by name. It may be a function, a method, a partial, a class or a callable object.
        A sync one runs in a thread of its own, and must be thread-safe; see ``run`` for its deadline.
        Arguments are checked against the schema, then converted to the handler's type hints where it has some.

        Raises:
            ConfigurationError: the name is taken or unusable, the parameters are no schema of an object, or the handler
                does not take what the schema names, or wants what it does not; the message names all three.
        """
        tool = Tool.from_dict(tool) if isinstance(tool, Mapping) else tool
        entry = _Entry(_checked(tool), _handler(tool, handler), is_checked=True)
        _check_handler(entry)
        self._add(entry)

    def register_function(self, fn: Function, name: str | None = None, description: str | None = None) -> Tool:
        """Add a function as a tool whose schema comes from its type hints and docstring.

        Raises:
            ConfigurationError: as ``register``; a parameter has no hint or cannot be given by name.
        """
        tool = Tool.from_function(fn, name=name, description=description)
        entry = _Entry(_checked(tool), _handler(tool, fn), is_checked=False)
        _check_handler(entry)
        self._add(entry)
        return tool

    def clear(self) -> None:
        """Forget all tools. Calls that run go on."""
        self._entries = {}

    def to_list(self) -> list[dict[str, Any]]:
        """The tools as a request has them."""
        return [entry.tool.to_dict() for entry in self._entries.values()]

    async def run(
        self,
        calls: Sequence[ToolCall],
        *,
        policy: FailurePolicy,
        timeout_s: float | None,
        max_parallel: int,
        max_result_chars: int = MAX_RESULT_CHARS,
    ) -> list[Message]:
        """Make calls, several at a time, and return their ``tool`` messages in the order of the calls.

        Cancelling it cancels async handlers. A sync handler that is past its deadline, or was cancelled, goes on in
        its thread, which cannot be stopped, and what it returns is dropped; at most 64 may be left so.

        Args:
            policy: what becomes of a failure: ``inject_message`` makes it the message, as ``{"error": "…"}``;
                ``raise`` raises it, once the other calls have been cancelled; ``retry_once`` calls the handler once
                more if it raised or was late, and then does as ``inject_message``.
            timeout_s: seconds for each attempt; None waits without end.
            max_parallel: calls that run at the same time.
            max_result_chars: of each result; more is cut, and the cut is marked.

        Raises:
            ToolExecutionError: a call failed, and the policy is ``raise``.
        """
        limits = _Limits(policy, timeout_s, max_result_chars)
        places = asyncio.Semaphore(max_parallel)
        tasks = [asyncio.create_task(self._run_in(places, call, limits)) for call in calls]
        try:
            return list(await asyncio.gather(*tasks))
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _run_in(self, places: asyncio.Semaphore, call: ToolCall, limits: _Limits) -> Message:
        async with places:
            return await self._run_one(call, limits)

    async def _run_one(self, call: ToolCall, limits: _Limits) -> Message:
        attempts = 2 if limits.policy == "retry_once" else 1
        try:
            content = await self._content(call, limits, attempts)
        except asyncio.CancelledError as exc:
            if _is_cancelled():
                raise
            content = _failed(call, exc, limits)
        except Exception as exc:  # noqa: BLE001 - a handler may raise anything; it is told or raised
            content = _failed(call, exc, limits)
        return Message(role=MessageRole.TOOL, content=content, tool_call_id=call.id)

    async def _content(self, call: ToolCall, limits: _Limits, attempts: int) -> str | list[Any]:
        entry = self._entry(call)
        arguments = _arguments(entry, call)
        try:
            result = await entry.handler.call(arguments, self._threads, limits.timeout_s)
        except (Exception, asyncio.CancelledError):
            if attempts == 1 or _is_cancelled():
                raise
            return await self._content(call, limits, attempts - 1)
        return content_of(result, limits.max_result_chars)

    def _entry(self, call: ToolCall) -> _Entry:
        if call.type != "function" and not call.function.name:
            raise ArgumentsError(f"a call of type {call.type!r} names no function")
        if entry := self._entries.get(call.function.name):
            return entry
        known = ", ".join(map(repr, self._entries)) or "none"
        raise ArgumentsError(f"there is no tool {call.function.name!r}; known are {known}")

    def _add(self, entry: _Entry) -> None:
        if entry.tool.name in self._entries:
            name = entry.tool.name
            raise ConfigurationError(f"tool {name!r}: there is one of that name", {"tool": name})
        self._entries[entry.tool.name] = entry


def _is_cancelled() -> bool:
    """Whether this task is told to end, in contrast to a handler that raised CancelledError on its own account."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _arguments(entry: _Entry, call: ToolCall) -> dict[str, Any]:
    """A call's arguments, made anew for each attempt, since a handler may change them."""
    arguments = decoded(call.function.arguments)
    if entry.is_checked:
        arguments = fitted(arguments, entry.tool.parameters)
    return converted(arguments, entry.handler.signature)


def _failed(call: ToolCall, error: BaseException, limits: _Limits) -> str:
    """A failed call as the message that a model reads, unless the policy is to raise it."""
    text = str(error) if isinstance(error, ArgumentsError) else f"{type(error).__name__}: {error}".rstrip(": ")
    text = cut(writable(text), limits.max_result_chars)
    if limits.policy == "raise":
        _raise(call, error, text)
    return msgspec.json.encode({"error": text}).decode()


def _raise(call: ToolCall, error: BaseException, text: str) -> NoReturn:
    name, arguments = call.function.name, call.function.arguments
    details = {"tool": name, "error": text, "arguments": arguments, "tool_call_id": call.id}
    raise ToolExecutionError(f"tool {name!r} failed: {text}", details) from error


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problem = f"tool {name!r}: a name must be 1 to 64 letters, digits, '_' and '-'"
        raise ConfigurationError(problem, {"tool": name})


def _checked(tool: Tool) -> Tool:
    """A copy of a tool, with a schema that is one of an object.

    Raises:
        ConfigurationError: it cannot be used.
    """
    _check_name(tool.name)
    if not isinstance(tool.description, str):
        raise _no_schema(tool, f"description must be a text, found {type(tool.description).__name__}")
    try:
        parameters = msgspec.json.decode(msgspec.json.encode(tool.parameters))
    except (TypeError, ValueError, RecursionError) as exc:
        raise _no_schema(tool, f"parameters cannot be written as JSON: {exc}") from exc
    if not isinstance(parameters, dict) or parameters.get("type") != "object":
        raise _no_schema(tool, "parameters must be a JSON Schema with 'type': 'object'")
    properties, required = parameters.setdefault("properties", {}), parameters.get("required", [])
    if not isinstance(properties, dict):
        raise _no_schema(tool, "parameters: 'properties' must be an object")
    for name, schema in properties.items():
        if not isinstance(schema, (dict, bool)):
            raise _no_schema(tool, f"parameters: property {name!r} must be a JSON Schema, found {schema!r:.80}")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise _no_schema(tool, "parameters: 'required' must be a list of names")
    return Tool(name=tool.name, description=tool.description, parameters=parameters, strict=tool.strict)


def _no_schema(tool: Tool, problem: str) -> ConfigurationError:
    return ConfigurationError(f"tool {tool.name!r}: {problem}", {"tool": tool.name})


def _handler(tool: Tool, fn: Any) -> Handler:
    try:
        return Handler(fn, signature_of(fn))
    except ConfigurationError as exc:
        raise ConfigurationError(f"tool {tool.name!r}: {exc.message}", {"tool": tool.name, **exc.details}) from exc


def _check_handler(entry: _Entry) -> None:
    """Hold a handler's signature against its tool's schema."""
    tool, signature = entry.tool, entry.handler.signature
    if is_generator(entry.handler.fn):
        raise _unfit(entry, None, "is a generator; a handler returns its result")
    named = {*tool.parameters["properties"], *tool.parameters.get("required", [])}
    for name in sorted(named - signature.parameters.keys()):
        if not signature.takes_any:
            raise _unfit(entry, name, f"has no parameter {name!r}, which the schema names")
    for one in signature.by_position:
        if one.kind is one.POSITIONAL_ONLY and one.default is one.empty:
            raise _unfit(entry, one.name, f"takes {one.name!r} by position only; arguments are given by name")
    for name, parameter in signature.parameters.items():
        if parameter.is_required and name not in named:
            raise _unfit(entry, name, f"requires {name!r}, which the schema does not name")


def _unfit(entry: _Entry, parameter: str | None, problem: str) -> ConfigurationError:
    tool, handler = entry.tool.name, entry.handler.signature.name
    details = {"tool": tool, "handler": handler, "parameter": parameter}
    return ConfigurationError(f"tool {tool!r}: handler {handler!r} {problem}", details)
