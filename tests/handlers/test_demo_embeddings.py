"""The demo model's embeddings: their shape, what is near what, and what is refused."""

from __future__ import annotations

import struct
from base64 import b64decode
from math import fsum, sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from chatproxy.errors import InvalidRequest
from tests.handlers.demo_surfaces import answered, refused, tried

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


async def embed(value: Any = "hello", **fields: Any) -> dict[str, Any]:
    return await answered("embeddings", {"model": "demo", "input": value, **fields})


async def vectors(value: Any, **fields: Any) -> list[list[float]]:
    body = await embed(value, **fields)
    return [entry["embedding"] for entry in body["data"]]


async def likeness(one: Any, other: Any) -> float:
    left, right = await vectors([one, other])
    return fsum(a * b for a, b in zip(left, right, strict=True))


def length(vector: list[float]) -> float:
    return sqrt(fsum(value * value for value in vector))


async def test_reply_has_openai_shape() -> None:
    body = await embed(["say yes", "no"], model="my/model", dimensions=4, user="me", encoding_format=None)
    assert body == snapshot(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": 0, "embedding": [-0.1236229, -0.4874917, -0.7137374, 0.4874917]},
                {"object": "embedding", "index": 1, "embedding": [0.0, -1.0, 0.0, 0.0]},
            ],
            "model": "my/model",
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        }
    )


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        pytest.param(
            "How do I reset my password?",
            "I forgot my password, how can I reset it",
            "Where is the nearest train station?",
            id="question",
        ),
        pytest.param("The cat sat on the mat", "A cat is sitting on a mat", "The bill of the house", id="sentence"),
        pytest.param("capital of France", "France has a capital: Paris", "bananas of Brazil", id="other-order"),
        pytest.param("translate", "translation", "mountain", id="part-of-word"),
        pytest.param("Le café est fermé", "CAFE FERME", "La mer est belle", id="accents"),
        pytest.param("猫はかわいい", "猫がかわいいです", "今日は天気が悪い", id="no-spaces"),
        pytest.param("🙂🙂", "🙂", "🚗", id="no-words"),
        pytest.param([11, 12, 13], [11, 12, 14], [7, 8, 9], id="tokens"),
    ],
)
async def test_similar_texts_are_nearer(text: Any, near: Any, far: Any) -> None:
    assert await likeness(text, near) > await likeness(text, far) + 0.3


@settings(deadline=None)
@given(text=st.text(min_size=1), dimensions=st.integers(1, 40))
async def test_every_text_has_a_vector_of_length_1(text: str, dimensions: int) -> None:
    (vector,) = await vectors(text, dimensions=dimensions)
    assert len(vector) == dimensions
    assert length(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("dimensions", [1, 3072, None])
async def test_dimensions_are_as_asked_for(dimensions: int | None) -> None:
    (vector,) = await vectors("hello", dimensions=dimensions)
    assert len(vector) == dimensions or (dimensions is None and len(vector) == 256)


async def test_base64_holds_the_same_floats() -> None:
    packed: Any = (await vectors("hello", encoding_format="base64"))[0]
    (plain,) = await vectors("hello", encoding_format="float")
    assert struct.unpack("<256f", b64decode(packed)) == pytest.approx(plain, abs=1e-7)


async def test_same_text_has_the_same_vector_in_any_company() -> None:
    (alone,) = await vectors("hello there")
    others = await vectors(["good bye", "hello there", "Hello  there!"])
    assert others[1] == others[2] == alone != others[0]


@pytest.mark.parametrize(
    ("value", "tokens", "entries"),
    [
        ("say yes", 2, 1),
        (["say yes", "no"], 3, 2),
        ([5, 6, 7], 3, 1),
        ([[5], [6, 7]], 3, 2),
        (" ", 1, 1),
    ],
    ids=["text", "texts", "tokens", "arrays-of-tokens", "space"],
)
async def test_usage_counts_tokens_of_every_input(value: Any, tokens: int, entries: int) -> None:
    body = await embed(value)
    assert body["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert [entry["index"] for entry in body["data"]] == list(range(entries))


@pytest.mark.parametrize(
    ("value", "entries", "tokens"),
    [("a " * 8191 + "a", 1, 8192), ([7] * 8192, 1, 8192), (["a"] * 2048, 2048, 2048), ([[1]] * 2048, 2048, 2048)],
    ids=["text", "tokens", "texts", "arrays"],
)
async def test_input_at_the_limit_is_taken(value: Any, entries: int, tokens: int) -> None:
    body = await embed(value, dimensions=1)
    assert (len(body["data"]), body["usage"]["total_tokens"]) == (entries, tokens)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        pytest.param({"model": ""}, "model", "missing_required_parameter", id="no-model"),
        pytest.param({"input": ...}, "input", "missing_required_parameter", id="no-input"),
        pytest.param({"input": None}, "input", "missing_required_parameter", id="null"),
        pytest.param({"input": 5}, "input", "invalid_type", id="number"),
        pytest.param({"input": {}}, "input", "invalid_type", id="object"),
        pytest.param({"input": ""}, "input", "invalid_value", id="empty-text"),
        pytest.param({"input": []}, "input", "empty_array", id="empty-array"),
        pytest.param({"input": ["a", ""]}, "input[1]", "invalid_value", id="empty-text-in-array"),
        pytest.param({"input": [[1], []]}, "input[1]", "invalid_value", id="empty-tokens"),
        pytest.param({"input": [True]}, "input[0]", "invalid_type", id="boolean"),
        pytest.param({"input": ["a", 1]}, "input[1]", "invalid_type", id="text-and-token"),
        pytest.param({"input": [1, "a"]}, "input[1]", "invalid_type", id="token-and-text"),
        pytest.param({"input": [[1], "a"]}, "input[1]", "invalid_type", id="tokens-and-text"),
        pytest.param({"input": [[1, "a"]]}, "input[0][1]", "invalid_type", id="text-as-token"),
        pytest.param({"input": [1, -1]}, "input[1]", "integer_below_min_value", id="token-below-0"),
        pytest.param({"input": [1 << 31]}, "input[0]", "integer_above_max_value", id="token-too-big"),
        pytest.param({"input": ["a"] * 2049}, "input", "array_above_max_length", id="too-many"),
        pytest.param({"input": ["b", "a " * 8193]}, "input[1]", "context_length_exceeded", id="too-long"),
        pytest.param({"input": [1] * 8193}, "input", "context_length_exceeded", id="too-many-tokens"),
        pytest.param({"input": ["a " * 8191] * 37}, "input", "max_tokens_per_request", id="too-many-in-all"),
        pytest.param({"dimensions": 0}, "dimensions", "integer_below_min_value", id="dimensions-0"),
        pytest.param({"dimensions": 3073}, "dimensions", "integer_above_max_value", id="dimensions-3073"),
        pytest.param({"dimensions": 2.5}, "dimensions", "invalid_type", id="dimensions-fraction"),
        pytest.param({"encoding_format": "int8"}, "encoding_format", "invalid_value", id="format-unknown"),
        pytest.param({"encoding_format": 8}, "encoding_format", "invalid_type", id="format-number"),
        pytest.param({"user": 5}, "user", "invalid_type", id="user-number"),
    ],
)
async def test_bad_request_is_refused(fields: dict[str, Any], param: str, code: str) -> None:
    error = await refused("embeddings", {"model": "demo", "input": "hello", **fields})
    assert (error.param, error.code) == (param, code)


@settings(max_examples=200, deadline=None)
@given(fields=st.fixed_dictionaries({"input": JSON}, optional=dict.fromkeys(("dimensions", "encoding_format"), JSON)))
async def test_any_json_is_embedded_or_refused(fields: dict[str, Any]) -> None:
    found = await tried("embeddings", {"model": "demo", **fields})
    if isinstance(found, InvalidRequest):
        assert str(found.param).partition("[")[0] in fields
    else:
        assert [length(entry["embedding"]) for entry in found["data"]] == [pytest.approx(1, abs=1e-5)] * len(
            found["data"]
        )
