"""Layout: where a surface keeps its texts, tools and usage; one instance for each surface.

Engine, hooks and guards know this protocol only, so that a new surface changes none of them. Where surfaces have
different words for one thing (finish reasons, token counts, a function tool), chat's are the ones that plugins see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from chatproxy.errors import ApiError
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.tally import Tally
from chatproxy.types.text import Channel, Text
from chatproxy.types.turns import Turns
from chatproxy.types.usage import Usage

Summary = tuple[Usage | None, list[str]]


class Progress(Protocol):
    """What of one stream has gone out so far, so that it can be ended early; plugins use it by `Ending`."""

    def take(self, data: Any) -> None:
        """An event that goes out, as it is by then; it is neither copied nor changed, and must stay as it is."""

    def filtered(self, message: str, usage: Usage | None, model: str) -> list[dict[str, Any]]:
        """The events that end the stream where it stands, as one whose rest was filtered; see `Ending.filtered`."""


class Layout(Protocol):
    """What the engine and the lenses ask about a surface."""

    @property
    def surface(self) -> str:
        """Name of the surface, for example ``chat``."""

    @property
    def path(self) -> str:
        """Where an OpenAI-compatible upstream serves it, below the base URL, for example ``/chat/completions``."""

    @property
    def structural(self) -> frozenset[str]:
        """Top-level request fields that are not parameters of the model."""

    @property
    def messages_key(self) -> str:
        """The request's field that holds the conversation as a list; empty where the surface has no conversation."""

    @property
    def has_tools(self) -> bool:
        """Whether a request can offer tools, in its field ``tools``."""

    @property
    def streams(self) -> bool:
        """Whether a request can ask for a stream."""

    @property
    def stream_end(self) -> bytes:
        """What follows the last event of a stream: ``data: [DONE]`` or nothing."""

    @property
    def usage_on_request(self) -> bool:
        """Whether a stream carries token counts only if ``stream_options.include_usage`` asks for them."""

    @property
    def names_events(self) -> bool:
        """Whether an event's ``type`` is also its name in the event stream."""

    @property
    def numbers_events(self) -> bool:
        """Whether each event has a ``sequence_number``."""

    # -- what is written ------------------------------------------------------------------------------------------

    def request_texts(self, body: Any) -> Iterator[Text]:
        """Every text of a request body."""

    def response_texts(self, body: Any) -> Iterator[Text]:
        """Every text of a buffered reply."""

    def event_texts(self, data: Any, event: Any) -> Iterator[Text]:
        """Every text of a stream event; a replaced one marks ``event`` as changed."""

    # -- how texts end --------------------------------------------------------------------------------------------

    def ends(self, data: Any, channel: Channel) -> bool:
        """Whether the running text of a channel ends with this event."""

    def again(self, data: Any, text: Text, value: str) -> dict[str, Any]:
        """An event like this one that carries nothing but the next piece of one of its texts."""

    def progress(self) -> Progress:
        """A new `Progress` of one stream."""

    def filter(self, body: Any, message: str) -> None:
        """Make a buffered reply one that was filtered: a message in place of all that was written."""

    # -- what is counted ------------------------------------------------------------------------------------------

    def summary(self, data: bytes) -> Summary:
        """Token counts and finish reasons of a buffered reply's bytes; raises `InvalidRequest` for no JSON object."""

    def usage(self, body: Any) -> Usage | None:
        """Token counts of a reply or of a stream event, where there are any."""

    def finish_reasons(self, body: Any) -> list[str]:
        """Why generation stopped, in chat's words, one entry for each choice that did."""

    def tally(self) -> Tally:
        """A new reader for one stream."""

    # -- what plugins and the model table change ------------------------------------------------------------------

    def own_tool(self, tool: Mapping[str, Any]) -> dict[str, Any]:
        """A function tool in this surface's form, from chat's; any other tool as it is."""

    def own_param(self, name: str) -> str | None:
        """This surface's name for one of chat's parameters; None where it has none."""

    def instruct(self, body: Any, prompt: str, behavior: str) -> None:
        """Join a system prompt with the request's own; see `ChatRequest.instruct`."""

    def tool_calls(self, body: Any) -> list[ToolCall]:
        """The calls that a buffered reply asks for."""

    def answer_calls(self, request: Any, reply: Any, results: Mapping[str, ToolResult]) -> None:
        """Add a reply and the results of its calls, by id, to a request's conversation."""

    @property
    def turns(self) -> Turns | None:
        """What a tool loop needs to know; None where the surface has no tools."""

    @property
    def id_headers(self) -> tuple[bytes, ...]:
        """The response headers that clients look for the request's id in."""

    # -- how it fails ---------------------------------------------------------------------------------------------

    def error_body(self, error: ApiError, request_id: str) -> dict[str, Any]:
        """The JSON body of an error answer."""

    def error_frame(self, error: ApiError, tally: Tally) -> bytes:
        """The one event that ends a stream that failed."""
