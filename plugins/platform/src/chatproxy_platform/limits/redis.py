"""RedisCounters: the counters of all processes and nodes that share a Redis (or Valkey).

Everything that waits goes out in one call of `reserve.lua`, one call at a time: a request costs one round trip, and
what was used goes along with the next one. The library ``limits`` counts by the same strategy, but has no way to
reserve at several limits in one atomic step, nor to give back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar

import msgspec

from chatproxy_platform.limits.counters import Claim, CountersUnavailable, OnSpend, Verdict
from chatproxy_platform.limits.periods import today
from chatproxy_platform.limits.plans import Rule
from chatproxy_platform.limits.wire import FAILURES, RedisLink

logger = logging.getLogger("chatproxy.platform")

PREFIX = "chatproxy:{limits}:"
COOLING_S = 1.0
_SETTLE_WITHIN_S = 0.002  # so that what was used can go along with the next reservation
_MAX_BATCH = 128
_MAX_WAITING = 10_000
_MS = 1000

T = TypeVar("T")
_Spend = tuple[int, int, int]
_decode = msgspec.msgpack.Decoder(tuple[list[list[_Spend]], list[Verdict]]).decode
_encode = msgspec.msgpack.Encoder().encode


class _Asked(NamedTuple):
    claim: Claim
    answer: asyncio.Future[Verdict]
    since_s: float


class _Ended(NamedTuple):
    claim: Claim
    tokens: int
    nanousd: int
    is_abort: bool


class RedisCounters:
    """Counts in Redis; each process holds a lease, and its reservations are given back when the lease ends.

    Args:
        deadline_s: of one `acquire`; after a failure nothing is tried for ``cooling_s``.
        lease_s: after which a process that is not heard of is taken for dead.
        clock_ms: for tests; None: the server's clock.
        prefix: of all keys; with a hash tag, so that a cluster keeps them in one place.
    """

    def __init__(
        self,
        url: str,
        *,
        deadline_s: float = 0.25,
        lease_s: float = 600.0,
        cooling_s: float = COOLING_S,
        clock_ms: Callable[[], int] | None = None,
        prefix: str = PREFIX,
        day: Callable[[], str] = today,
    ) -> None:
        self.on_spend: OnSpend = lambda rule, before, after: None
        self.deadline_s = deadline_s
        self._lease_s = lease_s
        self._cooling_s = cooling_s
        self._clock_ms = clock_ms or (lambda: 0)
        self._day = day
        self._prefix = prefix
        self._node = ""
        self._arguments: tuple[bytes, ...] = ()
        self._be_new()
        self._link = RedisLink(url, files(__package__).joinpath("reserve.lua").read_text())
        self._asked: deque[_Asked] = deque()
        self._ended: deque[_Ended] = deque()
        self._learned: list[tuple[str, str, str, int]] = []
        self._work = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._is_keeping = False
        self._rests_until_s = 0.0
        self._is_down = False
        self._in_flight = 0
        self._last = 0
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start sending; Redis is not asked yet, save for reservations of dead processes."""
        self._task = asyncio.create_task(self._run(), name="platform-limits")
        self.keep()

    async def aclose(self) -> None:
        """Settle what waits, within the deadline, and let the lease end."""
        task, self._task = self._task, None
        if task is None:
            return
        for timer in self._timers.values():
            timer.cancel()
        task.cancel()
        await asyncio.wait([task])
        self._lease_s = 0.0
        self._is_keeping = True
        while self._is_keeping or (self._ended and not self._is_down):
            await self._send()
        self._link.drop()

    def report(self) -> Mapping[str, Any]:
        """Whether Redis answers, and how much waits for it."""
        state = "open" if self._is_down else "closed"
        return {"counters": "redis", "state": state, "waiting": len(self._ended), "in_flight": self._in_flight}

    async def acquire(self, claim: Claim) -> Verdict:
        """As `Counters.acquire`."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now < self._rests_until_s or len(self._asked) >= _MAX_WAITING or self._task is None or self._task.done():
            raise CountersUnavailable
        answer: asyncio.Future[Verdict] = loop.create_future()
        self._asked.append(_Asked(claim, answer, now))
        self._work.set()
        try:
            return await answer
        except asyncio.CancelledError:
            self.abort(claim)  # it was granted a moment ago; else whoever reads the answer gives it back
            raise

    def settle(self, claim: Claim, tokens: int, nanousd: int) -> None:
        """As `Counters.settle`."""
        self._end(_Ended(claim, tokens, nanousd, False))

    def abort(self, claim: Claim) -> None:
        """As `Counters.abort`."""
        self._end(_Ended(claim, 0, 0, True))

    def learn(self, rule: Rule, period: str, nanousd: int) -> None:
        """As `Counters.learn`."""
        if len(self._learned) < _MAX_WAITING:
            self._learned.append((rule.name, rule.period, period, nanousd))

    # -- sending --------------------------------------------------------------------------------------------------

    def _end(self, ended: _Ended) -> None:
        claim = ended.claim
        if not claim.is_open:
            return
        claim.is_open = False
        if claim.origin != self._node:
            return
        self._ended.append(ended)
        if len(self._ended) > _MAX_WAITING:
            self._be_new()
        elif not self._work.is_set():
            self._wake_in("settle", _SETTLE_WITHIN_S)

    def _be_new(self) -> None:
        """Begin with a new lease; what the old one holds is given back when that ends."""
        if self._node:
            logger.error("limits: %d settlements wait for Redis; they are left to the lease's end", len(self._ended))
            self._ended.clear()
        self._node = f"{self._prefix}node:{secrets.token_hex(8)}"
        keys = (f"{self._prefix}nodes", self._node)
        self._arguments = (b"2", *(key.encode() for key in (*keys, f"{self._prefix}subject:")))

    def _wake_in(self, name: str, delay_s: float) -> None:
        if name not in self._timers and self._task is not None:
            self._timers[name] = asyncio.get_running_loop().call_later(delay_s, self._wake, name)

    def _wake(self, name: str) -> None:
        self._timers.pop(name, None)
        if name == "keep":
            self.keep()
        self._work.set()

    def keep(self) -> None:
        """Renew the lease, and look for dead processes."""
        self._is_keeping = True
        self._work.set()
        self._wake_in("keep", self._lease_s / 3)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                while self._asked or self._ended or self._is_keeping:
                    if (rest_s := self._rests_until_s - loop.time()) > 0:
                        self._wake_in("rest", rest_s)
                        self._refuse(self._asked)
                        break
                    await self._send()
        finally:
            self._refuse(self._asked)

    async def _send(self) -> None:
        """One round trip, with everything that waits."""
        asked = [one for one in _taken(self._asked) if not one.answer.done()]
        ended = list(_taken(self._ended))
        learned, self._learned = self._learned, []
        is_keeping, self._is_keeping = self._is_keeping, False
        settled = [(one.claim.number, one.tokens, one.nanousd, one.is_abort) for one in ended]
        claimed = []
        for claim, _, _ in asked:
            self._last += 1
            claim.origin, claim.number = self._node, self._last
            claimed.append((claim.number, claim.tokens, claim.nanousd, claim.plan.packed))
        rest = (self._clock_ms(), int(self._lease_s * _MS), self._day(), is_keeping, learned, settled, claimed)
        begun_s = asked[0].since_s if asked else asyncio.get_running_loop().time()
        self._in_flight = len(asked)
        try:
            async with asyncio.timeout_at(begun_s + self.deadline_s):
                data = await self._link.call(self._arguments, lambda epoch: _encode((epoch, *rest)))
            spends, verdicts = _decode(data)
        except (*FAILURES, msgspec.MsgspecError) as exc:
            self._failed(asked, ended, exc)
            return
        except asyncio.CancelledError:
            self._back(asked, ended)
            raise
        finally:
            self._in_flight = 0
        self._answered(asked, verdicts)
        self._spent(ended, spends)

    def _answered(self, asked: list[_Asked], verdicts: list[Verdict]) -> None:
        if self._is_down:
            self._is_down = False
            logger.info("limits: Redis answers again")
        for (claim, answer, _), verdict in zip(asked, verdicts, strict=True):
            claim.is_open = not verdict.reason
            if not answer.done():
                answer.set_result(verdict)
            else:
                self.abort(claim)

    def _spent(self, ended: list[_Ended], spends: list[list[_Spend]]) -> None:
        for one, each in zip(ended, spends, strict=True):
            for index, before, after in each:
                self.on_spend(one.claim.plan.rules[index], before, after)

    def _failed(self, asked: list[_Asked], ended: list[_Ended], exc: Exception) -> None:
        if not self._is_down:
            self._is_down = True
            logger.warning("limits: Redis does not answer (%s)", type(exc).__name__)
        self._rests_until_s = asyncio.get_running_loop().time() + self._cooling_s
        self._back(asked, ended)
        self._refuse(self._asked)

    def _back(self, asked: list[_Asked], ended: list[_Ended]) -> None:
        """Nobody knows whether it was done: settle again, which changes nothing then, and take back what was asked."""
        self._ended.extendleft(reversed(ended))
        self._ended.extend(_Ended(one.claim, 0, 0, True) for one in asked)
        self._refuse(asked)

    def _refuse(self, asked: list[_Asked] | deque[_Asked]) -> None:
        for one in asked:
            if not one.answer.done():
                one.answer.set_exception(CountersUnavailable())
        asked.clear()


def _taken(queue: deque[T]) -> list[T]:
    return [queue.popleft() for _ in range(min(len(queue), _MAX_BATCH))]
