"""Models of some 50 vendors by any-llm, in the words of chat completions.

Rule: any-llm does all translation. What it has no argument for is not lost in silence: hints are left out and noted on
the exchange's record, anything else is refused.
"""

from __future__ import annotations

from typing import Any

from any_llm import AnyLLM
from any_llm.exceptions import AnyLLMError
from any_llm.providers.openai.base import BaseOpenAIProvider
from any_llm.types.completion import CompletionParams
from pydantic import ValidationError

from chatproxy import ChatRequest, Completed, Reply, RequestContext, Stream
from chatproxy.errors import ConfigError, InvalidRequest, UpstreamStatus
from chatproxy.types import Attempt
from chatproxy_providers.any_llm_errors import error_of, invalid_request
from chatproxy_providers.any_llm_stream import Chunks, plain
from chatproxy_providers.config import Entry
from chatproxy_providers.hiding import Hider
from chatproxy_providers.place import Place
from chatproxy_providers.waiting import Waiting

# any-llm 1.40.2 does not look at the base URL for these; some of their libraries can be told themselves.
_BASE_URL_IS_AN_OPTION = frozenset({"cerebras", "cohere", "groq"})
_BASE_URL_IS_FIXED = frozenset({"vertexaianthropic", "voyage", "xai"})
_TAKEN = frozenset(CompletionParams.model_fields) - {"model_id"}
_HINTS = frozenset({"metadata", "prompt_cache_retention", "safety_identifier", "store", "verbosity"})


class AnyLlmHandler:
    """`Handler` for one model.

    Args:
        name: unique in the gateway.
        vendor: shared by the models that are reached in the same way.
    """

    surfaces = frozenset({"chat"})

    def __init__(self, name: str, model: str, entry: Entry, vendor: AnyLLM, hider: Hider) -> None:
        self.name = name
        self._model = model
        self._entry = entry
        self._vendor = vendor
        self._hider = hider
        self._place = Place(entry.provider, entry.base_url)
        self._takes_all = isinstance(vendor, BaseOpenAIProvider)

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Ask the vendor.

        Raises:
            InvalidRequest: a field that any-llm or the vendor has no place for (400).
            UpstreamStatus: the vendor answered 4xx or 5xx.
            UpstreamTimeout: it did not answer in time (504).
            UpstreamError: it could not be reached or its answer is broken (502).
        """
        attempt = self._place.begin(ctx, self.name, self._model, "")
        arguments = self._arguments(ctx, request)
        waiting = Waiting(self._entry)
        try:
            answer: Any = await waiting.wait(self._vendor.acompletion(**arguments))
            if request.stream:
                return Stream.of(Chunks(answer, waiting, attempt, self._failed))
            attempt.status = 200
            return Completed(plain(answer))
        except Exception as exc:
            raise self._failed(exc, attempt) from exc

    async def aclose(self) -> None:
        """Close the vendor's connections; closing twice does nothing."""
        client: Any = getattr(self._vendor, "client", None)
        client = getattr(client, "aio", client)  # google-genai keeps its asynchronous half there
        close = getattr(client, "aclose", None) or getattr(client, "close", None)
        if close is not None:
            await close()
        elif hasattr(client, "__aexit__"):  # mistralai has no other end
            await client.__aexit__(None, None, None)

    def _arguments(self, ctx: RequestContext, request: ChatRequest) -> dict[str, Any]:
        body = {**self._entry.params, **request.plain()}
        body.pop("model", None)
        if request.stream:
            body["stream_options"] = {"include_usage": True}
        else:
            body.pop("stream_options", None)
        strange = [name for name in body if name not in _TAKEN and body[name] is not None]
        extra = {name: body[name] for name in strange}
        known = {name: value for name, value in body.items() if name in _TAKEN and value is not None}
        if extra and self._takes_all:
            known["extra_body"] = extra
        elif extra:
            self._leave_out(ctx, strange)
        try:
            CompletionParams(model_id=self._model, **{key: known[key] for key in known if key != "extra_body"})
        except ValidationError as exc:
            raise invalid_request(exc) from exc
        return {"model": self._model, **known}

    def _leave_out(self, ctx: RequestContext, names: list[str]) -> None:
        for name in names:
            if name not in _HINTS:
                message = f"'{name[:100]}' cannot be said to the models of '{self._entry.provider}'."
                raise InvalidRequest(message, code="unsupported_parameter", param=name)
        ctx.note("providers", left_out=names)

    def _failed(self, exc: Exception, attempt: Attempt) -> Exception:
        error = error_of(exc, self._entry.provider, self._hider)
        if isinstance(error, UpstreamStatus):
            attempt.status = error.status
        return error


def make_client(entry: Entry, place: str) -> AnyLLM:
    """any-llm's object for a vendor, with its client.

    Raises:
        ConfigError: there is no such vendor, its library is not installed, or it refuses what it is given.
    """
    options = dict(entry.options)
    if entry.base_url is not None and entry.provider in _BASE_URL_IS_FIXED:
        raise ConfigError(f"{place}.base_url: any-llm does not let it be chosen for {entry.provider!r}")
    if entry.base_url is not None and entry.provider in _BASE_URL_IS_AN_OPTION:
        options.setdefault("base_url", entry.base_url)
    try:
        kind = AnyLLM.get_provider_class(entry.provider)
        if not hasattr(kind, "MAX_RETRIES_SUPPORT"):
            raise ConfigError(f"{place}: any-llm is too old; pip install 'chatproxy-providers[any-llm]'")
        if entry.max_retries or kind.MAX_RETRIES_SUPPORT != "unsupported":  # those without do not retry by themselves
            options["max_retries"] = entry.max_retries
        return AnyLLM.create(
            entry.provider, api_key=entry.api_key, api_base=entry.base_url, unified_exceptions=True, **options
        )
    except (AnyLLMError, ImportError, TypeError, ValueError) as exc:
        found = Hider(entry.secrets()).text(str(exc))
        raise ConfigError(f"{place}: {entry.provider}: {found}") from exc
