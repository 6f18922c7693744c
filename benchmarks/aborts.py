"""Clients that leave: connect, abort at one of four moments, again and again.

``python -m benchmarks.aborts '{"url": "http://127.0.0.1:8000/v1/chat/completions", "cycles": 10000}'``
The moments take turns: before a request, right after a streamed one, after its first byte, while a buffered one waits.
Every second departure is a reset, the others are orderly. Nothing is judged here: what is left behind, the runner sees
from outside.
"""

import asyncio
import collections
import sys

import msgspec
import uvloop

from benchmarks.http1 import Answer, Connection, connect
from benchmarks.payloads import render_request

_FIRST_BYTE_LIMIT_S = 10
_SLOW_MODEL = "mock-1000ms-10"
_MOMENTS = ("connected", "stream_sent", "stream_begun", "json_sent")


class AbortPlan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How many clients leave, and how many of them are there at a time."""

    url: str
    cycles: int
    in_flight: int = 100
    headers: dict[str, str] = {}


class AbortResult(msgspec.Struct):
    """Departures by moment, and the cycles that never came to leave."""

    left: dict[str, int]
    errors: dict[str, int]


class Aborter:
    """Runs the cycles and counts them."""

    def __init__(self, plan: AbortPlan) -> None:
        self._plan = plan
        self._left: collections.Counter[str] = collections.Counter()
        self._errors: collections.Counter[str] = collections.Counter()
        self._stream = render_request(plan.url, model=_SLOW_MODEL, stream=True, headers=plan.headers)
        self._json = render_request(plan.url, model=_SLOW_MODEL, stream=False, headers=plan.headers)

    async def run(self) -> AbortResult:
        """Run all cycles, ``in_flight`` at a time."""
        remaining = iter(range(self._plan.cycles))

        async def work() -> None:
            for number in remaining:
                await self._cycle(number)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._plan.in_flight):
                group.create_task(work())
        return AbortResult(dict(self._left), dict(self._errors))

    async def _cycle(self, number: int) -> None:
        moment = _MOMENTS[number % len(_MOMENTS)]
        resets = number // len(_MOMENTS) % 2 == 0
        try:
            connection = await connect(self._plan.url)
            await self._reach(connection, moment)
        except (OSError, TimeoutError) as exc:
            self._errors[f"{moment}: {type(exc).__name__} {exc}"] += 1
            return
        self._left[moment] += 1
        if resets:
            connection.reset()
        else:
            connection.transport.close()

    async def _reach(self, connection: Connection, moment: str) -> None:
        """Bring the exchange to the moment at which its client leaves."""
        if moment == "connected":
            return
        answer = connection.send(self._json if moment == "json_sent" else self._stream)
        answer.add_done_callback(_retrieve)
        if moment == "stream_begun":
            await asyncio.wait_for(connection.first_byte.wait(), _FIRST_BYTE_LIMIT_S)
        else:
            await asyncio.sleep(0.001)  # lets half of the requests reach the proxy, cuts off the rest


def _retrieve(answer: asyncio.Future[Answer]) -> None:
    """Look at the failure an abort causes by design, so that asyncio does not report it as forgotten."""
    if not answer.cancelled():
        answer.exception()


def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=AbortPlan)
    print(msgspec.json.encode(uvloop.run(Aborter(plan).run())).decode())


if __name__ == "__main__":
    main()
