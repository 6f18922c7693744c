"""Context: the bag of values that goes from worker to worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from chatproxy_graphs.chat import ChatCall

if TYPE_CHECKING:
    from chatproxy import RequestContext
    from chatproxy_graphs.scope import Scope

_SLOTS = frozenset({"_data", "_history", "_path", "_scope"})


class Context:
    """Values by name, as attributes; one that is missing is None.

    Args:
        data: values by any name, also such as are methods here; reach those by `get` and `data`.
        fields: values by name.

    Example:
        ``ctx = Context(query="What is ML?")``, then ``ctx.documents = find(ctx.query)``.
    """

    __slots__ = ("_data", "_history", "_path", "_scope")

    _data: dict[str, Any]
    _history: list[str]
    _path: list[str]
    _scope: Scope | None

    def __init__(self, data: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        put = object.__setattr__  # past the one of this class, which is for values
        put(self, "_data", {**data, **fields} if data else fields)
        put(self, "_history", [])
        put(self, "_path", [])
        put(self, "_scope", None)

    @property
    def data(self) -> dict[str, Any]:
        """The values themselves; changing them changes the context."""
        return self._data

    @property
    def history(self) -> list[str]:
        """What workers logged, in order."""
        return self._history

    @property
    def execution_path(self) -> list[str]:
        """The nodes that have run, in order; one of a graph within a graph as ``outer/inner``."""
        return self._path

    @property
    def gateway(self) -> RequestContext | None:
        """What the gateway knows of the exchange: headers, principal, trace; None outside of it."""
        return None if self._scope is None else self._scope.gateway

    def get(self, name: str, default: Any = None) -> Any:
        """A value, or ``default`` where there is none."""
        return self._data.get(name, default)

    def log(self, message: object) -> None:
        """Add a line to `history`."""
        self._history.append(str(message))

    def copy(self) -> Self:
        """Another context with the same values. Lists, dicts and sets are copied at any depth, other objects shared."""
        other = type(self)(copied(self._data))
        other.history.extend(self._history)
        other.execution_path.extend(self._path)
        bind(other, self._scope)
        return other

    def chat(self, messages: str | Sequence[Mapping[str, Any]], *, model: str, **fields: Any) -> ChatCall:
        """Ask a model through the gateway, with everything that its plugins do: guardrails, limits, accounting.

        ``answer = await ctx.chat("Hi", model="gpt-5")`` is buffered; ``async for text in ctx.chat(…)`` streams.

        Args:
            messages: a conversation, or the text of one user message.
            fields: more of the request, for example ``temperature`` or ``tools``.

        Raises:
            RuntimeError: no gateway runs this graph.
        """
        scope = self._scope
        if scope is None or scope.gateway is None:
            raise RuntimeError("ctx.chat works where the gateway runs the graph: no gateway does")
        said = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
        return scope.opened(ChatCall(scope.gateway, {**fields, "model": model, "messages": said}, scope.span))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in _SLOTS:
            raise AttributeError(name)
        return self._data.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SLOTS:
            object.__setattr__(self, name, value)
        elif hasattr(type(self), name):
            raise AttributeError(f"{name!r} belongs to Context itself; use ctx.data[{name!r}] for a value of that name")
        else:
            self._data[name] = value

    def __delattr__(self, name: str) -> None:
        self._data.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __repr__(self) -> str:
        return f"Context({', '.join(self._data)})"


def bind(ctx: Context, scope: Scope | None) -> None:
    """Say on whose behalf a worker sees this context; the engine's."""
    object.__setattr__(ctx, "_scope", scope)


def scope_of(ctx: Context) -> Scope | None:
    """What `bind` said last."""
    return ctx._scope  # noqa: SLF001 - see `bind`


def adopt(ctx: Context, other: Context) -> None:
    """Take over what another context holds."""
    if ctx is not other:
        ctx._data, ctx._history, ctx._path = other._data, other._history, other._path  # noqa: SLF001 - see `bind`


def copied(value: Any) -> Any:
    """A copy of plain containers at any depth; other objects, and types derived from containers, are shared."""
    return _copied(value, {})


def _copied(value: Any, seen: dict[int, Any]) -> Any:
    kind = type(value)
    if kind not in {dict, list, set, tuple}:
        return value
    if id(value) in seen:
        return seen[id(value)]
    if kind is tuple:
        return tuple(_copied(item, seen) for item in value)
    if kind is set:
        return set(value)
    made: Any = kind()
    seen[id(value)] = made
    if kind is dict:
        made.update((key, _copied(item, seen)) for key, item in value.items())
    else:
        made.extend(_copied(item, seen) for item in value)
    return made
