"""What a stream of chat chunks said: finish reasons of several choices, and counts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatproxy.types import Usage
from chatproxy.types.chat import CHAT


def ended(*choices: tuple[Any, Any]) -> dict[str, Any]:
    """A chunk; each choice is its index and its finish reason."""
    return {"choices": [{"index": index, "delta": {}, "finish_reason": reason} for index, reason in choices]}


@pytest.mark.parametrize(
    ("chunks", "reasons"),
    [
        ([ended((0, "stop"))], ["stop"]),
        ([ended((1, "length")), ended((0, "stop"))], ["stop", "length"]),
        ([ended((2, "c")), ended((0, "a")), ended((1, "b"))], ["a", "b", "c"]),
        ([ended((1, "length"), (0, "stop"))], ["stop", "length"]),
        ([ended((0, None), (1, "length")), ended((0, "stop"))], ["stop", "length"]),
        ([ended((0, "stop")), ended((0, "again"))], ["stop", "again"]),
        ([ended((None, "stop")), ended((None, "again"))], ["stop", "again"]),
        ([ended((1, "length")), ended(("0", "stop"))], ["stop", "length"]),
        ([{"choices": [{"finish_reason": "stop"}]}], ["stop"]),
    ],
    ids=["one", "reversed", "three", "one-event", "late", "twice", "unnumbered", "odd-number", "bare"],
)
def test_finish_reasons_stand_in_the_order_of_choices(chunks: list[Any], reasons: list[str]) -> None:
    tally = CHAT.tally()
    for chunk in chunks:
        assert tally.add(msgspec.json.encode(chunk))
    assert tally.finish_reasons == reasons
    assert tally.may_end


def test_last_event_counts_what_was_read_and_written_in_the_cache() -> None:
    tally = CHAT.tally()
    details = {"cached_tokens": 3, "cache_write_tokens": 2}
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10, "prompt_tokens_details": details}
    assert not tally.add(msgspec.json.encode({"choices": [], "usage": usage}))
    counted = Usage(prompt_tokens=9, completion_tokens=1, total_tokens=10, cached_tokens=3, cache_write_tokens=2)
    assert tally.usage == counted
