"""ModelConfig: what a model name of a client means, and how one is found."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from chatproxy.config.describe import found
from chatproxy.config.kinds import Count, Text
from chatproxy.config.section import Section, setting

ParamsTransform = Callable[[dict[str, Any]], "dict[str, Any] | None"]


def _resolve(value: object, path: str, faults: list[str]) -> ParamsTransform | None:
    if value is None or (callable(value) and not isinstance(value, str)):
        return value
    module, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not module or not name:
        faults.append(f'{path}: found {found(value)}, wanted a function, in a file "module:function"')
        return None
    return _import(module, name, path, faults)


def _import(module: str, name: str, path: str, faults: list[str]) -> ParamsTransform | None:
    try:
        target: Any = importlib.import_module(module)
        for part in name.split("."):
            target = getattr(target, part)
    except (ImportError, AttributeError, SyntaxError) as exc:
        faults.append(f"{path}: cannot import {module}:{name} ({type(exc).__name__}: {exc})")
        return None
    if not callable(target):
        faults.append(f"{path}: {module}:{name} is a {type(target).__name__}, wanted a function")
        return None
    function: ParamsTransform = target
    return function


class ModelConfig(Section):
    """A table ``[models."<id or glob>"]``.

    Attributes:
        id: what clients send; ``*`` stands for any text, also with ``/`` in it.
        upstream_model: what the upstream is asked for; None = what the client sent. Each ``*`` is replaced by what the
            ``*`` of the same place in ``id`` stood for.
        upstream: name of the table ``[upstreams.<name>]`` that answers.
        handler: name of a handler that answers instead of an upstream.
        system_prompt: used as ``system_prompt_behavior`` says; with ``passthrough`` not at all.
        system_prompt_behavior: ``override`` replaces the request's, ``prepend`` and ``append`` join with a blank line,
            ``default`` is for requests without one.
        params: request fields for requests that do not have them.
        overrides: request fields that always win.
        transform_params: called last with the request's fields; returns them changed, or None when changed in place.
            In a file ``"module:function"``.
        description: shown in ``GET /v1/models``, as ``owned_by``, ``context_length`` (tokens) and ``capabilities``.
    """

    id: Text
    upstream_model: Text | None = None
    upstream: Text = "default"
    handler: Text | None = None
    system_prompt: str | None = None
    system_prompt_behavior: Literal["passthrough", "override", "prepend", "append", "default"] = "passthrough"
    params: Mapping[str, Any] = setting(default_factory=dict)
    overrides: Mapping[str, Any] = setting(default_factory=dict)
    transform_params: ParamsTransform | None = setting(default=None, convert=_resolve)
    description: str | None = None
    owned_by: str | None = None
    context_length: Count | None = None
    capabilities: tuple[str, ...] = ()

    @property
    def is_glob(self) -> bool:
        """Whether the id stands for many models."""
        return "*" in self.id

    def conflicts(self, path: str) -> list[str]:
        """Faults between keys."""
        faults = []
        stars = (self.upstream_model or "").count("*")
        if stars > self.id.count("*"):
            faults.append(f"{path}.upstream_model: found {stars} times '*', wanted at most as many as in the id")
        if self.handler is not None and self.upstream != "default":
            faults.append(f"{path}: found handler and upstream, wanted one of them")
        return faults

    def warnings(self, path: str) -> list[str]:
        """What is allowed and yet worth a line at start."""
        if self.system_prompt is None or self.system_prompt_behavior != "passthrough":
            return []
        return [f'{path}: system_prompt has no effect with system_prompt_behavior = "passthrough" (the default)']

    def public(self) -> dict[str, Any]:
        """The settings as JSON values; a function by its name."""
        shown = {name: getattr(self, name) for name in self.fields_}
        function = self.transform_params
        named = None if function is None else getattr(function, "__qualname__", type(function).__name__)
        mappings = {name: dict(value) for name, value in shown.items() if isinstance(value, MappingProxyType)}
        return {**shown, **mappings, "transform_params": named}


def find_model(models: Mapping[str, ModelConfig], name: str) -> tuple[ModelConfig, str] | None:
    """The model that ``name`` means, and what to ask the upstream for; None where no entry fits.

    An entry of that very id wins, then the glob with the most characters besides ``*`` (then the first by name).
    """
    exact = models.get(name)
    if exact is not None and not exact.is_glob:
        return exact, exact.upstream_model or name
    fits = ((model, stars) for model in models.values() if (stars := _match(model.id, name)) is not None)
    for model, stars in sorted(fits, key=lambda fit: (-len(fit[0].id.replace("*", "")), fit[0].id)):
        if upstream_model := _substitute(model.upstream_model, stars, name):
            return model, upstream_model
    return None


def _match(glob: str, name: str) -> tuple[str, ...] | None:
    """What each ``*`` stands for; linear in the name's length."""
    if "*" not in glob:
        return () if glob == name else None
    first, middle, last = _parts(glob)
    at, end = len(first), len(name) - len(last)
    if at > end or not (name.startswith(first) and name.endswith(last)):
        return None
    stars = []
    for part in middle:
        place = name.find(part, at, end)
        if place < 0:
            return None
        stars.append(name[at:place])
        at = place + len(part)
    return (*stars, name[at:end])


@functools.lru_cache(maxsize=1024)
def _parts(glob: str) -> tuple[str, tuple[str, ...], str]:
    """What stands before the first ``*``, between two, and after the last."""
    first, *middle, last = glob.split("*")
    return first, tuple(middle), last


def _substitute(upstream_model: str | None, stars: tuple[str, ...], name: str) -> str:
    if upstream_model is None:
        return name
    first, *others = upstream_model.split("*")
    return first + "".join(star + part for star, part in zip(stars, others, strict=False))
