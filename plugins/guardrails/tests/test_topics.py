"""Check ``topics``: denied and allowed topics, by keywords."""

import pytest
from chatproxy_guardrails.checks.base import Piece
from chatproxy_guardrails.checks.topics import CHECK, Options, TopicsCheck

DENY = Options(deny={"weapons": ("gun*", "assault rifle"), "gambling": ("casino",)})
ALLOW = Options(allow={"banking": ("account", "credit card", "loan*"), "greeting": ("hello",)})


async def found(options: Options, text: str) -> list[tuple[str, str]]:
    (findings,) = await TopicsCheck(options).judge(None, [Piece(text, "input", "user")])
    return [(finding.kind, text[finding.start : finding.end]) for finding in findings]


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        (DENY, "Where do I buy guns?", [("topic_weapons", "guns")]),
        (DENY, "An ASSAULT\nRIFLE", [("topic_weapons", "ASSAULT\nRIFLE")]),
        (DENY, "begun in casinos", []),
        (DENY, "the casino sells guns", [("topic_weapons", "guns"), ("topic_gambling", "casino")]),
        (Options(deny=DENY.deny, min_hits=2), "one gun", []),
        (Options(deny=DENY.deny, min_hits=2), "gun, gun", [("topic_weapons", "gun"), ("topic_weapons", "gun")]),
        (ALLOW, "What are the loans you offer at the moment?", []),
        (ALLOW, "Tell me how to bake bread", [("off_topic", "Tell me how to bake bread")]),
        (ALLOW, "Yes, please do.", []),
    ],
    ids=["stem", "phrase", "edges", "two", "too-few", "enough", "allowed", "foreign", "short"],
)
async def test_topics_are_told_by_their_keywords(options: Options, text: str, expected: list[tuple[str, str]]) -> None:
    assert await found(options, text) == expected


async def test_each_piece_is_judged_by_itself() -> None:
    pieces = [Piece("guns", "input", "user"), Piece("roses", "input", "user")]
    first, second = await TopicsCheck(DENY).judge(None, pieces)
    assert [finding.kind for finding in first] == ["topic_weapons"]
    assert second == []


@pytest.mark.parametrize(
    ("options", "said"),
    [(Options(), "deny or allow"), (Options(deny={"war": ()}), "'war'"), (Options(allow={"war": ("*",)}), "'war'")],
    ids=["none", "no-keywords", "only-a-star"],
)
def test_topics_without_words_are_refused(options: Options, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CHECK.make(options)
