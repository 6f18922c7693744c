"""Impl: one plugin's implementation of one hook, resolved once and called often."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NoReturn, Protocol

from chatproxy.errors import PLUGIN_FAILURES, ApiError, PluginFailed, PluginTimeout
from chatproxy.plugins.timed import Clock, DeadlinePassedError, finish
from chatproxy.types.exchange import Exchange, HookCall

logger = logging.getLogger("chatproxy.plugins")

SKIPPED: Any = object()
"""What `Impl.call` returns where the policy lets the exchange go on without the plugin."""


class Policy(Protocol):
    """What happens when an implementation fails; `config.HookPolicy` is one."""

    @property
    def on_error(self) -> str:
        """``closed``, ``open`` or ``quarantine``."""

    @property
    def deadline_s(self) -> float | None:
        """Seconds of the plugin's own time; None for no deadline."""

    @property
    def quarantine_after(self) -> int:
        """Failures in a row before the plugin is left out."""

    @property
    def quarantine_for_s(self) -> float:
        """Seconds it is then left out."""


class PluginState:
    """Failures of one plugin, shared by its implementations. ``quarantined_until`` is monotonic seconds."""

    __slots__ = ("abandoned", "calls", "failures", "in_a_row", "name", "quarantined_until", "skipped")

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0
        self.failures = 0
        self.in_a_row = 0
        self.skipped = 0
        self.abandoned = 0
        self.quarantined_until = 0.0

    @property
    def quarantined(self) -> bool:
        """Whether the plugin's optional hooks are being skipped now."""
        return self.quarantined_until > 0.0 and time.monotonic() < self.quarantined_until


class Impl:
    """One implementation. ``function`` takes the hook's full argument list, in the spec's order."""

    __slots__ = (
        "closed", "distribution", "function", "hook", "location", "original", "plugin", "policy", "skippable", "state",
        "when",
    )  # fmt: skip

    def __init__(
        self,
        *,
        hook: str,
        plugin: str,
        function: Callable[..., Any],
        original: Callable[..., Any] | None = None,
        policy: Policy,
        state: PluginState,
        distribution: str | None = None,
        location: str | None = None,
        when: Callable[[Any], bool] | None = None,
    ) -> None:
        self.hook = hook
        self.plugin = plugin
        self.function = function
        self.original = original or function  # as the plugin wrote it
        self.policy = policy
        self.closed = policy.on_error != "open" or hook == "authenticate"
        self.skippable = policy.on_error == "quarantine" and hook != "authenticate"
        self.state = state
        self.distribution = distribution
        self.location = location
        self.when = when

    async def call(self, exchange: Exchange, *args: Any) -> Any:
        """Call it under its deadline and policy; see `step` for what comes back."""
        result = self.step(exchange, *args)
        return await result.wait() if type(result) is Pending else result

    def step(self, exchange: Exchange, *args: Any) -> Any:
        """Call it as far as it goes without waiting.

        Returns:
            What it returned; `SKIPPED` where it failed under the policy ``open`` or is in quarantine; a `Pending` to
            wait for where it suspended.

        Raises:
            ApiError: raised by the plugin on purpose, or `PluginFailed` unless the policy is ``open``.
        """
        if self.skippable and self.is_skipped(exchange):
            return SKIPPED
        state = self.state
        state.calls += 1
        started_at = time.perf_counter()
        try:
            steps = self.function(*args)
            waiting_for = steps.send(None)
        except StopIteration as stop:
            if stop.value is not None or state.in_a_row or exchange.is_detailed:
                self.succeeded(exchange, stop.value, started_at)
            return stop.value
        except ApiError as error:
            self.refused(exchange, error, started_at)
            raise
        except PLUGIN_FAILURES as exc:
            return self.failed(exchange, "error", started_at, exc)
        return Pending(self, exchange, steps, waiting_for, started_at)

    def succeeded(self, exchange: Exchange, result: Any, started_at: float) -> None:
        """Note a call that went well."""
        self.state.in_a_row = 0
        if result is not None or exchange.is_detailed:
            self.note(exchange, "ok", started_at)

    def refused(self, exchange: Exchange, error: ApiError, started_at: float) -> None:
        """Note an error that the plugin raised on purpose."""
        if not isinstance(error, PluginFailed):
            self.state.in_a_row = 0
            self.note(exchange, "rejected", started_at)

    def cancelled(self, exchange: Exchange, started_at: float) -> None:
        """Note a call that ended because its exchange did."""
        if exchange.is_detailed:
            self.note(exchange, "cancelled", started_at)

    def note(self, exchange: Exchange, outcome: str, started_at: float) -> float:
        """Put a call on record that ends now; returns its seconds."""
        duration_s = time.perf_counter() - started_at
        started_s = started_at - exchange.clock_s
        exchange.hook_calls.append(HookCall(self.plugin, self.hook, outcome, duration_s, started_s))
        return duration_s

    def is_skipped(self, exchange: Exchange) -> bool:
        """Whether the plugin is in quarantine and this hook is to be left out; counts it."""
        state = self.state
        if not (state.quarantined_until and self.skippable and state.quarantined):
            return False
        state.skipped += 1
        self.note(exchange, "skipped", time.perf_counter())
        return True

    def failed(self, exchange: Exchange, outcome: str, started_at: float, cause: BaseException) -> Any:
        """Count and log a failure; returns `SKIPPED` under the policy ``open``, else raises."""
        duration_s = self.note(exchange, outcome, started_at)
        state = self.state
        state.failures += 1
        state.in_a_row += 1
        logger.error(
            "plugin %r failed in %s (%s): %s after %.3f s, policy %s",
            self.plugin, self.hook, self.location, outcome, duration_s, self.policy.on_error,
            exc_info=cause if outcome == "error" else None,
            extra={"request_id": exchange.request_id, "plugin": self.plugin, "hook": self.hook},
        )  # fmt: skip
        if self.policy.on_error == "quarantine" and state.in_a_row >= self.policy.quarantine_after:
            state.quarantined_until = time.monotonic() + self.policy.quarantine_for_s
            state.in_a_row = 0
            logger.warning("plugin %r is left out for %g s", self.plugin, self.policy.quarantine_for_s)
        if self.closed:
            self.fail(outcome, cause)
        return SKIPPED

    def fail(self, outcome: str, cause: BaseException) -> NoReturn:
        """Raise the error a client sees for this implementation's failure; the cause is for the log."""
        kind = PluginTimeout if outcome == "timeout" else PluginFailed
        what = "passed its deadline" if outcome == "timeout" else "failed"
        raise kind(f"Plugin '{self.plugin}' {what} in {self.hook}.", plugin=self.plugin, hook=self.hook) from cause

    def wrong_type(self, exchange: Exchange, found: object, wanted: str) -> Any:
        """Treat a returned value of the wrong type as a failure."""
        error = TypeError(f"{self.hook} must return {wanted} or None, found {type(found).__name__}")
        return self.failed(exchange, "error", time.perf_counter(), error)


class Pending:
    """A call that has suspended; `wait` drives it to its end, in the task that began it."""

    __slots__ = ("_exchange", "_impl", "_started_at", "_steps", "_waiting_for")

    def __init__(self, impl: Impl, exchange: Exchange, steps: Any, waiting_for: Any, started_at: float) -> None:
        self._impl = impl
        self._exchange = exchange
        self._steps = steps
        self._waiting_for = waiting_for
        self._started_at = started_at

    async def wait(self) -> Any:
        """What `Impl.step` would have returned, or raised, had the plugin not waited."""
        impl = self._impl
        try:
            result = await finish(self._steps, self._waiting_for, Clock(impl.policy.deadline_s))
        except ApiError as error:
            impl.refused(self._exchange, error, self._started_at)
            raise
        except DeadlinePassedError as passed:
            impl.state.abandoned += passed.abandoned
            return impl.failed(self._exchange, "timeout", self._started_at, passed)
        except PLUGIN_FAILURES as exc:
            return impl.failed(self._exchange, "error", self._started_at, exc)
        except asyncio.CancelledError:
            impl.cancelled(self._exchange, self._started_at)
            raise
        impl.succeeded(self._exchange, result, self._started_at)
        return result


def adapt(function: Callable[..., Any], argument_names: Sequence[str], spec_names: Sequence[str]) -> Callable[..., Any]:
    """Let an implementation that takes some of a hook's arguments be called with all of them, by position."""
    if tuple(argument_names) == tuple(spec_names):
        return function
    if not argument_names:
        return lambda *_: function()
    indexes = [spec_names.index(name) for name in argument_names]
    if len(indexes) == 1:
        (only,) = indexes
        return lambda *args: function(args[only])
    pick = itemgetter(*indexes)
    return lambda *args: function(*pick(args))
