"""Rehearsal: what the policies would do to one text, finding by finding; nothing is sent anywhere by patterns.

Rule: each policy gets the text as the one before it left it, as in the gateway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from chatproxy.errors import Reject
from chatproxy.types.text import TextKind
from chatproxy_guardrails.bound import Bound
from chatproxy_guardrails.checks.base import CheckFailedError, Finding, Piece, Target
from chatproxy_guardrails.judging import judged_whole, rewritten
from chatproxy_guardrails.masking import Vault
from chatproxy_guardrails.matching import TextStage
from chatproxy_guardrails.verdicts import Verdicts

KINDS: dict[Target, TextKind] = {
    "input": "content",
    "output": "content",
    "tool_arguments": "tool_arguments",
    "tool_results": "tool_result",
}
"""What a text is, by where it is found."""


class Step(NamedTuple):
    """What one policy finds in a text.

    Attributes:
        text: as the policy got it.
        result: as it leaves it; what it would be where the policy only observes.
        failure: why the check could not do its work.
    """

    bound: Bound
    text: str
    findings: Sequence[Finding]
    result: str
    failure: str = ""

    @property
    def blocks(self) -> bool:
        """Whether the policy refuses the text."""
        return bool(self.bound.blocks and self.findings)


async def rehearse(bounds: Sequence[Bound], text: str, target: Target, role: str) -> list[Step]:
    """Every policy that looks at such a text; one that blocks is the last."""
    vault = Vault()
    vault.reserve([text])
    steps: list[Step] = []
    for bound in bounds:
        if not bound.looks_at(target, role, KINDS[target]):
            continue
        steps.append(await _step(bound, text, target, role, vault))
        if steps[-1].blocks:
            break
        text = steps[-1].result
    return steps


async def _step(bound: Bound, text: str, target: Target, role: str, vault: Vault) -> Step:
    try:
        if bound.matcher is None:
            verdicts = Verdicts(None, Counter())
            (findings,) = await judged_whole(bound, None, [Piece(text, target, role)], verdicts)
            result = rewritten(text, findings, bound) if bound.rewrites else text
            return Step(bound, text, findings, result)
        findings = _found(bound, text, is_json=target == "tool_arguments")
        return Step(bound, text, findings, _result(bound, text, vault, is_json=target == "tool_arguments"))
    except (CheckFailedError, Reject) as exc:
        return Step(bound, text, (), text, failure=str(exc.__cause__ or exc))


def _found(bound: Bound, text: str, *, is_json: bool) -> list[Finding]:
    """Findings of a pattern policy with their places; one that is written in escapes stands, empty, behind the last."""
    if bound.matcher is None:
        return []
    values: list[tuple[str, str]] = []

    def mark(kind: str, value: str) -> str:
        values.append((kind, value))
        return value

    stage = TextStage(bound.matcher, mark, is_json=is_json)
    _ = stage.feed(text) + stage.finish()
    findings, position = [], 0
    for kind, value in values:
        start = text.find(value, position)
        if start >= 0:
            position = start + len(value)
        findings.append(Finding(start if start >= 0 else position, position, kind))
    return findings


def _result(bound: Bound, text: str, vault: Vault, *, is_json: bool) -> str:
    if bound.matcher is None or not bound.rewrites:
        return text
    rewrite = vault.mask if bound.masks else lambda kind, _: bound.replacement(kind)
    stage = TextStage(bound.matcher, rewrite, is_json=is_json)
    return stage.feed(text) + stage.finish()
