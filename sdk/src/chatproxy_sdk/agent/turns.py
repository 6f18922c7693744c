"""One turn: a user's message, as many rounds of tools as the model asks for and the limit allows, an answer.

Rule: nothing is added to the history here; ``added`` is what a turn that went well leaves behind.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from chatproxy_sdk.agent.access import Access
from chatproxy_sdk.agent.books import Books
from chatproxy_sdk.agent.completing import text_of
from chatproxy_sdk.agent.exchange import Exchange
from chatproxy_sdk.agent.tools import Tool, ToolBox
from chatproxy_sdk.exceptions import ConfigurationError, ToolExecutionError
from chatproxy_sdk.messages import Message, ToolCall
from chatproxy_sdk.types import ChatCompletionResponse

NOT_FOR_CALLERS = {"messages": "add_message()", "stream": "chat() or chat_stream()"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How one turn shall go.

    Attributes:
        max_rounds: of tools; 0 for none.
        fields: further fields of each request's body; None takes a field out.
    """

    is_streamed: bool
    runs_tools: bool
    max_rounds: int
    fields: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Make sure that the turn can go so.

        Raises:
            ConfigurationError: it cannot; nothing was sent.
        """
        rounds: object = self.max_rounds
        if not isinstance(rounds, int) or isinstance(rounds, bool) or rounds < 0:
            found = repr(rounds)
            message = f"max_tool_iterations must be an integer of at least 0; found {found}"
            raise ConfigurationError(message, {"field": "max_tool_iterations", "found": found})
        for name in NOT_FOR_CALLERS.keys() & self.fields.keys():
            message = f"{name!r} cannot be set for one call; use {NOT_FOR_CALLERS[name]}"
            raise ConfigurationError(message, {"field": name})
        if not isinstance(self.fields.get("extra_body") or {}, Mapping):
            raise ConfigurationError("extra_body must be a mapping", {"field": "extra_body"})


class Turn:
    """One turn.

    Attributes:
        added: its messages so far: the user's, the assistant's, the tools'.
        pending: tool calls that were asked for and are the caller's to run.
        completion: the last answer.
    """

    def __init__(
        self,
        access: Access,
        books: Books,
        tools: ToolBox,
        *,
        before: list[Message],
        added: list[Message],
        wishes: Wishes,
    ) -> None:
        self.added = added
        self.pending: list[ToolCall] = []
        self.completion: ChatCompletionResponse | None = None
        self._access = access
        self._books = books
        self._tools = tools
        self._before = before
        self._wishes = wishes

    @property
    def text(self) -> str:
        """What the last answer says."""
        return text_of(self.added[-1])

    async def texts(self) -> AsyncGenerator[str, None]:
        """The texts of all answers as they come; the turn is over when they end.

        Raises:
            ChatAPIException: a request failed.
            ToolExecutionError: a tool failed, and the policy is to raise; or the model does not stop calling.
        """
        for number in itertools.count():
            exchange = Exchange(self._access, self._books, self._body(number))
            async with aclosing(exchange.texts()) as texts:
                async for text in texts:
                    yield text
            self.completion = exchange.completion
            self.added.append(exchange.message)
            calls = exchange.message.tool_calls or []
            if not self._is_to_run(calls):
                self.pending = calls
                return
            self._check_limit(number, calls)
            self.added += await self._run(calls)

    async def _run(self, calls: list[ToolCall]) -> list[Message]:
        runtime = self._access.runtime
        try:
            return await self._tools.run(
                calls,
                policy=runtime.tool_failure_policy,
                timeout_s=runtime.tool_timeout,
                max_parallel=runtime.max_parallel_tools,
                max_result_chars=runtime.max_tool_result_chars,
            )
        except ToolExecutionError as exc:
            said = self._access.said(str(exc.details.get("error", "")))
            details = {**exc.details, "error": said}
            raise ToolExecutionError(self._access.said(exc.message), details) from exc.__cause__

    def _is_to_run(self, calls: list[ToolCall]) -> bool:
        """Whether the calls are ours to run: not if one is of a tool that only the caller of this turn knows."""
        if not calls or not self._wishes.runs_tools:
            return False
        theirs = _names(self._wishes.fields.get("tools")) - set(self._tools.names)
        return not any(call.function.name in theirs for call in calls)

    def _check_limit(self, number: int, calls: list[ToolCall]) -> None:
        limit = self._wishes.max_rounds
        if number >= limit:
            names = ", ".join(call.function.name for call in calls)
            said = f"the model still asks for tools after {limit} rounds (max_tool_iterations)"
            details = {"tool": names, "error": said, "max_tool_iterations": limit}
            raise ToolExecutionError(f"{said}: {names}", details)

    def _body(self, number: int) -> dict[str, Any]:
        """The body of a round's request; the round after the last may not call tools.

        A tool that the caller forces is forced once: a model that must call again and again never answers.
        """
        body = {**self._settings(), "messages": [one.to_dict() for one in (*self._before, *self.added)]}
        if not body.get("tools"):
            body.pop("tool_choice", None)
        elif self._wishes.runs_tools and number >= self._wishes.max_rounds:
            body["tool_choice"] = "none"
        elif number > 0 and _is_forcing(body.get("tool_choice")):
            body.pop("tool_choice", None)
        body["stream"] = self._wishes.is_streamed
        if not self._wishes.is_streamed:
            body.pop("stream_options", None)
        elif self._access.runtime.capture_token_usage:
            body["stream_options"] = {"include_usage": True, **(body.get("stream_options") or {})}
        return body

    def _settings(self) -> dict[str, Any]:
        given = dict(self._wishes.fields)
        further = given.pop("extra_body", None) or {}
        settings = self._access.model_config.request_fields()
        if given.keys() & {"max_tokens", "max_completion_tokens"}:
            settings.pop("max_tokens", None)
            settings.pop("max_completion_tokens", None)
        tools = {"tools": self._tools.to_list()} if len(self._tools) else {}
        settings = {**tools, **settings, **given, **further}
        if isinstance(settings.get("tools"), (list, tuple)):
            settings["tools"] = [tool.to_dict() if isinstance(tool, Tool) else tool for tool in settings["tools"]]
        return {name: value for name, value in settings.items() if value is not None}


def _is_forcing(choice: Any) -> bool:
    """Whether a ``tool_choice`` makes the model call."""
    return choice == "required" or (isinstance(choice, Mapping) and choice.get("type") in {"function", "custom"})


def _names(tools: Any) -> set[str]:
    """The names of tools, ours or in OpenAI's form; what is none is the server's affair."""
    given = tools if isinstance(tools, (list, tuple)) else ()
    forms = [tool.to_dict() if isinstance(tool, Tool) else tool for tool in given]
    functions = [form.get("function") for form in forms if isinstance(form, Mapping)]
    return {str(function.get("name")) for function in functions if isinstance(function, Mapping)}
