"""The cells of the matrix: which surface a client speaks, whether it streams, and what the upstream speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from chatproxy.testing.app import Gateway
from chatproxy.testing.matrix.chat import ChatDialect, CompletionsDialect
from chatproxy.testing.matrix.messages import MessagesDialect
from chatproxy.testing.matrix.responses import ResponsesDialect
from chatproxy.testing.matrix.said import Dialect, Heard, Said, events_in, scripted
from chatproxy.testing.upstream import ScriptedUpstream

DIALECTS: Mapping[str, Dialect] = {
    dialect.surface: dialect for dialect in (ChatDialect(), ResponsesDialect(), MessagesDialect(), CompletionsDialect())
}
_TRANSLATED_BY: Mapping[str, tuple[str, ...]] = {
    "chat": ("responses", "messages"),
    "responses": ("chat", "messages"),
    "messages": ("chat", "responses"),
    "completions": ("chat", "messages"),
}


class Cell(NamedTuple):
    """One way to ask.

    Attributes:
        surface: what the client speaks.
        spoken: what the upstream speaks; the same, or another that the gateway translates to.
    """

    surface: str
    is_streamed: bool
    spoken: str

    def __str__(self) -> str:
        form = "streamed" if self.is_streamed else "buffered"
        return f"{self.surface}-{form}-{'native' if self.is_native else 'over-' + self.spoken}"

    @property
    def is_native(self) -> bool:
        """Whether the upstream speaks the client's surface."""
        return self.surface == self.spoken

    @property
    def dialect(self) -> Dialect:
        """The client's own form."""
        return DIALECTS[self.surface]

    @property
    def upstream_dialect(self) -> Dialect:
        """The upstream's own form."""
        return DIALECTS[self.spoken]

    @property
    def upstreams(self) -> dict[str, Any]:
        """The setting ``upstreams``."""
        return {"default": {"base_url": "http://upstream/v1", "surfaces": [self.spoken]}}

    def upstream(self, said: Said) -> ScriptedUpstream:
        """An upstream that says this, in its own form, streamed where the cell is."""
        return ScriptedUpstream(scripted(self.upstream_dialect, said, is_streamed=self.is_streamed))

    async def ask(
        self,
        gateway: Gateway,
        text: str,
        *,
        earlier: Said | None = None,
        result: str | None = None,
        model: str = "scripted",
        **fields: Any,
    ) -> Heard:
        """Ask in the client's form and hear the whole answer.

        Args:
            earlier: a turn of the model before; with ``result`` of its first tool call.
            fields: more of the request, in the surface's own form.
        """
        dialect = self.dialect
        body = {"model": model, **dialect.question(text, earlier=earlier, result=result), **fields}
        if self.is_streamed:
            body["stream"] = True
            if self.surface in {"chat", "completions"}:
                body["stream_options"] = {"include_usage": True}
        answer = await gateway.client.post(dialect.path, json=body)
        is_stream = answer.headers["content-type"].startswith("text/event-stream")
        heard = dialect.hear_events(events_in(answer.content)) if is_stream else dialect.hear(answer.json())
        heard.status = answer.status_code
        return heard


CELLS: tuple[Cell, ...] = tuple(
    Cell(surface, is_streamed, spoken)
    for surface in DIALECTS
    for is_streamed in (False, True)
    for spoken in (surface, *_TRANSLATED_BY[surface])
)


def cells_with(*, calls: bool = False, reasoning: bool = False) -> tuple[Cell, ...]:
    """Those cells whose client's and upstream's surface both have tool calls, or reasoning."""
    return tuple(
        cell
        for cell in CELLS
        if all(
            (dialect.has_calls or not calls) and (dialect.has_reasoning or not reasoning)
            for dialect in (cell.dialect, cell.upstream_dialect)
        )
    )
