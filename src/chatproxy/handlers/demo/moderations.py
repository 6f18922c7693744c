"""Moderation of the demo model: every category of OpenAI's, with scores that follow from words.

Source: OpenAI API reference, "Create moderation".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import msgspec

from chatproxy.errors import InvalidRequest
from chatproxy.handlers.base import make_id
from chatproxy.handlers.demo.faults import missing, want_list, want_object, want_one_of, want_text, wrong_type
from chatproxy.handlers.demo.harms import CATEGORIES, find_harms
from chatproxy.handlers.demo.parameters import MODEL
from chatproxy.types.context import RequestContext
from chatproxy.types.request import ChatRequest

_MAX_IMAGES = 1
_MISS = 0.3  # of every occurrence: the chance left that the text is harmless
_SEEN_IN_IMAGES = frozenset(
    {"self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence", "violence/graphic"}
)


class Input(msgspec.Struct, frozen=True):
    """What one result is about.

    Attributes:
        images: their addresses; the demo model does not look at them.
    """

    text: str = ""
    images: list[str] = []
    has_text: bool = True


async def moderate(ctx: RequestContext, request: ChatRequest) -> dict[str, Any]:
    """The reply to a moderation request: a result for each text, or one for all parts.

    Raises:
        InvalidRequest: the request is not one OpenAI would take (400).
    """
    if request.get("input") is None:
        raise missing("input")
    results: list[dict[str, Any]] = []
    for entry in _inputs(request["input"]):
        results.append(_result(entry))
        await asyncio.sleep(0)  # a large request must not hold up the others
    return {"id": make_id("modr-", ctx.request_id), "model": request.model or MODEL, "results": results}


def _inputs(value: Any) -> list[Input]:
    if isinstance(value, str):
        return [Input(value)]
    if not isinstance(value, list):
        raise wrong_type("input", "a string or an array", value)
    first = want_list(value, "input")[0]
    if isinstance(first, dict):
        return [_of_parts(value)]
    for i, entry in enumerate(value):
        if not isinstance(entry, str):
            raise wrong_type(f"input[{i}]", "a string or an object" if i == 0 else "a string", entry)
    return [Input(entry) for entry in value]


def _of_parts(parts: list[Any]) -> Input:
    """Texts and images that are judged together."""
    texts: list[str] = []
    images: list[str] = []
    for i, entry in enumerate(parts):
        at = f"input[{i}]"
        part = want_object(entry, at)
        if "type" not in part:
            raise missing(f"{at}.type")
        if want_one_of(part["type"], ("text", "image_url"), f"{at}.type") == "text":
            texts.append(want_text(part, "text", at))
        elif "image_url" not in part:
            raise missing(f"{at}.image_url")
        else:
            images.append(want_text(want_object(part["image_url"], f"{at}.image_url"), "url", f"{at}.image_url"))
    if len(images) > _MAX_IMAGES:
        shown = f"Invalid 'input': expected at most {_MAX_IMAGES} image, found {len(images)}."
        raise InvalidRequest(shown, code="too_many_images", param="input")
    return Input("\n".join(texts), images, bool(texts))


def _result(entry: Input) -> dict[str, Any]:
    scores = _scores(entry)
    flags = {category: score >= 0.5 for category, score in scores.items()}
    return {
        "flagged": any(flags.values()),
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": {category: _seen(category, entry) for category in CATEGORIES},
    }


def _scores(entry: Input) -> Mapping[str, float]:
    """A score for each category: near 1 where its words occur, near 0 where none do, and never the same for all."""
    found = find_harms(entry.text)
    seed = crc32("\n".join([entry.text, *entry.images]).encode("utf-8", "surrogatepass"))
    return {category: _score(found.get(category, 0), seed, category) for category in CATEGORIES}


def _score(occurrences: int, seed: int, category: str) -> float:
    trace = crc32(f"{seed} {category}".encode()) % 9000 + 1
    if occurrences == 0:
        return trace / 1e7
    return round(1 - _MISS ** min(occurrences, 5) - trace / 1e6, 6)


def _seen(category: str, entry: Input) -> list[str]:
    """What of an input a category's score is made from."""
    seen = ["text"] if entry.has_text else []
    return [*seen, "image"] if entry.images and category in _SEEN_IN_IMAGES else seen
