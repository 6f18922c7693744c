"""Batch: the tool calls of one round, run at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

from chatproxy import RequestContext, ToolCall, ToolResult
from chatproxy_mcp.calling.caller import Called, Caller
from chatproxy_mcp.config import Config
from chatproxy_mcp.tool import Tool

Job = tuple[ToolCall, Tool | None]


class Batches:
    """Runs the calls of one exchange, round by round, within the exchange's own limits.

    Attributes:
        count: how many calls were run.
    """

    def __init__(self, config: Config, caller: Caller, ctx: RequestContext) -> None:
        self._config = config
        self._caller = caller
        self._ctx = ctx
        self._left_s = config.total_timeout_s
        self._slots = asyncio.Semaphore(config.max_parallel)
        self.count = 0

    async def run(self, jobs: Sequence[Job]) -> AsyncGenerator[tuple[ToolCall, Called] | None, None]:
        """Run calls; each is given as it ends, and None where nothing has ended for `Config.keepalive_s`.

        What still runs when the generator is closed is cancelled, and with it the server's work.
        """
        started_at = time.monotonic()
        running: set[asyncio.Task[tuple[ToolCall, Called]]] = set()
        try:
            for place, (call, tool) in enumerate(jobs):
                if tool is None:
                    yield call, _failed(f"There is no tool '{call.name[:64]}'. Use one of those that were offered.")
                elif place >= self._config.max_calls:
                    limit = self._config.max_calls
                    yield call, _failed(f"Not run: at most {limit} tools are called in one turn. Call it again.")
                else:
                    running.add(asyncio.ensure_future(self._one(tool, call, started_at)))
            while running:
                ended, running = await asyncio.wait(
                    running, timeout=self._config.keepalive_s, return_when=asyncio.FIRST_COMPLETED
                )
                for task in ended:
                    yield task.result()
                if not ended:
                    yield None
        finally:
            self._left_s -= time.monotonic() - started_at
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _one(self, tool: Tool, call: ToolCall, started_at: float) -> tuple[ToolCall, Called]:
        async with self._slots:
            left_s = self._left_s - (time.monotonic() - started_at)
            if left_s <= 0:
                return call, _failed("Not run: the time for tools in this conversation turn is over.")
            self.count += 1
            return call, await self._caller.run(self._ctx, tool, call, timeout_s=left_s)


def _failed(message: str) -> Called:
    """What the model is told of a call that was not run."""
    result = ToolResult(content=message, is_error=True)
    return Called(result=result, outcome="invalid", duration_s=0.0, output=message, error=message)
