"""Approvals: calls that the client was asked about, and what it answered.

A call that waits is given to the client as any other call. Its answer is that call's tool result: a JSON object with
``approve``, true or false, and maybe a ``reason``. The gateway then runs the call as the model wrote it, not as the
client sends it back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from chatproxy import ChatRequest, ToolCall, ToolResult
from chatproxy_mcp.calling.caller import Called
from chatproxy_mcp.loop.choosing import Chosen
from chatproxy_mcp.loop.memory import Memory, Pending
from chatproxy_mcp.tool import Tool

_MAX_REASON = 500
_UNKNOWN = ToolResult(content="The call was begun, and it is not known what became of it.", is_error=True)


class Answer(msgspec.Struct):
    """The client's word."""

    approve: bool
    reason: str | None = None


Run = Callable[[Tool, ToolCall], Awaitable[Called]]
_decode = msgspec.json.Decoder(Answer).decode


class Settlement:
    """Decides the calls of one request that were asked about.

    Args:
        run: does a call that was approved.

    Attributes:
        done: the calls that were run now.
    """

    def __init__(self, memory: Memory, chosen: Chosen, run: Run) -> None:
        self._memory = memory
        self._chosen = chosen
        self._run = run
        self.done: list[tuple[ToolCall, Called]] = []

    async def settle(self, request: ChatRequest, answers: Mapping[str, Any]) -> None:
        """Put the results of such calls in place of the client's answers.

        Args:
            answers: what the client itself said, by the call's id; results that were hidden from it are no word of its.
        """
        if not self._chosen.approval:
            return
        for call_id, content in answers.items():
            pending = await self._memory.call(call_id)
            if pending is None:
                continue
            result = pending.result or await self._decided(call_id, content)
            if result is not None:
                request.set_answer(call_id, result)

    async def _decided(self, call_id: str, content: Any) -> ToolResult | None:
        """What becomes of a call by the client's answer; None where that is no answer."""
        answer = _answer_in(content)
        if answer is None:
            return None
        async with self._memory.locked(call_id):
            pending = await self._memory.call(call_id)
            if pending is None or pending.result is not None:
                return None if pending is None else pending.result
            result = await self._result(call_id, pending, answer)
            await self._memory.keep_result(call_id, pending, result)
            return result

    async def _result(self, call_id: str, pending: Pending, answer: Answer) -> ToolResult:
        if pending.is_begun:
            return _UNKNOWN
        if not answer.approve:
            reason = f" Reason: {answer.reason[:_MAX_REASON]}" if answer.reason else ""
            return ToolResult(content=f"The user refused this call.{reason}", is_error=True)
        tool = self._chosen.offer.tools.get(pending.name)
        if tool is None:
            return ToolResult(content=f"The tool '{pending.name}' is not available any more.", is_error=True)
        await self._memory.keep_begin(call_id, pending)
        call = ToolCall(id=call_id, name=pending.name, arguments=pending.arguments, malformed=pending.malformed)
        called = await self._run(tool, call)
        self.done.append((call, called))
        return called.result


def _answer_in(content: Any) -> Answer | None:
    """The client's word, in whatever form the surface has texts; None where it is something else."""
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        content = "".join(text for text in texts if isinstance(text, str))
    try:
        return _decode(content) if isinstance(content, str) else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
