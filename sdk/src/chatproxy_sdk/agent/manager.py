"""``ModelManager``: the models of a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from chatproxy_sdk._core.faults import FaultError
from chatproxy_sdk._core.terms import Answer, Call
from chatproxy_sdk.agent.access import Access
from chatproxy_sdk.agent.config import ModelConfig, RuntimeConfig
from chatproxy_sdk.exceptions import APIResponseError, ModelNotFoundError
from chatproxy_sdk.types import ModelInfo, ModelsResponse

# What servers without an endpoint for one model answer; their list is asked then.
NO_SUCH_ENDPOINT = {404, 405, 501}


class ModelManager:
    """Which models there are; use it with ``async with``, or take ``agent.models``, which its agent closes.

    Args:
        model_config: says where; ``select_model`` sets its ``model``.
        access: a connection to share; one of its own if None.

    Raises:
        ConfigurationError: a setting cannot be used.
    """

    def __init__(
        self, model_config: ModelConfig, runtime_config: RuntimeConfig | None = None, *, access: Access | None = None
    ) -> None:
        self._config = model_config
        self._is_owner = access is None
        self._access = access or Access(model_config, runtime_config)

    async def list_models(self) -> list[str]:
        """The ids of the models, in the server's order.

        Raises:
            ChatAPIException: the server cannot be reached, or does not say.
        """
        return [model.id for model in await self.list_models_detailed()]

    async def list_models_detailed(self) -> list[ModelInfo]:
        """The models with all that the server says of them.

        Raises:
            ChatAPIException: the server cannot be reached, or does not say.
        """
        answer = await self._fetch("/models")
        found = self._json(answer)
        # Some servers send the list itself.
        body = found if isinstance(found, Mapping) else {"data": found}
        try:
            return ModelsResponse.from_dict(body).data
        except ValueError as exc:
            self._access.refuse(answer, str(exc))

    async def get_model_info(self, model: str) -> ModelInfo:
        """What the server says of one model; its id may hold slashes.

        Raises:
            ModelNotFoundError: the server does not have it.
            ChatAPIException: the server cannot be reached, or does not say.
        """
        try:
            answer = await self._fetch(f"/models/{quote(model, safe='')}")
        except APIResponseError as exc:
            if exc.details.get("status_code") not in NO_SUCH_ENDPOINT:
                raise
            return await self._listed(model, exc)
        try:
            return ModelsResponse.from_dict({"data": [self._json(answer)]}).data[0]
        except ValueError as exc:
            self._access.refuse(answer, str(exc))

    async def select_model(self, models: Sequence[str]) -> str:
        """The first of these models that the server has; the configuration asks for it from now on.

        Raises:
            ModelNotFoundError: it has none of them; ``details`` has ``requested`` and ``available``.
            ChatAPIException: the server cannot be reached, or does not say.
        """
        wanted = [models] if isinstance(models, str) else list(models)
        there = await self.list_models()
        for model in wanted:
            if model in there:
                self._config.model = model
                return model
        message = f"none of these models is available: {', '.join(wanted) or '(none was asked for)'}"
        raise ModelNotFoundError(message, {"requested": wanted, "available": there})

    async def close(self) -> None:
        """Close its connections; those of an agent stay open."""
        if self._is_owner:
            await self._access.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _fetch(self, path: str) -> Answer:
        self._access.check_open()
        return await self._access.connection.fetch(Call(method="GET", path=path))

    def _json(self, answer: Answer) -> Any:
        try:
            return answer.json()
        except FaultError as exc:
            raise self._access.error_of(exc.fault) from exc

    async def _listed(self, model: str, reason: APIResponseError) -> ModelInfo:
        found = [one for one in await self.list_models_detailed() if one.id == model]
        if found:
            return found[0]
        message = f"the server has no model {model!r}"
        raise ModelNotFoundError(message, {**reason.details, "model": model}) from reason
