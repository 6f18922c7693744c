"""Layout: where a surface keeps its texts, tools and usage; one instance for each surface.

Engine, hooks and guards know this protocol only, so that a new surface changes none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from chatproxy.types.text import Text
from chatproxy.types.usage import Usage

Summary = tuple[Usage | None, list[str]]


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

    def request_texts(self, body: Any) -> Iterator[Text]:
        """Every text of a request body."""

    def response_texts(self, body: Any) -> Iterator[Text]:
        """Every text of a buffered reply."""

    def event_texts(self, data: Any, event: Any) -> Iterator[Text]:
        """Every text of a stream event; a replaced one marks ``event`` as changed."""

    def summary(self, data: bytes) -> Summary:
        """Token counts and finish reasons of a buffered reply's bytes; raises `InvalidRequest` for no JSON object."""

    def usage(self, body: Any) -> Usage | None:
        """Token counts of a reply or of a stream event, where there are any."""

    def finish_reasons(self, body: Any) -> list[str]:
        """Why generation stopped, one entry for each choice that did."""
