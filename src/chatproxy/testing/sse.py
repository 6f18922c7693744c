"""Reading event streams in tests."""

from __future__ import annotations

from typing import Any

import msgspec

from chatproxy.sse import FrameSplitter, frame_data


def events_of(body: bytes) -> list[Any]:
    """What the events of a stream carry: decoded JSON, and the text ``[DONE]`` where it comes."""
    splitter = FrameSplitter()
    frames = splitter.feed(body)
    last = splitter.flush()
    data = [frame_data(frame) for frame in ([*frames, last] if last is not None else frames)]
    return ["[DONE]" if item == b"[DONE]" else msgspec.json.decode(item) for item in data if item is not None]


def text_of(body: bytes, *, index: int = 0) -> str:
    """The content of one choice, put together from a chat stream."""
    parts = [
        choice.get("delta", {}).get("content") or ""
        for event in events_of(body)
        if isinstance(event, dict)
        for choice in event.get("choices") or ()
        if choice.get("index", 0) == index
    ]
    return "".join(parts)
