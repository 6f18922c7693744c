"""The demo model's reranking: the order, the shape, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from chatproxy.errors import InvalidRequest
from tests.handlers.demo_surfaces import answered, refused, tried

CITIES = ["Berlin has many museums.", "The capital of France is Paris.", "Carson City is the capital of Nevada."]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "x"]), inner, max_size=2),
    max_leaves=6,
)


async def rerank(query: Any, documents: Any, **fields: Any) -> dict[str, Any]:
    return await answered("rerank", {"model": "demo", "query": query, "documents": documents, **fields})


async def order(query: str, documents: list[Any], **fields: Any) -> list[int]:
    body = await rerank(query, documents, **fields)
    return [result["index"] for result in body["results"]]


async def test_reply_has_the_shape_of_cohere_and_jina() -> None:
    body = await rerank("capital of France", CITIES, model="my/model")
    assert body == snapshot(
        {
            "id": "rerank-138a8f6d47671510c70fd008",
            "object": "list",
            "model": "my/model",
            "results": [
                {"index": 1, "relevance_score": 1.0},
                {"index": 2, "relevance_score": 0.457623},
                {"index": 0, "relevance_score": 0.0},
            ],
            "usage": {"prompt_tokens": 23, "total_tokens": 23},
            "meta": {
                "api_version": {"version": "2"},
                "billed_units": {"search_units": 1},
                "tokens": {"input_tokens": 23},
            },
        }
    )


@pytest.mark.parametrize(
    ("query", "documents", "expected"),
    [
        pytest.param(
            "How do I reset my password?", ["Reset the router", "Password reset", "Prices"], [1, 0, 2], id="most"
        ),
        pytest.param(
            "red apple", ["red car", "red house", "green apple", "red wall"], [2, 0, 1, 3], id="rare-word-first"
        ),
        pytest.param("translating", ["the sea", "translation"], [1, 0], id="part-of-word"),
        pytest.param("天気", ["猫がかわいい", "今日は天気が悪い"], [1, 0], id="no-spaces"),
        pytest.param("🙂", ["a", "b 🙂"], [1, 0], id="no-words"),
        pytest.param("who is it", ["a car", "who is it?"], [1, 0], id="common-words-only"),
        pytest.param("cats", ["x", "y", "x"], [0, 1, 2], id="ties-keep-their-order"),
        pytest.param("cats", [{"text": "x"}, "CAT", {"text": ""}], [1, 0, 2], id="objects-and-strings"),
    ],
)
async def test_documents_come_by_what_they_share(query: str, documents: list[Any], expected: list[int]) -> None:
    assert await order(query, documents) == expected


@pytest.mark.parametrize(("top", "count"), [(1, 1), (3, 3), (9, 3), (None, 3)])
async def test_only_the_top_n_are_given(top: int | None, count: int) -> None:
    everything = await order("capital", CITIES)
    assert await order("capital", CITIES, top_n=top) == everything[:count]


async def test_documents_are_returned_as_they_were_sent() -> None:
    documents = ["one", {"text": "two", "id": 7}]
    body = await rerank("two", documents, return_documents=True, max_tokens_per_doc=5, rank_fields=["text"])
    assert [result["document"] for result in body["results"]] == [{"text": "two", "id": 7}, {"text": "one"}]


async def test_documents_stay_away_unless_asked_for() -> None:
    for fields in ({}, {"return_documents": False}, {"return_documents": None}):
        body = await rerank("two", ["one"], **fields)
        assert set(body["results"][0]) == {"index", "relevance_score"}


@pytest.mark.parametrize(("count", "units"), [(100, 1), (101, 2)])
async def test_each_hundred_documents_are_a_unit(count: int, units: int) -> None:
    body = await rerank("a", ["a"] * count)
    assert body["meta"]["billed_units"] == {"search_units": units}


async def test_only_the_start_of_a_document_counts() -> None:
    assert await order("needle", ["x" * 20_000 + " needle", "a needle"]) == [1, 0]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        pytest.param({"model": ...}, "model", "missing_required_parameter", id="no-model"),
        pytest.param({"query": ...}, "query", "missing_required_parameter", id="no-query"),
        pytest.param({"query": 5}, "query", "invalid_type", id="query-number"),
        pytest.param({"query": " "}, "query", "invalid_value", id="query-empty"),
        pytest.param({"documents": ...}, "documents", "missing_required_parameter", id="no-documents"),
        pytest.param({"documents": "a"}, "documents", "invalid_type", id="documents-text"),
        pytest.param({"documents": []}, "documents", "empty_array", id="documents-empty"),
        pytest.param({"documents": ["a"] * 10_001}, "documents", "array_above_max_length", id="documents-too-many"),
        pytest.param({"documents": ["a", 5]}, "documents[1]", "invalid_type", id="document-number"),
        pytest.param({"documents": [{}]}, "documents[0].text", "missing_required_parameter", id="document-no-text"),
        pytest.param({"documents": [{"text": 5}]}, "documents[0].text", "invalid_type", id="document-text-number"),
        pytest.param({"top_n": 0}, "top_n", "integer_below_min_value", id="top-0"),
        pytest.param({"top_n": "3"}, "top_n", "invalid_type", id="top-text"),
        pytest.param({"return_documents": "yes"}, "return_documents", "invalid_type", id="return-text"),
    ],
)
async def test_bad_request_is_refused(fields: dict[str, Any], param: str, code: str) -> None:
    error = await refused("rerank", {"model": "demo", "query": "a", "documents": ["a"], **fields})
    assert (error.param, error.code) == (param, code)


@settings(max_examples=200, deadline=None)
@given(query=st.text() | JSON, documents=st.lists(st.text() | JSON) | JSON)
async def test_any_json_is_ranked_or_refused(query: Any, documents: Any) -> None:
    found = await tried("rerank", {"model": "demo", "query": query, "documents": documents})
    if isinstance(found, InvalidRequest):
        assert str(found.param).partition("[")[0] in {"query", "documents"}
    else:
        scores = [result["relevance_score"] for result in found["results"]]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)
        assert sorted(result["index"] for result in found["results"]) == list(range(len(documents)))
