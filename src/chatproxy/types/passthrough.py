"""Pass-through: the surfaces whose bodies go by as bytes, and what is known of one request on its way.

Rule: no reply is read here. Replies may be audio, images or files, so only what a client sends as JSON has texts.
Source: OpenAI API reference, "Audio", "Images", "Files" and "Batch".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from chatproxy.errors import ApiError
from chatproxy.sse import encode_frame
from chatproxy.types.chat_tally import ChatTally
from chatproxy.types.context import RequestContext
from chatproxy.types.endings_chat import ChatProgress
from chatproxy.types.layout import Progress, Summary
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.tally import Tally
from chatproxy.types.text import Channel, Text
from chatproxy.types.usage import Usage
from chatproxy.types.walk import Rule, TopField, top_texts

_TEXTS = (
    TopField("instructions", "system", "instructions", Rule.MESSAGE),
    TopField("prompt", "user", "content", Rule.MESSAGE),
    TopField("negative_prompt", "user", "content", Rule.MESSAGE),
    TopField("input", "user", "content", Rule.MESSAGE),
)
_CHAT_ONLY = frozenset(
    {
        "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "parallel_tool_calls",
        "presence_penalty", "reasoning_effort", "stop", "stream_options", "tool_choice", "tools", "top_logprobs",
        "top_p", "verbosity",
    }
)  # fmt: skip


class PassthroughLayout:
    """`Layout` of a surface whose replies nobody reads.

    Attributes:
        names_model: its requests name a model; those of files and batches belong to an upstream as a whole.
    """

    structural = frozenset({"model", "stream", "user", "metadata"})
    messages_key = ""
    has_tools = False
    turns = None
    id_headers = (b"x-request-id",)
    streams = True
    stream_end = b""
    usage_on_request = False
    names_events = False
    numbers_events = False

    def __init__(self, surface: str, *, names_model: bool, other_params: frozenset[str] = _CHAT_ONLY) -> None:
        self.surface = surface
        self.path = f"/{surface}"
        self.names_model = names_model
        self._other_params = other_params

    def request_texts(self, body: Any) -> Iterator[Text]:
        """What is to be spoken or drawn, and how."""
        return top_texts(body, _TEXTS)

    def response_texts(self, body: Any) -> Iterator[Text]:
        """None: it may be bytes."""
        return iter(())

    def event_texts(self, data: Any, event: Any) -> Iterator[Text]:
        """None: event streams pass as bytes."""
        return iter(())

    def ends(self, data: Any, channel: Channel) -> bool:
        """No: there are no texts."""
        return False

    def again(self, data: Any, text: Text, value: str) -> dict[str, Any]:
        """The event itself; it has no texts."""
        return dict(data)

    def progress(self) -> Progress:
        """Of a stream nobody reads."""
        return ChatProgress()

    def filter(self, body: Any, message: str) -> None:
        """Nothing: no reply is read."""

    def summary(self, data: bytes) -> Summary:
        """Nothing is counted."""
        return None, []

    def usage(self, body: Any) -> Usage | None:
        """Nothing is counted."""
        return None

    def finish_reasons(self, body: Any) -> list[str]:
        """There are none."""
        return []

    def tally(self) -> Tally:
        """Of a stream nobody reads."""
        return ChatTally()

    def own_tool(self, tool: Mapping[str, Any]) -> dict[str, Any]:
        """The tool itself; there is no place for one."""
        return dict(tool)

    def own_param(self, name: str) -> str | None:
        """The name itself; None for what only a chat has."""
        return None if name in self._other_params else name

    def instruct(self, body: Any, prompt: str, behavior: str) -> None:
        """Nothing: a system prompt is not for what is spoken or drawn."""

    def tool_calls(self, body: Any) -> list[ToolCall]:
        """There are none."""
        return []

    def answer_calls(self, request: Any, reply: Any, results: Mapping[str, ToolResult]) -> None:
        """Nothing: there is no conversation."""

    def error_body(self, error: ApiError, request_id: str) -> dict[str, Any]:
        """OpenAI's envelope."""
        return error.envelope()

    def error_frame(self, error: ApiError, tally: Tally) -> bytes:
        """``data: {"error": {…}}``."""
        return encode_frame(msgspec.json.encode(error.envelope()))


PASSTHROUGH: Mapping[str, PassthroughLayout] = {
    layout.surface: layout
    for layout in (
        PassthroughLayout("audio", names_model=True),
        PassthroughLayout("images", names_model=True, other_params=_CHAT_ONLY | {"temperature"}),
        PassthroughLayout("files", names_model=False),
        PassthroughLayout("batches", names_model=False),
    )
}


class RelayCall(NamedTuple):
    """A request to send on.

    Attributes:
        path: below the upstream's base URL, made of parts that were checked.
        query: as the client wrote it, without ``?``.
        body: bytes to send at once, or parts to send as they come.
        length: of a body in parts, in bytes; None where it is not known.
    """

    method: str
    path: str
    query: str = ""
    content_type: bytes | None = None
    accept: bytes | None = None
    body: bytes | AsyncIterator[bytes] = b""
    length: int | None = None


class RelayReply(Protocol):
    """A reply whose head has come; iterate over its body, then close it.

    Attributes:
        headers: those a client may see, names in lower case.
    """

    status: int
    headers: dict[str, str]

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body's bytes as they come."""

    async def __anext__(self) -> bytes:
        """The next bytes; raises `ApiError` where the body breaks off."""

    async def aclose(self) -> None:
        """Let the upstream go."""


class Relay(Protocol):
    """Who answers requests whose bodies pass as bytes."""

    @property
    def name(self) -> str:
        """The handler's name, for example ``upstream:default``."""

    @property
    def surfaces(self) -> frozenset[str]:
        """The APIs it speaks."""

    async def call(self, ctx: RequestContext, call: RelayCall) -> RelayReply:
        """Send a request on; back once the reply's head has come.

        Raises:
            ApiError: there is no reply, or it is a failure.
        """
