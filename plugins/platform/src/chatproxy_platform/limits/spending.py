"""Spending: what subjects with a budget have spent, read from the database into the counters; and warnings.

The database's sums are behind by what is not written yet, and ahead by what other processes spent: the counters take
the larger of both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import select, tuple_

from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.limits.counters import Counters
from chatproxy_platform.limits.periods import period_of, today
from chatproxy_platform.limits.plans import NANO, Rule
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Spend

logger = logging.getLogger("chatproxy.platform")

REFRESH_S = 30.0
_MAX_RECENT = 500


class BudgetWarning(msgspec.Struct, frozen=True, kw_only=True):
    """A subject has passed a share of its budget."""

    subject: str
    period: str
    share: float
    spent_nanousd: int
    budget_nanousd: int


class Spending:
    """Keeps the counters' money in step with the table `Spend`.

    Args:
        database: None: nothing is known of earlier spending.
        warn_at: shares of a budget.
        warn: called for each warning, beside the log; must not wait.
    """

    def __init__(
        self, database: Database | None, warn_at: Sequence[float], warn: Callable[[BudgetWarning], None] | None
    ) -> None:
        self._database = database
        self._warn_at = tuple(sorted(warn_at))
        self._warn = warn
        self._recent: dict[str, Rule] = {}
        self._reading = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def load(self, rule: Rule, counters: Counters) -> None:
        """Tell the counters what a rule's subject has spent in the current period.

        Raises:
            StorageUnavailable: the database did not answer in time (503).
        """
        async with self._reading:
            await self._learn([rule], [counters])
        if len(self._recent) >= _MAX_RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[rule.name] = rule

    async def _learn(self, rules: Sequence[Rule], counters: Sequence[Counters]) -> None:
        day = today()
        wanted = {(rule.name, period_of(rule.period, day)): rule for rule in rules}
        spent = await self._read(list(wanted))
        for (name, period), rule in wanted.items():
            for each in counters:
                each.learn(rule, period, spent.get(name, 0))

    async def _read(self, wanted: list[tuple[str, str]]) -> dict[str, int]:
        if self._database is None:
            return {}
        query = select(Spend.subject, Spend.nanousd).where(tuple_(Spend.subject, Spend.period).in_(wanted))
        async with self._database.read() as session:
            return {row.subject: row.nanousd for row in await session.execute(query)}

    # -- refreshing -----------------------------------------------------------------------------------------------

    def open(self, counters: Counters) -> None:
        """Begin to look for what other processes have spent."""
        if self._database is not None:
            self._task = asyncio.create_task(self._refresh(counters), name="platform-spending")

    async def aclose(self) -> None:
        """Stop."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def refresh(self, counters: Counters) -> None:
        """Read all that was asked for lately once more."""
        if self._recent:
            await self._learn(list(self._recent.values()), [counters])

    async def _refresh(self, counters: Counters) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self.refresh(counters)
            except StorageUnavailable:
                logger.info("limits: spending could not be read again; the counters go on with what they know")

    # -- warning --------------------------------------------------------------------------------------------------

    def passed(self, rule: Rule, before: int, after: int) -> None:
        """Warn where money that was just spent has passed a share of the budget; exactly one payment does."""
        for share in self._warn_at:
            mark = round(rule.budget * share)
            if before < mark <= after:
                self._give(rule, share, after)

    def _give(self, rule: Rule, share: float, spent: int) -> None:
        period = period_of(rule.period, today())
        logger.warning(
            "budget: %s has spent %.2f of %.2f US dollars (period %s)",
            rule.name,
            spent / NANO,
            rule.budget / NANO,
            period,
        )
        if self._warn is not None:
            self._warn(
                BudgetWarning(
                    subject=rule.name, period=period, share=share, spent_nanousd=spent, budget_nanousd=rule.budget
                )
            )
