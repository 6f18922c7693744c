"""A batch is encoded a little at a time, and no larger than a collector takes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from chatproxy_otel.export.slices import MAX_PAYLOAD_BYTES, encode_in_slices


def joined(items: Sequence[bytes]) -> bytes:
    return b"".join(items)


def test_the_lock_is_let_go_between_slices() -> None:
    steps: list[str] = []

    def encode(items: Sequence[int]) -> bytes:
        steps.append(f"encode {len(items)}")
        return bytes(items)

    batch = encode_in_slices(list(range(5)), encode, at_once=2, pause=lambda _: steps.append("pause"))
    assert steps == ["encode 2", "pause", "encode 2", "pause", "encode 1"]
    assert batch == (bytes(range(5)), 5, 0)


@pytest.mark.parametrize(
    ("sizes", "size", "taken"),
    [
        ([10] * 6, 60, 6),
        ([MAX_PAYLOAD_BYTES // 2] * 6, MAX_PAYLOAD_BYTES, 2),
        ([1, 1, MAX_PAYLOAD_BYTES, 1], 2, 2),
        ([MAX_PAYLOAD_BYTES * 2, 1, 1], MAX_PAYLOAD_BYTES * 2 + 1, 2),
    ],
    ids=["small", "half", "large", "too-large-alone"],
)
def test_a_payload_ends_before_it_is_too_large(sizes: list[int], size: int, taken: int) -> None:
    batch = encode_in_slices([b"x" * size for size in sizes], joined, at_once=2, pause=lambda _: None)
    assert (len(batch.payload), batch.size) == (size, taken)


def test_what_cannot_be_encoded_is_left_out_alone() -> None:
    def encode(items: Sequence[int]) -> bytes:
        if 3 in items:
            raise Exception("no such type")  # noqa: TRY002 - what OpenTelemetry's encoder raises
        return bytes(items)

    assert encode_in_slices([1, 2, 3, 4, 5], encode) == (bytes([1, 2, 4, 5]), 5, 1)
    assert encode_in_slices([3, 3], encode) == (b"", 2, 2)
