"""App: what a plugin can reach of the running gateway; one for each application, nothing global."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from chatproxy.types.model import SessionStore
from chatproxy.types.route import Route
from chatproxy.types.stats import GatewayStats
from chatproxy.types.trace import Tracer

T = TypeVar("T")
Translate = Callable[[Sequence[dict[str, Any]], str], list[dict[str, Any]]]


class App:
    """Handed to `lifespan`, and to every hook as ``ctx.app``.

    Attributes:
        version: of chatproxy.
        session_store: durable when a plugin brings one, else in memory and bounded.
        settings: the core's configuration, read-only, with secrets taken out.
        config_file: where it was read from; None where there is no file.
        health: what plugins report of themselves, see `report_health`.
        tracer: who decides about traces, see `set_tracer`; None where nobody traces.
        redact: a text without the secrets that this process knows of, and without what looks like a credential; for
            plugins that send texts elsewhere.
        hide: never write this text to a log again, nor let `redact` leave it: keys and passwords of a plugin's own.
        stats: what the gateway is doing now.
        authenticators: the plugins that implement `authenticate`; where there is none, everybody may ask.
        routes: all that is served; complete when `lifespan` is entered.
        entries_of: chat messages without instructions as the entries of a conversation on another surface, by
            (messages, surface); raises `InvalidRequest` for what that surface cannot hold.
    """

    def __init__(
        self,
        *,
        version: str,
        session_store: SessionStore,
        settings: Mapping[str, Any],
        config_file: Path | None = None,
        redact: Callable[[str], str] = str,
        hide: Callable[[str], None] = lambda _: None,
        stats: Callable[[], GatewayStats] = GatewayStats,
        entries_of: Translate = lambda messages, _: list(messages),
    ) -> None:
        self.version = version
        self.config_file = config_file
        self.health: dict[str, Callable[[], Mapping[str, Any]]] = {}
        self.session_store = session_store
        self.tracer: Tracer | None = None
        self.redact = redact
        self.hide = hide
        self.stats = stats
        self.authenticators: frozenset[str] = frozenset()
        self.routes: Sequence[Route] = ()
        self.entries_of = entries_of
        self.settings = settings
        self._configs: dict[type, Any] = {}
        self._provided: dict[type, Any] = {}

    def config(self, kind: type[T]) -> T:
        """A plugin's validated configuration, by the type its `config_type` returned.

        Raises:
            LookupError: no plugin has this configuration type.
        """
        return self._find(self._configs, kind, "no plugin's config_type returned it")

    def provide(self, value: object, kind: type | None = None) -> None:
        """Make an object available to hooks as ``ctx.plugin(kind)``; call it in `lifespan`."""
        self._provided[kind or type(value)] = value

    def plugin(self, kind: type[T]) -> T:
        """The object a plugin provided for ``kind``.

        Raises:
            LookupError: nobody provided one; the plugin's `lifespan` has not run or does not call `provide`.
        """
        return self._find(self._provided, kind, "provide it in the plugin's lifespan hook")

    def report_health(self, plugin: str, report: Callable[[], Mapping[str, Any]]) -> None:
        """Have something said by ``/readyz`` and ``/health`` under a plugin's name; call it in `lifespan`.

        What it says of ``active_agents`` (a list of ids) and ``circuit_breaker_status`` (``closed``, ``half_open``,
        ``open``) counts into the sums of the same names in ``/health``.

        Args:
            report: called for each answer, must not wait; JSON values that everybody may see. It never makes the
                gateway unready: what a plugin cannot do without, it refuses by its hooks.
        """
        self.health[plugin] = report

    def set_tracer(self, tracer: Tracer) -> None:
        """Take over the decisions about traces; call it in `lifespan`.

        Raises:
            RuntimeError: somebody else has.
        """
        if self.tracer is not None:
            raise RuntimeError(f"traces are begun by {type(self.tracer).__qualname__} already; use one plugin for it")
        self.tracer = tracer

    def forget(self) -> None:
        """Forget tracer and reports when every `lifespan` has been left: an application may be started again."""
        self.tracer = None
        self.health.clear()

    def set_config(self, value: object) -> None:
        """Keep a plugin's configuration; the assembly calls it before `lifespan`."""
        self._configs[type(value)] = value

    def _find(self, table: dict[type, Any], kind: type[T], hint: str) -> T:
        try:
            return cast("T", table[kind])
        except KeyError:
            raise LookupError(f"{kind.__module__}.{kind.__qualname__} is not available: {hint}") from None
