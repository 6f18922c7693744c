"""Toolsets: the functions that a model may call at the terminal, built in or out of a module that is named.

A module offers what its list ``tools`` holds, or the functions that ``@tool`` marks; never all that is in it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from chatproxy_sdk.agent.tools import Tool
from chatproxy_sdk.cli import examples
from chatproxy_sdk.cli.arguments import BUILT_IN, UsageError
from chatproxy_sdk.cli.marks import is_marked
from chatproxy_sdk.cli.texts import one_line
from chatproxy_sdk.exceptions import ConfigurationError

Handler = Callable[..., Any]
OnCall = Callable[[str, dict[str, Any]], None]


class Toolset:
    """Tools with their handlers."""

    def __init__(self, entries: Iterable[tuple[Tool, Handler]] = ()) -> None:
        self._entries = list(entries)

    def __len__(self) -> int:
        return len(self._entries)

    def described(self) -> Iterator[tuple[str, str]]:
        """Name and description of each."""
        for tool, _ in self._entries:
            yield tool.name, tool.description

    def watched(self, on_call: OnCall) -> Iterator[tuple[Tool, Handler]]:
        """The same, with handlers that say when they are called."""
        for tool, handler in self._entries:
            yield tool, _watched(tool.name, handler, on_call)


def _watched(name: str, handler: Handler, on_call: OnCall) -> Handler:
    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def call_async(**arguments: Any) -> Any:
            on_call(name, arguments)
            return await handler(**arguments)

        return call_async

    @functools.wraps(handler)
    def call(**arguments: Any) -> Any:
        on_call(name, arguments)
        return handler(**arguments)

    return call


def load_toolset(name: str) -> Toolset:
    """The tools that a name stands for.

    Args:
        name: ``BUILT_IN``, or ``module``, ``module:attribute``, ``file.py`` or ``file.py:attribute``.

    Raises:
        UsageError: there is no such thing, it fails, or it holds no tools.
    """
    if name == BUILT_IN:
        return BUILT_IN_TOOLS
    try:
        found = _named(name)
        return Toolset(_entry(one) for one in found)
    except ConfigurationError as exc:
        raise UsageError(f"--tools {name}: {exc.message}") from exc


def _named(name: str) -> list[Any]:
    source, _, attribute = name.rpartition(":") if ":" in name else (name, "", "")
    module = _module(source, name)
    if attribute:
        value = getattr(module, attribute, None)
        if value is None:
            raise UsageError(f"--tools {name}: {source} has no {attribute}")
    else:
        value = getattr(module, "tools", None) or [one for one in vars(module).values() if is_marked(one)]
    found = list(value) if isinstance(value, (list, tuple)) else [value]
    if not found:
        raise UsageError(
            f"--tools {name}: no tools; list functions in 'tools', or mark them with chatproxy_sdk.cli.tool"
        )
    return found


def _entry(found: Any) -> tuple[Tool, Handler]:
    if isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], Tool) and callable(found[1]):
        return found[0], found[1]
    if callable(found):
        return Tool.from_function(found), found
    raise ConfigurationError(f"a tool must be a function, or a Tool with its handler; found {found!r:.80}")


def _module(source: str, name: str) -> ModuleType:
    try:
        return _from_file(Path(source)) if source.endswith(".py") else _imported(source)
    except UsageError:
        raise
    except (Exception, SystemExit) as exc:
        said = one_line(f"{type(exc).__name__}: {exc}", 200)
        raise UsageError(f"--tools {name}: {said}") from exc


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_chatproxy_tools_{path.stem}", path.expanduser())
    if spec is None or spec.loader is None:
        raise UsageError(f"--tools {path}: it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # type hints that are texts are looked up there
    spec.loader.exec_module(module)
    return module


def _imported(source: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    return importlib.import_module(source)


BUILT_IN_TOOLS = Toolset((Tool.from_function(one), one) for one in examples.TOOLS)
