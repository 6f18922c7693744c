"""App: what a plugin can reach of the running gateway; one for each application, nothing global."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from chatproxy.types.model import SessionStore

T = TypeVar("T")


class App:
    """Handed to `lifespan`, and to every hook as ``ctx.app``.

    Attributes:
        version: of chatproxy.
        session_store: durable when a plugin brings one, else in memory and bounded.
        settings: the core's configuration, read-only, with secrets taken out.
    """

    def __init__(self, *, version: str, session_store: SessionStore, settings: Mapping[str, Any]) -> None:
        self.version = version
        self.session_store = session_store
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

    def set_config(self, value: object) -> None:
        """Keep a plugin's configuration; the assembly calls it before `lifespan`."""
        self._configs[type(value)] = value

    def _find(self, table: dict[type, Any], kind: type[T], hint: str) -> T:
        try:
            return cast("T", table[kind])
        except KeyError:
            raise LookupError(f"{kind.__module__}.{kind.__qualname__} is not available: {hint}") from None
