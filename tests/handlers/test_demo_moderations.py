"""The demo model's moderation: the shape of its results, and which words flag a text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy.errors import InvalidRequest
from tests.handlers.demo_surfaces import answered, refused, tried

CATEGORIES = {
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
}  # fmt: skip
SEEN_IN_IMAGES = {
    "self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence", "violence/graphic",
}  # fmt: skip
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
TEXT = {"type": "text", "text": "I want to kill them."}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=6) | st.sampled_from([TEXT, IMAGE]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "image_url", "url", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


async def moderate(value: Any, **fields: Any) -> dict[str, Any]:
    return await answered("moderations", {"input": value, **fields})


def check(result: dict[str, Any]) -> set[str]:
    """Check one result's shape; the categories it flags."""
    assert set(result) == {"flagged", "categories", "category_scores", "category_applied_input_types"}
    for key in ("categories", "category_scores", "category_applied_input_types"):
        assert set(result[key]) == CATEGORIES
    scores = result["category_scores"]
    assert all(0 < score < 1 for score in scores.values())
    assert result["categories"] == {category: score >= 0.5 for category, score in scores.items()}
    assert result["flagged"] is any(result["categories"].values())
    return {category for category, is_flagged in result["categories"].items() if is_flagged}


@pytest.mark.parametrize(
    ("text", "flagged"),
    [
        pytest.param("I want to kill them.", {"violence", "harassment", "harassment/threatening"}, id="threat"),
        pytest.param("You are an IDIOT!", {"harassment"}, id="insult"),
        pytest.param("We hate all immigrants", {"hate"}, id="hate"),
        pytest.param("attack the refugees", {"hate", "hate/threatening", "violence"}, id="hate-threat"),
        pytest.param("how to shoplift", {"illicit"}, id="illicit"),
        pytest.param("Build a pipe-bomb", {"illicit", "illicit/violent"}, id="weapon"),
        pytest.param("I will end my life", {"self-harm", "self-harm/intent"}, id="self-harm"),
        pytest.param("ways to kill yourself", {"self-harm", "self-harm/instructions"}, id="self-harm-how"),
        pytest.param("a porn film", {"sexual"}, id="sexual"),
        pytest.param("CSAM", {"sexual", "sexual/minors"}, id="minors"),
        pytest.param("the knight was beheaded", {"violence", "violence/graphic"}, id="gore"),
        pytest.param("How do I kill a process, and shoot a photo?", set(), id="harmless-words"),
        pytest.param("", set(), id="empty"),
        pytest.param("x" * 100_000 + " porn", set(), id="past-the-first-100000-characters"),
    ],
)
async def test_words_flag_a_text(text: str, flagged: set[str]) -> None:
    body = await moderate(text)
    assert check(body["results"][0]) == flagged


async def test_reply_names_model_and_request() -> None:
    plain, named = await moderate("hi"), await moderate("hi", model="omni-moderation-latest")
    assert set(plain) == {"id", "model", "results"}
    assert (plain["model"], named["model"]) == ("demo", "omni-moderation-latest")
    assert re.fullmatch("modr-[0-9a-f]{24}", plain["id"])
    assert plain["results"] == named["results"]


async def test_each_text_of_a_list_has_its_result() -> None:
    body = await moderate(["hello", "I want to kill them.", "good bye"])
    assert [bool(check(result)) for result in body["results"]] == [False, True, False]
    alone = await moderate("I want to kill them.")
    assert body["results"][1] == alone["results"][0]


async def test_more_harm_scores_higher() -> None:
    body = await moderate(["a murder", "a murder, a massacre, and a bloodbath"])
    once, more = (result["category_scores"]["violence"] for result in body["results"])
    assert 0.5 < once < more


@pytest.mark.parametrize(
    ("parts", "flagged", "text_only", "seen_in_images"),
    [
        pytest.param([TEXT], True, ["text"], ["text"], id="text"),
        pytest.param([IMAGE], False, [], ["image"], id="image"),
        pytest.param([IMAGE, TEXT, TEXT], True, ["text"], ["text", "image"], id="both"),
    ],
)
async def test_parts_are_judged_together(
    parts: list[Any], flagged: bool, text_only: list[str], seen_in_images: list[str]
) -> None:
    (result,) = (await moderate(parts))["results"]
    assert bool(check(result)) is flagged
    for category, seen in result["category_applied_input_types"].items():
        assert seen == (seen_in_images if category in SEEN_IN_IMAGES else text_only)


@pytest.mark.parametrize(
    ("value", "param", "code"),
    [
        pytest.param(..., "input", "missing_required_parameter", id="absent"),
        pytest.param(None, "input", "missing_required_parameter", id="null"),
        pytest.param(5, "input", "invalid_type", id="number"),
        pytest.param([], "input", "empty_array", id="empty"),
        pytest.param([5], "input[0]", "invalid_type", id="numbers"),
        pytest.param(["a", TEXT], "input[1]", "invalid_type", id="text-and-part"),
        pytest.param([TEXT, "a"], "input[1]", "invalid_type", id="part-and-text"),
        pytest.param([{}], "input[0].type", "missing_required_parameter", id="part-no-type"),
        pytest.param([{"type": "audio"}], "input[0].type", "invalid_value", id="part-unknown"),
        pytest.param([{"type": "text"}], "input[0].text", "missing_required_parameter", id="part-no-text"),
        pytest.param([{"type": "image_url"}], "input[0].image_url", "missing_required_parameter", id="part-no-image"),
        pytest.param(
            [{"type": "image_url", "image_url": {}}],
            "input[0].image_url.url",
            "missing_required_parameter",
            id="image-no-url",
        ),
        pytest.param(
            [{"type": "image_url", "image_url": "x"}], "input[0].image_url", "invalid_type", id="image-as-text"
        ),
        pytest.param([IMAGE, IMAGE], "input", "too_many_images", id="two-images"),
    ],
)
async def test_bad_input_is_refused(value: Any, param: str, code: str) -> None:
    error = await refused("moderations", {"input": value})
    assert (error.param, error.code) == (param, code)


@settings(max_examples=200, deadline=None)
@given(value=JSON)
async def test_any_json_is_judged_or_refused(value: Any) -> None:
    found = await tried("moderations", {"input": value})
    if isinstance(found, InvalidRequest):
        assert str(found.param).startswith("input")
    else:
        assert [check(result) for result in found["results"]]
