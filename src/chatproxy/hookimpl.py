"""The `hookimpl` marker: pluggy's, with order constraints by name.

``tryfirst`` and ``trylast`` are pluggy's; ``before`` and ``after`` name plugins or capabilities, ``provides`` names
the capabilities an implementation stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, overload

import pluggy

from chatproxy.hookspecs import PROJECT

F = TypeVar("F", bound=Callable[..., Any])
ORDER_ATTRIBUTE = "chatproxy_order"
_mark = pluggy.HookimplMarker(PROJECT)


class Order(NamedTuple):
    """Constraints of one implementation, each a tuple of plugin names or capabilities, and whether it is wanted."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    when: Callable[[Any], bool] | None = None


@overload
def hookimpl(function: F, /) -> F: ...


@overload
def hookimpl(
    *,
    tryfirst: bool = False,
    trylast: bool = False,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
    provides: Sequence[str] = (),
    when: Callable[[Any], bool] | None = None,
    specname: str | None = None,
    optionalhook: bool = False,
    wrapper: bool = False,
    hookwrapper: bool = False,
) -> Callable[[F], F]: ...


def hookimpl(
    function: F | None = None,
    /,
    *,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
    provides: Sequence[str] = (),
    when: Callable[[Any], bool] | None = None,
    **pluggy_options: Any,
) -> F | Callable[[F], F]:
    """Mark a function as the implementation of the hook it is named after.

    Args:
        tryfirst: come before those without; ``trylast`` after them.
        before: plugins or capabilities this one must come before.
        after: plugins or capabilities this one must come after.
        provides: capabilities this one stands for, for example ``("redaction",)``.
        when: called once at start with the plugin's configuration; where it returns False, the implementation is left
            out and costs nothing. Not for hooks of the start itself.
        specname: the hook, where the function has another name.
        optionalhook: no error where this version of chatproxy does not have the hook.
        wrapper: pluggy's wrappers bracket only the creation of a coroutine; refused at start, use `around_execute`.

    Raises:
        TypeError: what is marked is no function, an option is unknown, or a name is no string.
    """
    order = Order(_names(before), _names(after), _names(provides), when)

    def mark(target: F) -> F:
        inner = getattr(target, "__func__", target)  # of a staticmethod or classmethod, which is not what is called
        if not callable(inner):
            raise TypeError(f"hookimpl marks a function, found {type(target).__name__}; options are keyword-only")
        setattr(inner, ORDER_ATTRIBUTE, order)
        _mark(**pluggy_options)(inner)
        return target

    return mark if function is None else mark(function)


def _names(value: Sequence[str]) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"before, after and provides take names, found {name!r}; name the plugin as a string")
    return names
