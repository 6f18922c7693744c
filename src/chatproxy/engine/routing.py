"""Routing: from a model's name to a handler, and what the model table does to a request on its way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from chatproxy.config import ModelConfig, find_model
from chatproxy.errors import InvalidRequest, NotFound, PermissionDenied, PluginFailed
from chatproxy.types.context import RequestContext
from chatproxy.types.handler import Handler
from chatproxy.types.request import ChatRequest


class Router:
    """The core's own choice of a handler, after every plugin's.

    Args:
        models: the model table; empty where every name goes to the default handler.
        handlers: by name; an upstream is the handler ``upstream:<name>``.
        default: who answers where there is no table.
    """

    def __init__(self, models: Mapping[str, ModelConfig], handlers: Mapping[str, Handler], default: Handler) -> None:
        self._models = models
        self._handlers = handlers
        self._default = default

    def entry(self, model: str) -> tuple[ModelConfig, str] | None:
        """The model's entry in the table and the name to send upstream; None where the table has neither."""
        return find_model(self._models, model) if self._models else None

    def handler(self, model: str, entry: ModelConfig | None) -> Handler:
        """Who answers for this model.

        Raises:
            NotFound: there is a table and the model is not in it (404, code ``model_not_found``).
        """
        if entry is None:
            if self._models:
                raise model_not_found(model)
            return self._default
        return self._handlers[entry.handler or f"upstream:{entry.upstream}"]


def model_not_found(model: str) -> NotFound:
    """The error for a model nobody here serves."""
    return NotFound(f"The model '{_short(model)}' does not exist.", code="model_not_found", param="model")


def check_model(ctx: RequestContext, model: str) -> None:
    """Refuse a model that the principal may not name.

    Raises:
        PermissionDenied: it may not (403, code ``model_not_allowed``).
    """
    if ctx.principal is not None and not ctx.principal.may_use(model):
        raise PermissionDenied(f"You may not use the model '{_short(model)}'.", code="model_not_allowed", param="model")


def apply_model(ctx: RequestContext, request: ChatRequest, entry: ModelConfig, upstream_model: str) -> None:
    """Do what a model's entry says: system prompt, parameters, the name sent on.

    Raises:
        PluginFailed: the entry's ``transform_params`` raised.
    """
    if entry.system_prompt and entry.system_prompt_behavior != "passthrough":
        request.instruct(entry.system_prompt, entry.system_prompt_behavior)
    for key, value in _own(entry.params, request):
        if key not in request:
            request[key] = value
    for key, value in _own(entry.overrides, request):
        request[key] = value
    if upstream_model != request.model:
        request.model = upstream_model
    ctx.exchange.upstream_model = upstream_model
    if entry.transform_params is not None:
        _transform(request, entry)


def _short(model: str) -> str:
    return model if len(model) <= 200 else model[:200] + "…"


def _own(params: Mapping[str, Any], request: ChatRequest) -> Iterator[tuple[str, Any]]:
    """Chat's parameters by the names of the request's surface; those that it does not have are left out."""
    for name, value in params.items():
        key = request.layout.own_param(name)
        if key == "stop_sequences" and isinstance(value, str):  # a list there, also for one
            yield key, [value]
        elif key is not None:
            yield key, deepcopy(value)


def _transform(request: ChatRequest, entry: ModelConfig) -> None:
    transform = entry.transform_params
    if transform is None:
        return
    params = request.to_dict()
    try:
        changed = transform(params)
    except (InvalidRequest, NotFound):
        raise
    except Exception as exc:
        message = f"transform_params of model '{entry.id}' failed."
        raise PluginFailed(message, plugin=f"models.{entry.id}", hook="transform_params") from exc
    after = params if changed is None else changed
    for key in [key for key in request if key not in after]:
        del request[key]
    for key, value in after.items():
        if key not in request or request[key] != value:
            request[key] = value
