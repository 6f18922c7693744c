"""Discovery: which plugins there are, which of them may load, and loading those.

Rule: what is disabled or not on the allow-list is never imported, not even its top level; what is wanted and does not
load stops the start. Entry points are enumerated here and never by pluggy, which would import them all.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import linecache
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol

from chatproxy.errors import PluginError

logger = logging.getLogger("chatproxy.plugins")

GROUP = "chatproxy"
NAME = re.compile(r"[a-z0-9_-]+")
NAME_ATTRIBUTE = "chatproxy_name"
FILE_PREFIX = "chatproxy_file_"
LOAD_DEADLINE_S = 30.0

Origin = Literal["entry point", "file", "module", "code"]
Status = Literal["loaded", "disabled", "ignored", "failed"]


class Choice(Protocol):
    """Which plugins the operator wants; `config.PluginsConfig` is one."""

    @property
    def enabled(self) -> tuple[str, ...] | None:
        """The only installed plugins that may load; None for all."""

    @property
    def disabled(self) -> tuple[str, ...]:
        """Installed plugins that must not load; stronger than ``enabled``."""

    @property
    def required(self) -> tuple[str, ...]:
        """The start is refused without these."""

    @property
    def load(self) -> tuple[str, ...]:
        """More plugins: ``package.module``, ``package.module:object`` or a path ending in ``.py``."""

    @property
    def disabled_all(self) -> bool:
        """Whether no installed plugin may load."""


@dataclass(slots=True)
class FoundPlugin:
    """One plugin, loaded or not.

    Attributes:
        distribution: the installed package it comes from; None where it comes from none.
        obj: what implements the hooks; None unless loaded.
        error: why it failed: the exception's type, its message, and the line in the plugin.
        location: ``file:line`` of the object, or of what failed; None where unknown.
    """

    name: str
    origin: Origin
    distribution: str | None = None
    version: str | None = None
    status: Status = "loaded"
    obj: Any = None
    error: str | None = None
    location: str | None = None

    @property
    def label(self) -> str:
        """Name and distribution, for messages."""
        package = " ".join(part for part in (self.distribution, self.version) if part)
        return f"plugin '{self.name}'" + (f" ({package})" if package else "")


def discover(
    config: Choice,
    *,
    extra: Sequence[object] = (),
    entry_points: Iterable[EntryPoint] | None = None,
    load_deadline_s: float = LOAD_DEADLINE_S,
) -> list[FoundPlugin]:
    """Find every plugin and load those that may load.

    Args:
        extra: plugin objects passed in code: modules, instances, or classes that take no arguments.
        entry_points: instead of those of the installed distributions.
        load_deadline_s: seconds that the import of one plugin may take.

    Returns:
        Installed plugins by name, then those of ``load``, then ``extra``, in their given order.

    Raises:
        PluginError: a duplicate name; a plugin that is required, enabled, listed in ``load`` or passed in code does
            not load or is not there.
    """
    found = _installed(config, installed_entry_points() if entry_points is None else entry_points, load_deadline_s)
    found += [_load_item(item, load_deadline_s) for item in config.load]
    found += [_from_code(obj) for obj in extra]
    _check_names(found)
    _check_wanted(found, config)
    return found


def installed_entry_points() -> list[EntryPoint]:
    """Entry points of the group ``chatproxy``; of a distribution seen twice on ``sys.path`` those of the first copy.

    A distribution whose metadata cannot be read is left out with a warning, so that it harms only itself. Names and
    versions are read for plugins alone: parsing them for every distribution costs twenty times the rest.
    """
    points: dict[str, list[EntryPoint]] = {}
    for dist in importlib.metadata.distributions():
        if not (found := _points(dist)):
            continue
        name, _ = _name_and_version(dist)
        if name is None:
            points[repr(dist)] = found
        elif (key := _canonical(name)) not in points:
            points[key] = _points(next(iter(importlib.metadata.distributions(name=name)), dist))
    return [point for found in points.values() for point in found]


def _points(dist: Distribution) -> list[EntryPoint]:
    try:
        if f"[{GROUP}]" not in (dist.read_text("entry_points.txt") or ""):
            return []
        return list(dist.entry_points.select(group=GROUP))
    except Exception as exc:  # noqa: BLE001 - a damaged file of any package raises whatever its parser raises
        logger.warning("entry points of %s cannot be read: %s: %s", _name_and_version(dist)[0], type(exc).__name__, exc)
        return []


def _canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _name_and_version(dist: Distribution | None) -> tuple[str | None, str | None]:
    if dist is None:
        return None, None
    try:
        return dist.metadata["Name"], dist.metadata["Version"]
    except Exception:
        logger.debug("metadata of %r cannot be read", dist, exc_info=True)
        return None, None


def _installed(config: Choice, points: Iterable[EntryPoint], deadline_s: float) -> list[FoundPlugin]:
    """Every installed plugin, sorted by name."""
    by_name: dict[str, dict[str, tuple[EntryPoint, FoundPlugin]]] = {}
    for point in points:
        distribution, version = _name_and_version(point.dist)
        plugin = FoundPlugin(point.name, "entry point", distribution, version, _status(point.name, config))
        owner = _canonical(distribution) if distribution else point.value
        by_name.setdefault(point.name, {}).setdefault(owner, (point, plugin))
    found: list[FoundPlugin] = []
    for name in sorted(by_name):
        same = [pair for _, pair in sorted(by_name[name].items())]
        found += [plugin for _, plugin in same]
        if same[0][1].status != "loaded":
            continue
        if len(same) > 1:
            owners = " and ".join(plugin.distribution or point.value for point, plugin in same)
            raise PluginError(f"plugin '{name}' is given by {owners}; uninstall one, or disable the name")
        _load_installed(*same[0], config, deadline_s)
    return found


def _status(name: str, config: Choice) -> Status:
    if config.disabled_all or name in config.disabled:
        return "disabled"
    return "ignored" if config.enabled is not None and name not in config.enabled else "loaded"


def _load_installed(point: EntryPoint, plugin: FoundPlugin, config: Choice, deadline_s: float) -> None:
    """Load one installed plugin; a failure is fatal only for one that is wanted by name."""
    try:
        if not NAME.fullmatch(plugin.name):
            raise _LoadError(f"the entry point's name must match {NAME.pattern}")
        plugin.obj = _load_point(point, deadline_s)
        plugin.location = _location(plugin.obj)
    except _LoadError as exc:
        if plugin.name in config.required or plugin.name in (config.enabled or ()):
            raise PluginError(f"{plugin.label} is required or enabled and failed to load: {exc}") from exc
        plugin.status, plugin.error, plugin.location = "failed", str(exc), exc.location
        logger.warning("%s failed to load and is left out: %s", plugin.label, exc, extra={"plugin": plugin.name})


def _load_item(item: str, deadline_s: float) -> FoundPlugin:
    """Load an item of ``[plugins] load`` or ``--plugin``."""
    origin: Origin = "file" if item.endswith(".py") else "module"
    module, _, attribute = item.partition(":")
    try:
        if origin == "file":
            default = Path(item).stem
            obj = _load(lambda: _import_file(Path(item)), FILE_PREFIX, deadline_s)
        else:
            default = _snake_case(attribute) if attribute else _module_name(module)
            obj = _load_point(EntryPoint(default, item, GROUP), deadline_s)
    except _LoadError as exc:
        raise PluginError(f"plugin {item!r} failed to load: {exc}") from exc
    return FoundPlugin(_name_of(obj, default, item), origin, obj=obj, location=_location(obj))


def _from_code(obj: object) -> FoundPlugin:
    plain = obj.__name__ if isinstance(obj, ModuleType | type) else type(obj).__name__
    default = _module_name(plain) if isinstance(obj, ModuleType) else _snake_case(plain)
    try:
        made = _made(obj)
    except Exception as exc:
        raise PluginError(f"plugin {plain!r}: {_described(exc, _place(exc, ''))}") from exc
    return FoundPlugin(_name_of(made, default, plain), "code", obj=made, location=_location(made))


def _module_name(module: str) -> str:
    return module.rpartition(".")[2].removeprefix("chatproxy_")


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.rpartition(".")[2]).lower()


def _name_of(obj: object, default: str, what: str) -> str:
    name = getattr(obj, NAME_ATTRIBUTE, default)
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    raise PluginError(f"plugin {what!r}: the name {name!r} must match {NAME.pattern}; set {NAME_ATTRIBUTE!r} on it")


def _check_names(found: Iterable[FoundPlugin]) -> None:
    names: dict[str, FoundPlugin] = {}
    for plugin in found:
        if plugin.status != "loaded":
            continue
        if (other := names.setdefault(plugin.name, plugin)) is not plugin:
            raise PluginError(
                f"two plugins are named '{plugin.name}': {_whence(other)} and {_whence(plugin)}; "
                f"give one of them another name by its attribute {NAME_ATTRIBUTE!r}"
            )


def _whence(plugin: FoundPlugin) -> str:
    where = ", ".join(part for part in (plugin.distribution, plugin.location) if part)
    return f"{plugin.origin} ({where})" if where else plugin.origin


def _check_wanted(found: Sequence[FoundPlugin], config: Choice) -> None:
    loaded = {plugin.name for plugin in found if plugin.status == "loaded"}
    left_out = {plugin.name: plugin.status for plugin in found if plugin.status != "loaded"}
    known = loaded | left_out.keys()
    for name in config.required:
        if name not in loaded:
            raise PluginError(f"plugin '{name}' is in [plugins] required, but {left_out.get(name, 'not installed')}")
    for name in config.enabled or ():
        if name not in known and name not in config.disabled and not config.disabled_all:
            there_are = ", ".join(sorted(known)) or "none"
            raise PluginError(f"plugin '{name}' is in [plugins] enabled, but not installed; there are: {there_are}")
    for name in config.disabled:
        if name not in known:
            logger.warning("plugin '%s' is in [plugins] disabled, but not installed", name)


class _LoadError(PluginError):
    """A plugin did not load. ``location`` is the line in the plugin, where known."""

    def __init__(self, message: str, location: str | None = None) -> None:
        super().__init__(message)
        self.location = location


def _load_point(point: EntryPoint, deadline_s: float) -> Any:
    if not EntryPoint.pattern.fullmatch(point.value):
        raise _LoadError(f"{point.value!r} is none of: package.module, package.module:object, path of a .py file")
    return _load(point.load, point.value.partition(":")[0].partition(".")[0].strip(), deadline_s)


def _load(load: Callable[[], Any], root: str, deadline_s: float) -> Any:
    """Import in a thread of its own, so that an import that hangs is left behind instead of waited for.

    Args:
        root: the plugin's top-level package, or `FILE_PREFIX`.

    Raises:
        _LoadError: it raised, or did not finish in ``deadline_s`` seconds.
    """
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(_made(load()))
        except BaseException as exc:  # noqa: BLE001 - the import of a plugin may raise anything, SystemExit included
            failure.append(exc)

    thread = threading.Thread(target=run, name=f"import {root}", daemon=True)
    thread.start()
    thread.join(deadline_s)
    if failure:
        place = _place(failure[0], root)
        raise _LoadError(_described(failure[0], place), place) from failure[0]
    if not outcome:
        raise _LoadError(f"it did not finish importing in {deadline_s:g} s")
    return outcome[0]


def _made(obj: Any) -> Any:
    """The plugin itself: an instance where it is a class."""
    if obj is None:
        raise TypeError("a plugin must be a module, a class or an object, found None")
    if not isinstance(obj, type):
        return obj
    try:
        return obj()
    except TypeError as exc:
        if exc.__traceback__ is not None and exc.__traceback__.tb_next is not None:
            raise
        raise TypeError(f"class {obj.__qualname__} cannot be made without arguments; pass an instance ({exc})") from exc


def _import_file(path: Path) -> ModuleType:
    """Import a file under a module name of its own, known to ``sys.modules`` as pickle and dataclasses need it."""
    path = path.expanduser().resolve()
    name = stem = FILE_PREFIX + re.sub(r"\W", "_", path.stem)
    copies = 1
    while name in sys.modules:
        copies += 1
        name = f"{stem}_{copies}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _described(exc: BaseException, place: str | None) -> str:
    return f"{type(exc).__name__}: {exc}" + (f" ({place})" if place else "")


def _place(exc: BaseException, root: str) -> str | None:
    """``file:line`` of the innermost frame in the plugin; where it has none, of the innermost outside the machinery."""
    if isinstance(exc, SyntaxError) and exc.filename:
        return f"{exc.filename}:{exc.lineno}"
    own: str | None = None
    other: str | None = None
    for frame, line in traceback.walk_tb(exc.__traceback__):
        module, place = str(frame.f_globals.get("__name__", "")), f"{frame.f_code.co_filename}:{line}"
        top = module.partition(".")[0]
        if top == root or (root == FILE_PREFIX and top.startswith(FILE_PREFIX)):
            own = place
        elif module != __name__ and top != "importlib":
            other = place
    return own or other


def _location(obj: object) -> str | None:
    """Where an object is defined. The line of a class is looked up as text: `inspect` would parse the whole file."""
    if isinstance(obj, ModuleType):
        file = getattr(obj, "__file__", None)
        return f"{file}:1" if file else None
    kind = type(obj)
    if (file := getattr(sys.modules.get(kind.__module__), "__file__", None)) is None:
        return None
    opening = re.compile(rf"\s*class {kind.__name__}\b")
    return next((f"{file}:{at}" for at, line in enumerate(linecache.getlines(file), 1) if opening.match(line)), file)
