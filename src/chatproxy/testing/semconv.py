"""assert_semconv: whether spans are what OpenTelemetry's semantic conventions say.

Rule: needs no OpenTelemetry and reads nothing of a plugin; what looks like the SDK's ``ReadableSpan`` will do.
Judged are spans of GenAI operations, of tools, of MCP and of HTTP, their tree, and every attribute whose name begins
with a prefix that is reserved. Source: see `chatproxy.testing.semconv_registry`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from chatproxy.testing.semconv_rules import SpanLike, span_faults
from chatproxy.testing.semconv_tree import tree_faults, vocabulary_faults


def assert_semconv(spans: Iterable[Any], *, vocabulary: Literal["any", "stable", "latest"] = "any") -> None:
    """Fail where spans are not as the conventions have them; the message lists every fault with its span's name.

    Args:
        spans: all that were recorded, for example ``SpanCapture.finished``: a parent that is missing is a fault.
        vocabulary: ``stable`` is the last release that has GenAI, ``latest`` the draft after it; ``any`` allows one of
            the two in each trace.

    Raises:
        AssertionError: there is a fault, or there is no span.
    """
    kept: list[SpanLike] = list(spans)
    found = [f"{span.name!r}: {fault}" for span in kept for fault in span_faults(span)]
    found += tree_faults(kept)
    found += vocabulary_faults(kept, vocabulary)
    if not kept:
        found.append("there is no span")
    if found:
        faults = "1 fault" if len(found) == 1 else f"{len(found)} faults"
        raise AssertionError("\n- ".join([f"{faults} against the semantic conventions:", *found]))
