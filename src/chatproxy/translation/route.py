"""Which translations lead from a client's surface to one that a handler speaks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache, partial
from typing import NamedTuple

from chatproxy.errors import InvalidRequest
from chatproxy.translation.base import Action, Json, Losses, Translation
from chatproxy.translation.chat.messages import ChatOverMessages
from chatproxy.translation.chat.responses import ChatOverResponses
from chatproxy.translation.completions import CompletionsOverChat
from chatproxy.translation.messages.over_chat import MessagesOverChat
from chatproxy.translation.responses.over_chat import ResponsesOverChat

HUB = "chat"

_TO_HUB: Mapping[str, Callable[..., Translation]] = {
    "responses": ResponsesOverChat,
    "messages": MessagesOverChat,
    "completions": CompletionsOverChat,
}
_FROM_HUB: Mapping[str, Callable[..., Translation]] = {
    "responses": ChatOverResponses,
    "messages": ChatOverMessages,
}


class Route(NamedTuple):
    """A way to a handler's surface.

    Attributes:
        surface: what the handler gets.
        begin: makes the translation of one exchange.
    """

    surface: str
    begin: Callable[[Losses], Translation]


@lru_cache(maxsize=256)
def route_to(client: str, spoken: Collection[str]) -> Route | None:
    """The way from a client's surface to one of those a handler speaks; None where there is none.

    Args:
        spoken: must be hashable, for example a frozenset or tuple.
    """
    from_client = _TO_HUB.get(client)
    if client != HUB and from_client is None:
        return None
    if HUB in spoken:
        return None if from_client is None else Route(HUB, from_client)
    for surface, from_hub in _FROM_HUB.items():
        if surface in spoken:
            begin = from_hub if from_client is None else partial(_Chained, outer=from_client, inner=from_hub)
            return Route(surface, begin)
    return None


class _Renamed(Losses):
    """Losses of a chain's inner translation, under the client's names."""

    __slots__ = ("_losses", "_param")

    def __init__(self, losses: Losses, param: Callable[[str], str]) -> None:
        super().__init__()
        self._losses = losses
        self._param = param

    def add(self, field: str, action: Action, reason: str, *, once: bool = False) -> None:
        self._losses.add(self._param(field), action, reason, once=once)


class _Chained:
    """Two translations in a row; what they say to each other is chat."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, losses: Losses, *, outer: Callable[..., Translation], inner: Callable[..., Translation]) -> None:
        self._outer = outer(losses, hub=True)
        self._inner = inner(_Renamed(losses, self._outer.param), hub=True)

    def request(self, body: Json) -> Json:
        hub = self._outer.request(body)
        try:
            return self._inner.request(hub)
        except InvalidRequest as error:
            if error.param is not None:
                error.param = self._outer.param(error.param)
            raise

    def reply(self, body: Json) -> Json:
        return self._outer.reply(self._inner.reply(body))

    def event(self, data: Json) -> list[Json]:
        return [made for event in self._inner.event(data) for made in self._outer.event(event)]

    def finish(self) -> list[Json]:
        made = [made for event in self._inner.finish() for made in self._outer.event(event)]
        return made + self._outer.finish()

    def param(self, name: str) -> str:
        return self._outer.param(self._inner.param(name))
