"""Whether an order is given or only talked about.

Rule: a share between 0 and 1 of a sign's weight, from the words around it alone.
"""

from __future__ import annotations

import re

_DENIED = re.compile(
    r"\b(?:never|cannot|can.?t|don.?t|do not|must not|mustn.?t|should not|shouldn.?t|will not|won.?t|refuse to|avoid|"
    r"without|not to|not|isn.?t to|prevent(?:s|ing)? \w{1,12}(?: from)?|stop(?:s|ping)? \w{1,12} from)"
    r"[\W_]{1,3}(?:(?:ever|to|just|simply|be|blindly|try|attempt)[\W_]{1,3}){0,2}$",
    re.IGNORECASE,
)
_NOT_TOLD = re.compile(
    r"\b(?:never|do not|don.?t|must not|should not|may not|cannot)[\W_]{1,3}(?:reveal|disclose|share|show|"
    "tell|discuss|repeat|leak|"
    r"mention|expose|print|output|give)[\W_]{1,3}(?:\w{2,9}[\W_]{1,3}){0,2}$",
    re.IGNORECASE,
)
_DENIED_ELSEWHERE = re.compile(
    r"(?:\b(?:não|nao|no|non|ne|nicht|nie|не|niet|nunca|jamais|mai)\b\W{1,3}|\bn['’])$", re.IGNORECASE
)
_DENIED_INSIDE = re.compile(
    "^(?:vergiss|vergesst|vergessen sie|ignoriere?|missachte|vergeet|negeer|oublie[rz]?|"
    r"ignore[rz]?)\W{1,3}(?:bitte\W{1,3})?(?:nicht|niet|pas)\b",
    re.IGNORECASE,
)
_ABOUT_ATTACKS = re.compile(
    r"\b(?:prompt[- ]injections?|jailbreak(?:s|ing)? (?:attempts?|attacks?|techniques?|prompts? (?:are|work|detect)|"
    r"detect\w*)|adversarial (?:prompts?|inputs?|attacks?)|owasp|llm security|ai safety research|attackers?|"
    r"malicious (?:users?|prompts?|inputs?|actors?|instructions)|threat model\w*|vulnerabilit\w+|injection attacks?|"
    r"mitigat\w+|defen[cs]es?|defend\w*|guardrails? (?:that|for|to|against)|detect(?:s|ion|ing|or)?\b|"
    r"sanitiz\w+|blog ?post|security (?:research\w*|training|article|team|engineers?|course)|unit tests?|"
    "test cases?|regex|"
    r"classifier|false positives?|phish\w+|social engineering)\b",
    re.IGNORECASE,
)
_ABOUT_WORDS = re.compile(
    r"\b(?:phrases?|sentences?|words?|strings?|say(?:s|ing)?|said|means?|meaning|mean|called|titled?|"
    "example|examples|such "
    r"as|e\.g|like|contain(?:s|ing)?|quot(?:e|ed|es)|translat(?:e|ion)|reads?|wrote|lyrics?|comment|"
    r"headline|log|error)\b",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"(?:^|[.!?\n:]\s{0,4})(?:so |and |but |hi,? |hello,? |please )?(?:how (?:do|does|did|can|could|"
    "should|would|to|might)|"
    "what (?:is|are|does|do|happens|would happen|should|if|kind)|why (?:do|does|did|is|are|would|should)|"
    "when (?:should|do|"
    "does|is)|is it (?:ok|okay|possible|safe|legal|bad|fine|true|normal)|explain (?:how|why|what|the)|"
    "describe (?:how|why|"
    r"what)|discuss|tell me (?:how|why|about)|write (?:an?|the) (?:\w+ ){0,3}(?:article|essay|story|poem|"
    "test|function|script|"
    r"novel|post|paper|report|guide|regex|policy|rule)|can i|should i|do i|does (?:this|it|the|an?|my)|are there|"
    r"summari[sz]e|review|compare|in (?:css|git|python|c\+\+|java|bash|eslint|typescript)|i (?:want|need|"
    "would like) to "
    r"(?:know|understand|learn|write)|which)\b[^.!?\n]{0,160}$",
    re.IGNORECASE,
)
_REPORTED = re.compile(
    r"\b(?:attackers?|users?|people|someone|anyone|hackers?|they|models?|inputs?|documents?|customers?|"
    "students?|employees?|"
    "bots?|agents?|llms?|he|she|it|which|that|who|tells?|telling|told|tricks?|tricked|asks?|asked|asking|"
    "might|could|may|"
    r"like|as|example|e\.g\.|instruct(?:s|ed|ing)?|trying|tries|tried|attempts?|attempting|made|makes?|"
    "making|let|lets|cause[sd]?)"
    r"[\W_]{1,4}(?:(?:to|them|it|an? \w{1,10}|the \w{1,10}|models?|you|can|will|would|may|might|could|"
    r"simply|just)[\W_]{1,3}){0,4}$",
    re.IGNORECASE,
)
_TOLD_SOMEONE = re.compile(
    r"\b(?:told|tells|asked|asks|ordered|orders|instructed|wants?|wanted|advised|lets?|allowed|expects?|"
    "expected|may|can|"
    r"should|must|will)[\W_]{1,3}(?:(?:me|us|him|her|them|everyone|people|employees|the "
    r"\w{1,12})[\W_]{1,3})?to[\W_]{1,3}$|"
    r"\b(?:employees|students|players|people|drivers|users|members|he|she|they|we|i)[\W_]{1,3}(?:may|can|"
    "could|should|must|will|"
    r"would|might|always|often|never|just|did)?[\W_]{0,3}$",
    re.IGNORECASE,
)
_COMMENT = re.compile(
    r"(?:^|\n)[^\n\"']{0,40}?(?://|#|/\*|--|\*)\s{1,3}(?:TODO|FIXME|NOTE|XXX|[a-z])[^\n]{0,120}$|(?:^|"
    r"\n)[^\n]{0,40}(?://|#|/\*|--|\*)\s{1,3}$"
)
_OPENING = "\"'`“‘«„「『<"
_CLOSING = "\"'`”’»“」』>"
_BEFORE_CHARS = 200
_QUOTED_CHARS = 240


class Context:
    """The words around a text's orders."""

    __slots__ = ("_is_about_attacks", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._is_about_attacks: bool | None = None

    def trust(self, start: int, end: int) -> float:
        """How much of its weight an order keeps: 1 where it is given, less where quoted, denied or asked about."""
        before = self._text[max(0, start - _BEFORE_CHARS) : start]
        if _DENIED.search(before[-40:]) or _NOT_TOLD.search(before[-40:]) or _DENIED_ELSEWHERE.search(before[-10:]):
            return 0.1
        if _DENIED_INSIDE.match(self._text[start:end]):
            return 0.1
        is_asked = _ASKED.search(before) is not None
        if _is_quoted(self._text, start, end) and (is_asked or self._is_about_words(start, end)):
            return 0.25
        if self._about_attacks and (is_asked or _REPORTED.search(before[-60:])):
            return 0.35
        if is_asked or _TOLD_SOMEONE.search(before[-60:]):
            return 0.5
        return 0.6 if self._text[start].islower() and _COMMENT.search(before) else 1.0

    @property
    def _about_attacks(self) -> bool:
        if self._is_about_attacks is None:
            self._is_about_attacks = _ABOUT_ATTACKS.search(self._text) is not None
        return self._is_about_attacks

    def _is_about_words(self, start: int, end: int) -> bool:
        near = self._text[max(0, start - 80) : start], self._text[end : end + 60]
        return self._about_attacks or any(_ABOUT_WORDS.search(part) for part in near)


def _is_quoted(text: str, start: int, end: int) -> bool:
    """An opening mark stands in front on the same line, and one that closes it behind."""
    before = text[max(0, start - _QUOTED_CHARS) : start].rpartition("\n")[2]
    after = text[end : end + _QUOTED_CHARS].partition("\n")[0]
    return any(
        _opens(before, opening, closing) and closing in after
        for opening, closing in zip(_OPENING, _CLOSING, strict=True)
    )


def _opens(before: str, opening: str, closing: str) -> bool:
    if opening == closing:  # an apostrophe inside a word opens nothing
        marks = re.findall(rf"(?<!\w){opening}|{opening}(?!\w)", before)
        return len(marks) % 2 == 1
    return before.rfind(opening) > before.rfind(closing)
