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
from chatproxy_platform.limits.wire import RedisLink

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
        self._link = RedisLink(url, files(__package__).joinpath("reserve.lua").read_text())
        self._arguments: tuple[bytes, ...] = ()
        self._be_new()
        self._asked: deque[_Asked] = deque()
        self._ended: deque[_Ended] = deque()
        self._learned: list[tuple[str, str, str, int]] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._is_keeping = False
        self._rests_until_s = 0.0
        self._is_down = False
        self._flight: tuple[list[_Asked], list[_Ended]] | None = None
        self._landed: asyncio.Future[None] | None = None
        self._last = 0
        self._is_running = False

    async def open(self) -> None:
        """Begin to hold a lease; Redis need not be reachable."""
        self._is_running = True
        self.keep()

    async def aclose(self) -> None:
        """Settle what waits, within the deadline, and let the lease end."""
        if not self._is_running:
            return
        self._is_running = False
        self._refuse(self._asked)
        for timer in self._timers.values():
            timer.cancel()
        self._lease_s = self._cooling_s = self._rests_until_s = 0.0
        self._is_keeping = True
        try:
            while self._flight is not None or self._is_keeping or self._ended:
                self._landed = asyncio.get_running_loop().create_future()
                self._push()
                await self._landed
                if self._is_down and not self._is_keeping:
                    break
        finally:
            self._ended.clear()
            await self._link.aclose()

    def report(self) -> Mapping[str, Any]:
        """Whether Redis answers, and how much waits for it."""
        state, in_flight = "open" if self._is_down else "closed", len(self._flight[0]) if self._flight else 0
        return {"counters": "redis", "state": state, "waiting": len(self._ended), "in_flight": in_flight}

    async def acquire(self, claim: Claim) -> Verdict:
        """As `Counters.acquire`."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now < self._rests_until_s or len(self._asked) >= _MAX_WAITING or not self._is_running:
            raise CountersUnavailable
        answer: asyncio.Future[Verdict] = loop.create_future()
        _ = claim.plan.packed  # made here, so that a name that cannot be packed fails this claim alone
        self._asked.append(_Asked(claim, answer, now))
        self._push()
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
        else:
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
        if name not in self._timers and self._is_running:
            self._timers[name] = asyncio.get_running_loop().call_later(delay_s, self._wake, name)

    def _wake(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        if name == "keep":
            self._is_keeping = True
            self._wake_in("keep", self._lease_s / 3)
        self._push()

    def keep(self) -> None:
        """Renew the lease, and look for dead processes."""
        self._wake("keep")

    def _push(self) -> None:
        """Send what waits, unless an answer is still to come."""
        if self._flight is not None or not (self._asked or self._ended or self._is_keeping):
            return
        now = asyncio.get_running_loop().time()
        if now < self._rests_until_s:
            self._wake_in("rest", self._rests_until_s - now)
            return
        asked = [one for one in _taken(self._asked) if not one.answer.done()]
        ended = _taken(self._ended)
        learned, self._learned = self._learned, []
        is_keeping, self._is_keeping = self._is_keeping, False
        settled = [(one.claim.number, one.tokens, one.nanousd, one.is_abort) for one in ended]
        claimed = []
        for claim, _, _ in asked:
            self._last += 1
            claim.origin, claim.number = self._node, self._last
            claimed.append((claim.number, claim.tokens, claim.nanousd, claim.plan.packed))
        rest = (self._clock_ms(), int(self._lease_s * _MS), self._day(), is_keeping, learned, settled, claimed)
        until_s = (asked[0].since_s if asked else now) + self.deadline_s
        self._flight = asked, ended
        self._link.call(self._arguments, lambda epoch: _encode((epoch, *rest)), self._heard, until_s=until_s)

    def _heard(self, answer: bytes | Exception) -> None:
        if self._flight is None:
            return
        (asked, ended), self._flight = self._flight, None
        try:
            if not isinstance(answer, bytes):
                raise CountersUnavailable(type(answer).__name__)
            spends, verdicts = _decode(answer)
        except (CountersUnavailable, msgspec.MsgspecError) as exc:
            self._failed(asked, ended, exc)
        else:
            self._answered(asked, verdicts)
            self._spent(ended, spends)
        if self._landed is not None and not self._landed.done():
            self._landed.set_result(None)
        self._push()

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
            logger.warning("limits: Redis does not answer (%s)", exc)
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
