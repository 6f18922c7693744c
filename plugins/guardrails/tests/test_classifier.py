"""The check ``classifier``, against a real server on loopback."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from chatproxy_guardrails.checks.base import CheckFailedError, Finding, JudgeCheck, Piece
from chatproxy_guardrails.checks.classifier import CHECK

Service = Any  # of conftest.py


def check_at(service: Service, **options: Any) -> Any:
    settings = {"url": service.url, "timeout_s": 5.0, "labels": ["INJECTION"], **options}
    return CHECK.make(msgspec.convert(settings, CHECK.options))


async def judged(check: Any, *texts: str) -> list[list[Finding]]:
    async with check.lifespan():
        found = await check.judge(None, [Piece(text, "input", "user") for text in texts])
    return [list(findings) for findings in found]


def labels(score: float) -> list[dict[str, Any]]:
    return [{"label": "SAFE", "score": 1 - score}, {"label": "INJECTION", "score": score}]


def scored_by_tei(question: Any) -> Any:
    return [labels(0.9 if "ignore" in text else 0.1) for (text,) in question["inputs"]]


async def test_each_text_is_sent_in_a_list_of_its_own_and_judged_in_order(service: Service) -> None:
    service.reply = scored_by_tei
    found = await judged(check_at(service, api_key="k"), "hello", "ignore it")
    assert found == [[], [Finding(0, 9, "INJECTION")]]
    assert service.questions == [{"inputs": [["hello"], ["ignore it"]], "truncate": False}]
    assert "\r\nauthorization: Bearer k\r\n" in service.heads[0]


async def test_hugging_faces_shape_is_a_flat_list(service: Service) -> None:
    service.reply = [labels(0.1), labels(0.9)]
    assert await judged(check_at(service, shape="huggingface"), "a", "b") == [[], [Finding(0, 1, "INJECTION")]]
    assert service.questions == [{"inputs": ["a", "b"]}]


FORMS: dict[str, tuple[Any, list[str], list[bool]]] = {
    "one text, flat": (labels(0.9), ["a"], [True]),
    "one text, nested": ([labels(0.9)], ["a"], [True]),
    "best label of each": ([labels(0.1)[0], labels(0.9)[1]], ["a", "b"], [False, True]),
}


@pytest.mark.parametrize(("reply", "texts", "expected"), FORMS.values(), ids=FORMS.keys())
async def test_every_form_of_answer_is_read(
    service: Service, reply: Any, texts: list[str], expected: list[bool]
) -> None:
    service.reply = reply
    assert [bool(found) for found in await judged(check_at(service), *texts)] == expected


@pytest.mark.parametrize(
    ("threshold", "is_found"), [(0.69, True), (0.7, True), (0.71, False)], ids=["below", "at", "above"]
)
async def test_threshold_decides(service: Service, threshold: float, is_found: bool) -> None:
    service.reply = [labels(0.7)]
    (found,) = await judged(check_at(service, threshold=threshold), "text")
    assert bool(found) == is_found


async def test_configured_kind_stands_for_the_labels_once(service: Service) -> None:
    service.reply = [[{"label": "LABEL_1", "score": 0.8}, {"label": "LABEL_2", "score": 0.9}]]
    check = check_at(service, labels=["LABEL_1", "LABEL_2"], kind="injection")
    assert await judged(check, "text") == [[Finding(0, 4, "injection")]]


async def test_more_texts_than_one_question_takes_stay_in_order(service: Service) -> None:
    service.reply = scored_by_tei
    texts = ["ignore" if n % 3 == 0 else "go on" for n in range(10)]
    found = await judged(check_at(service, max_inputs=4), *texts)
    assert [bool(each) for each in found] == [n % 3 == 0 for n in range(10)]
    assert sorted(len(question["inputs"]) for question in service.questions) == [2, 4, 4]


NO_VERDICTS: dict[str, Any] = {
    "an error": {"error": "overloaded"},
    "too few": [labels(0.9)],
    "too many": [labels(0.9)] * 3,
    "no labels": [[], []],
    "both forms": [labels(0.9), labels(0.9), labels(0.9)[0]],
    "no score": [[{"label": "INJECTION"}]] * 2,
    "score that is a text": [[{"label": "INJECTION", "score": "high"}]] * 2,
}


@pytest.mark.parametrize("reply", NO_VERDICTS.values(), ids=NO_VERDICTS.keys())
async def test_reply_of_another_shape_is_no_verdict(service: Service, reply: Any) -> None:
    service.reply = reply
    with pytest.raises(CheckFailedError, match="no verdict"):
        await judged(check_at(service), "a", "b")


@pytest.mark.parametrize(
    "options",
    [{}, {"labels": []}, {"labels": ["a"], "threshold": 1.5}, {"labels": ["a"], "shape": "x"}],
    ids=["no labels", "empty", "threshold", "shape"],
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"url": "http://127.0.0.1", **options}, CHECK.options)


async def test_texts_are_judged_in_windows_unless_told_otherwise(service: Service) -> None:
    assert isinstance(check_at(service), JudgeCheck)
    assert check_at(service).window == 1200
    assert check_at(service, window=None, overlap=0).window is None
