"""The check ``moderation``, against a real server on loopback."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from chatproxy_guardrails.checks.base import CheckFailedError, Finding, JudgeCheck, Piece
from chatproxy_guardrails.checks.moderation import CHECK

Service = Any  # of conftest.py


def check_at(service: Service, **options: Any) -> Any:
    return CHECK.make(msgspec.convert({"url": service.url, "timeout_s": 5.0, **options}, CHECK.options))


async def judged(check: Any, *texts: str) -> list[list[Finding]]:
    async with check.lifespan():
        found = await check.judge(None, [Piece(text, "input", "user") for text in texts])
    return [list(findings) for findings in found]


def result(**scores: float) -> dict[str, Any]:
    found = {name: score >= 0.5 for name, score in scores.items()}
    return {"flagged": any(found.values()), "categories": found, "category_scores": scores}


def by_text(results: dict[str, Any]) -> Any:
    return lambda question: {"results": [results[text] for text in question["input"]]}


async def test_texts_are_asked_about_at_once_and_answered_in_order(service: Service) -> None:
    service.reply = by_text({"calm": result(hate=0.1), "angry": result(hate=0.9, violence=0.8)})
    found = await judged(check_at(service, model="m", api_key="k"), "calm", "angry", "calm")
    assert found == [[], [Finding(0, 5, "hate"), Finding(0, 5, "violence")], []]
    assert service.questions == [{"input": ["calm", "angry", "calm"], "model": "m"}]
    assert "\r\nauthorization: Bearer k\r\n" in service.heads[0]


async def test_model_and_key_are_left_out_where_there_are_none(service: Service) -> None:
    service.reply = {"results": [result()]}
    await judged(check_at(service), "a")
    assert service.questions == [{"input": ["a"]}]
    assert "authorization" not in service.heads[0].lower()


async def test_more_texts_than_one_question_takes_stay_in_order(service: Service) -> None:
    service.reply = by_text({str(n): result(**{f"c{n}": 0.9}) for n in range(7)})
    found = await judged(check_at(service, max_inputs=3), *map(str, range(7)))
    assert [each[0].kind for each in found] == [f"c{n}" for n in range(7)]
    assert sorted(len(question["input"]) for question in service.questions) == [1, 3, 3]


async def test_blank_texts_pass_unasked(service: Service) -> None:
    service.reply = by_text({"bad": result(hate=1.0)})
    assert await judged(check_at(service), "", "bad", " \n") == [[], [Finding(0, 3, "hate")], []]
    assert await judged(check_at(service), "", " ") == [[], []]
    assert await judged(check_at(service)) == []
    assert service.questions == [{"input": ["bad"]}]


@pytest.mark.parametrize(
    ("threshold", "kinds"), [(0.29, ["hate"]), (0.3, ["hate"]), (0.31, [])], ids=["below", "at", "above"]
)
async def test_thresholds_decide_where_categories_are_configured(
    service: Service, threshold: float, kinds: list[str]
) -> None:
    service.reply = {"results": [result(hate=0.3, violence=0.99)]}
    (found,) = await judged(check_at(service, categories={"hate": threshold}), "text")
    assert [finding.kind for finding in found] == kinds


async def test_service_that_flags_without_a_category_is_believed(service: Service) -> None:
    service.reply = {"results": [{"flagged": True}]}
    assert await judged(check_at(service), "text") == [[Finding(0, 4, "flagged")]]


NO_VERDICTS: dict[str, Any] = {
    "an error": {"error": {"message": "no"}},
    "a list": [],
    "too few": {"results": [result()]},
    "too many": {"results": [result()] * 3},
    "no flag": {"results": [{}, {}]},
    "other type": {"results": [{"flagged": "yes"}] * 2},
    "category that is a text": {"results": [{"flagged": True, "categories": {"bad words here": True}}] * 2},
}


@pytest.mark.parametrize("reply", NO_VERDICTS.values(), ids=NO_VERDICTS.keys())
async def test_reply_of_another_shape_is_no_verdict(service: Service, reply: Any) -> None:
    service.reply = reply
    with pytest.raises(CheckFailedError, match="no verdict"):
        await judged(check_at(service), "a", "b")


@pytest.mark.parametrize("scores", [{}, {"hate": None}], ids=["absent", "null"])
async def test_configured_category_without_a_score_is_no_verdict(service: Service, scores: dict[str, Any]) -> None:
    service.reply = {"results": [{"flagged": False, "category_scores": scores}]}
    with pytest.raises(CheckFailedError, match="no verdict"):
        await judged(check_at(service, categories={"hate": 0.5}), "a")


@pytest.mark.parametrize(
    "options",
    [{"categories": {"hate": 2}}, {"category": {}}, {"timeout_s": 0}, {"window": 0}],
    ids=["threshold", "unknown", "timeout", "window"],
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"url": "http://127.0.0.1", **options}, CHECK.options)


def test_window_is_the_configured_one() -> None:
    options = {"url": "http://127.0.0.1", "window": 500, "overlap": 50}
    check = CHECK.make(msgspec.convert(options, CHECK.options))
    assert isinstance(check, JudgeCheck)
    assert (check.window, check.overlap) == (500, 50)
