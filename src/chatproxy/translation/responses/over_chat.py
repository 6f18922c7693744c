"""Clients that speak the Responses API, over handlers that speak chat completions."""

from __future__ import annotations

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.responses.items import Events, Silence
from chatproxy.translation.responses.object import ResponseObject, make_id
from chatproxy.translation.responses.request import chat_request, client_param
from chatproxy.translation.responses.stream import ResponseStream


class ResponsesOverChat:
    """One exchange of a client of ``/v1/responses`` with a handler of chat completions.

    Refused, since the answer depends on it: ``prompt``, ``conversation``, ``previous_response_id`` and ``background``
    (the gateway takes the last two away before), ``item_reference`` items and those of tools that OpenAI runs, file
    ids and URLs, a ``tool_choice`` that leaves only tools which OpenAI runs, several answers and audio as output.

    Put on record and left out: tools that OpenAI runs, while they are only offered, and their calls of the past;
    ``include`` (but for log probabilities), ``truncation``, ``max_tool_calls``, ``context_management``,
    ``reasoning`` (but for ``effort``), ``stream_options``; encrypted reasoning, unless the handler's own comes back
    (`hub`); ``phase``, annotations and log probabilities of earlier answers. Of the reply: further choices, audio, and
    fields of the message that a Response has no place for. Images in a tool's result follow it as a user's message.

    A function without ``strict`` is loose on chat and strict on responses, which is put on record as well.

    Changed in silence: ``store`` is the gateway's affair, ids of items are new, and ``tool_choice`` and
    ``parallel_tool_calls`` go only with tools. Text that a stream goes on with after a call is another message.

    Args:
        hub: the handler's chat is itself a translation, which understands ``thinking_blocks``.

    Attributes:
        response_id: the Response's id, also before there is one.
        is_stored: what the Response shows as ``store``: the client's wish, true where it has none.
        previous_response_id: what the Response shows; the gateway says it, having taken it from the request.
    """

    __slots__ = (
        "_events",
        "_hub",
        "_losses",
        "_request",
        "_stream",
        "is_stored",
        "previous_response_id",
        "response_id",
    )

    def __init__(self, losses: Losses, *, hub: bool = False) -> None:
        self._losses = losses
        self._hub = hub
        self._events = Events()
        self._request: Json = {}
        self._stream: ResponseStream | None = None
        self.response_id = make_id("resp_")
        self.is_stored = True
        self.previous_response_id: str | None = None

    def request(self, body: Json) -> Json:
        """The chat request for a Responses request.

        Raises:
            InvalidRequest: the Responses API would refuse it, or chat cannot carry what the answer depends on (400).
        """
        self._request = body
        self.is_stored = body.get("store") is not False
        return chat_request(body, self._losses, hub=self._hub)

    def reply(self, body: Json) -> Json:
        """The Response for a chat completion."""
        return self._begin(Silence()).whole(body)

    def event(self, data: Json) -> list[Json]:
        """The events for a chunk."""
        if self._stream is None:
            self._stream = self._begin(self._events)
        return self._stream.event(data)

    def finish(self) -> list[Json]:
        """The rest of the events, ``response.completed`` or ``response.incomplete`` at the end."""
        if self._stream is None:
            self._stream = self._begin(self._events)
        self._stream.finish()
        return self._events.take()

    def param(self, name: str) -> str:
        """The Responses request's name for a field of the chat request."""
        return client_param(name)

    def _begin(self, events: Events) -> ResponseStream:
        stored = {
            "id": self.response_id,
            "store": self.is_stored,
            "previous_response_id": self.previous_response_id,
        }
        return ResponseStream(ResponseObject(self._request, stored, self._losses), self._losses, events)
