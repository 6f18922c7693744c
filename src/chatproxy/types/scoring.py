"""The layouts of embeddings, moderations and rerank: texts in, numbers out.

Rule: no model writes here. There is nothing to instruct, no tool to offer and no stream; what the protocol asks about
streams is answered as chat does, should a handler send one.
Source: OpenAI API reference, "Create embeddings" and "Create moderation"; Cohere's, Jina's and Voyage's "Rerank".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from chatproxy.errors import ApiError
from chatproxy.sse import DONE
from chatproxy.types.chat import CHAT
from chatproxy.types.foreign import GENERATION, entry_texts, fields_but, foreign_texts
from chatproxy.types.layout import Progress, Summary
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.peek import peek
from chatproxy.types.tally import Tally
from chatproxy.types.text import Channel, Origin, Path, Text
from chatproxy.types.usage import Usage, usage_of_chat
from chatproxy.types.walk import KINDS, Place, Rule, field_texts, objects, texts_below

_FOREIGN = fields_but("input")
_FOREIGN_TO_RERANK = fields_but("query", "documents")
_NO_TEXTS = frozenset({"audio", "audio_url", "file", "id", "image", "image_url", "type", "url", "video", "video_url"})


class _Reply(msgspec.Struct):
    usage: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None


_decode_summary = msgspec.json.Decoder(_Reply).decode


class ScoringLayout:
    """What the three layouts share."""

    surface = "embeddings"
    path = "/embeddings"
    structural = frozenset({"model", "input", "stream", "metadata", "user"})
    messages_key = ""
    has_tools = False
    turns = None
    id_headers = (b"x-request-id",)
    streams = False
    stream_end = DONE
    usage_on_request = False
    names_events = False
    numbers_events = False

    def request_texts(self, body: Any) -> Iterator[Text]:
        """Texts of ``input``, each at its index, then of fields that other surfaces have."""
        yield from entry_texts(body, "input")
        yield from foreign_texts(body, _FOREIGN)

    def response_texts(self, body: Any) -> Iterator[Text]:
        """None: the reply is numbers."""
        return iter(())

    def event_texts(self, data: Any, event: Any) -> Iterator[Text]:
        """As on chat."""
        return CHAT.event_texts(data, event)

    def ends(self, data: Any, channel: Channel) -> bool:
        """As on chat."""
        return CHAT.ends(data, channel)

    def again(self, data: Any, text: Text, value: str) -> dict[str, Any]:
        """As on chat."""
        return CHAT.again(data, text, value)

    def progress(self) -> Progress:
        """As on chat."""
        return CHAT.progress()

    def filter(self, body: Any, message: str) -> None:
        """Nothing: the reply is numbers."""

    def summary(self, data: bytes) -> Summary:
        """Token counts; numbers are not looked at."""
        found = peek(_decode_summary, data)
        if isinstance(found, dict):
            return self.usage(found), []
        return _usage_of(found.usage, found.meta), []

    def usage(self, body: Any) -> Usage | None:
        """``usage``, or what Cohere says in ``meta``; all of it tokens of a prompt."""
        return _usage_of(body.get("usage"), body.get("meta"))

    def finish_reasons(self, body: Any) -> list[str]:
        """None: nothing was generated."""
        return []

    def tally(self) -> Tally:
        """A reader of chunks."""
        return CHAT.tally()

    def own_tool(self, tool: Mapping[str, Any]) -> dict[str, Any]:
        """The tool itself; no request carries it."""
        return CHAT.own_tool(tool)

    def own_param(self, name: str) -> str | None:
        """None for what says how a model writes; any other name as it is."""
        return None if name in GENERATION else name

    def instruct(self, body: Any, prompt: str, behavior: str) -> None:
        """Nothing: a prompt in front of a text would change what is measured, not how."""

    def tool_calls(self, body: Any) -> list[ToolCall]:
        """None."""
        return []

    def answer_calls(self, request: Any, reply: Any, results: Mapping[str, ToolResult]) -> None:
        """Nothing: the reply asks for no calls."""

    def error_body(self, error: ApiError, request_id: str) -> dict[str, Any]:
        """OpenAI's envelope."""
        return CHAT.error_body(error, request_id)

    def error_frame(self, error: ApiError, tally: Tally) -> bytes:
        """``data: {"error": {…}}``."""
        return CHAT.error_frame(error, tally)


class EmbeddingsLayout(ScoringLayout):
    """`Layout` of ``/v1/embeddings``."""


class ModerationsLayout(ScoringLayout):
    """`Layout` of ``/v1/moderations``."""

    surface = "moderations"
    path = "/moderations"


class RerankLayout(ScoringLayout):
    """`Layout` of ``/v1/rerank``."""

    surface = "rerank"
    path = "/rerank"
    structural = frozenset({"model", "query", "documents", "stream", "metadata", "user"})

    def request_texts(self, body: Any) -> Iterator[Text]:
        """Texts of ``query``, then of ``documents``, each at its index, then of fields that other surfaces have."""
        yield from entry_texts(body, "query")
        documents = body.get("documents")
        if isinstance(documents, list):
            for index in range(len(documents)):
                yield from _document_texts(documents, index, ("documents",), Origin("user", index))
        elif documents is not None:
            yield from _document_texts(body, "documents", (), Origin("user"))
        yield from foreign_texts(body, _FOREIGN_TO_RERANK)

    def response_texts(self, body: Any) -> Iterator[Text]:
        """Texts of the documents that the reply repeats; the index is that of the result."""
        for key in ("results", "data"):
            for index, result in objects(body.get(key)):
                if "document" in result:
                    yield from _document_texts(result, "document", (key, index), Origin("assistant", index))

    def filter(self, body: Any, message: str) -> None:
        """The documents leave; the scores stay, since clients pick their own documents by them."""
        for key in ("results", "data"):
            for _, result in objects(body.get(key)):
                result.pop("document", None)


EMBEDDINGS = EmbeddingsLayout()
MODERATIONS = ModerationsLayout()
RERANK = RerankLayout()


def _document_texts(holder: Any, key: str | int, path: Path, origin: Origin) -> Iterator[Text]:
    """Texts of a document: a text, parts as in a message, or an object any field of which may be ranked by."""
    document = holder[key]
    if not isinstance(document, dict):
        yield from texts_below(Place(holder, path, ((key, document),), "content", Rule.MESSAGE), origin)
        return
    yield from field_texts(document, (*path, key), "content", origin)
    others = [item for item in document.items() if item[0] not in KINDS and item[0] not in _NO_TEXTS]
    yield from texts_below(Place(document, (*path, key), others, "content", Rule.ALL), origin)


def _usage_of(usage: Any, meta: Any) -> Usage | None:
    """Token counts by OpenAI's, Jina's or Cohere's names; None where only searches are counted."""
    meta = meta if isinstance(meta, Mapping) else {}
    for counts in (usage, meta.get("tokens"), meta.get("billed_units")):
        found = usage_of_chat(counts)
        if found is None or not isinstance(counts, Mapping):
            continue
        if found.prompt_tokens or found.completion_tokens:
            return found
        tokens = counts.get("input_tokens", counts.get("total_tokens"))
        if type(tokens) is int and tokens >= 0:
            return Usage(prompt_tokens=tokens, total_tokens=tokens)
    return usage_of_chat(usage)
