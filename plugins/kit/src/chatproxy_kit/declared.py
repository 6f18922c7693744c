"""What a kit declares: its settings, its handler and its hooks.

Rule: nothing is run here; `KitHandler` reads it when an application begins to use the kit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from chatproxy_kit.hooks import check_callable
from chatproxy_kit.state import Schema, State

F = TypeVar("F", bound=Callable[..., Any])
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


class Mark(Protocol):
    """A decorator that leaves the function as it is."""

    def __call__(self, function: F, /) -> F:
        """The function itself."""


class Declared:
    """Base of `ChatKit`.

    Args:
        host: `run` listens there.
        port: `run` listens there; 0 takes a free one.
        cors_origins: of pages that may call the path; ``"*"`` for all.
        path: where it answers besides the model's name; None for nowhere.
        debug: put tracebacks into errors that clients get; never where others can reach it.
        model: its name at ``/v1/chat/completions`` and in the listing.
        description: in the listing.
        timeout_s: seconds a handler may take for its answer, or for its next piece; None for as long as it likes.
        max_threads: for plain functions and generators, at a time.
        state_ttl_s: seconds a session's state lives after its last turn; None: as long as the store keeps it.
        max_state_bytes: of one session's state, as JSON.
        grants: globs of further models that whoever the `auth` hook accepted may use, where another plugin guards
            them.

    Raises:
        ValueError: a value is out of range.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8000,
        cors_origins: Sequence[str] = (),
        path: str | None = "/chatkit",
        debug: bool = False,
        *,
        model: str = "chatkit",
        description: str | None = None,
        timeout_s: float | None = 60.0,
        max_threads: int = 32,
        state_ttl_s: float | None = None,
        max_state_bytes: int = 1 << 20,
        grants: Sequence[str] = (),
    ) -> None:
        if path is not None and not _PATH.fullmatch(path):
            raise ValueError(f"path must be like '/chatkit', found {path!r}")
        if not model or not model.isprintable():
            raise ValueError(f"model must be a name, found {model!r}")
        for name, number in (("timeout_s", timeout_s), ("max_threads", max_threads), ("state_ttl_s", state_ttl_s)):
            if number is not None and not number > 0:
                raise ValueError(f"{name} must be over 0, found {number!r}")
        self.host = host
        self.port = port
        self.cors_origins = _list_of("cors_origins", cors_origins)
        self.path = path
        self.debug = debug
        self.model = model
        self.description = description
        self.timeout_s = timeout_s
        self.max_threads = max_threads
        self.state_ttl_s = state_ttl_s
        self.max_state_bytes = max_state_bytes
        self.grants = _list_of("grants", grants)
        self.function: Callable[..., Any] | None = None
        self.schema: Schema | None = None
        self.auth_hook: Callable[..., Any] = _refuse
        self.startup_hooks: list[Callable[..., Any]] = []
        self.shutdown_hooks: list[Callable[..., Any]] = []
        self.connect_hooks: list[Callable[..., Any]] = []
        self.disconnect_hooks: list[Callable[..., Any]] = []
        self._in_use = False

    # -- decorators ----------------------------------------------------------------------------------------------------

    def handler(self, *, state_class: type[State] | None = None) -> Mark:
        """Decorate the function that answers: ``(messages, context)``, and ``state`` where there is a class for it.

        It may be an async generator or a plain one (of texts and chunk mappings), or a function, async or plain, that
        returns a text, a completion mapping or an iterator. Plain ones run in a thread.

        Raises:
            TypeError: it does not take these arguments, or the class is no `State` with defaults.
            RuntimeError: there is a handler already, or the kit is in use.
        """

        def mark(function: F) -> F:
            self._check_idle("handler")
            if self.function is not None:
                raise RuntimeError(f"the kit '{self.model}' has a handler already: {self.function!r}")
            check_callable(function, 2 if state_class is None else 3, "@ck.handler")
            self.schema = None if state_class is None else Schema(state_class, max_bytes=self.max_state_bytes)
            self.function = function
            return function

        return mark

    def auth(self) -> Mark:
        """Decorate the function that looks at a request's credentials.

        It gets an `AuthRequest` and returns a mapping, which joins the context, or None, which is answered by 401. It
        is also asked for requests that turn out to be for other models of the gateway.

        Raises:
            RuntimeError: there is one already, or the kit is in use.
        """

        def mark(function: F) -> F:
            self._check_idle("auth")
            if self.is_guarded:
                raise RuntimeError(f"the kit '{self.model}' has an auth hook already: {self.auth_hook!r}")
            check_callable(function, 1, "@ck.auth")
            self.auth_hook = function
            return function

        return mark

    def on_startup(self) -> Mark:
        """Decorate a function to call when the server starts; raising stops the start."""
        return self._hook(self.startup_hooks, 0, "on_startup")

    def on_shutdown(self) -> Mark:
        """Decorate a function to call when the server stops, after the last exchange."""
        return self._hook(self.shutdown_hooks, 0, "on_shutdown")

    def on_connect(self) -> Mark:
        """Decorate a function to call with the context before each exchange; raise `ChatKitError` to refuse it."""
        return self._hook(self.connect_hooks, 1, "on_connect")

    def on_disconnect(self) -> Mark:
        """Decorate a function to call with the context once after each exchange, however it ended."""
        return self._hook(self.disconnect_hooks, 1, "on_disconnect")

    # -- use -----------------------------------------------------------------------------------------------------------

    @property
    def is_guarded(self) -> bool:
        """Whether it has an `auth` hook."""
        return self.auth_hook is not _refuse

    def begin_use(self) -> None:
        """Nothing can be decorated any more: what uses the kit has looked at it."""
        self._in_use = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.model!r}, path={self.path!r})"

    def _hook(self, hooks: list[Callable[..., Any]], takes: int, name: str) -> Mark:
        def mark(function: F) -> F:
            self._check_idle(name)
            check_callable(function, takes, f"@ck.{name}")
            hooks.append(function)
            return function

        return mark

    def _check_idle(self, name: str) -> None:
        if self._in_use:
            raise RuntimeError(f"@ck.{name} comes too late: the kit '{self.model}' is in use; decorate before ck.app")


def _refuse(request: object) -> None:
    """Stands where no `auth` hook is; nobody calls it."""
    del request


def _list_of(name: str, values: Sequence[str]) -> list[str]:
    listed = [values] if isinstance(values, str) else list(values)
    if not all(type(value) is str and value for value in listed):
        raise ValueError(f"{name} must be strings, found {listed!r}")
    return listed
