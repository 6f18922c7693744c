"""A policy with its check: ready to be asked whether it holds for an exchange, and what it looks at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from chatproxy.types import Principal
from chatproxy.types.text import TextKind
from chatproxy_guardrails.checks.base import Check, JudgeCheck, PatternCheck, RequestCheck, Target
from chatproxy_guardrails.config import Policy
from chatproxy_guardrails.matching import Matcher
from chatproxy_guardrails.registry import CheckError, check_type, make_check


class Bound:
    """One policy at work.

    Attributes:
        rewrites: it changes texts; one that does not only reads, and several of those may run at once.
        blocks: it refuses what it finds.
        matcher: of a pattern check.
        judge: of a judging check.
        reads_view: that check wants the normalised view of a text.
        review: of a check of parameters.
    """

    def __init__(self, policy: Policy, check: Check) -> None:
        found = check_type(policy.check)
        self.policy = policy
        self.name = policy.name
        self.check = check
        enforced = policy.mode == "enforce"
        self.blocks = enforced and policy.action == "block"
        self.rewrites = enforced and policy.action in {"redact", "mask_reversibly"}
        self.masks = enforced and policy.action == "mask_reversibly"
        self.targets = frozenset(policy.on or found.on)
        self.roles = frozenset(policy.roles or found.roles)
        self.kinds = frozenset(found.kinds)
        self.matcher: Matcher | None = None
        self.judge: JudgeCheck | None = None
        self.reads_view = getattr(check, "reads_view", False) is True
        self.review: RequestCheck | None = None
        if isinstance(check, RequestCheck):
            self.review = check
        elif isinstance(check, JudgeCheck):
            self.judge = check
        elif isinstance(check, PatternCheck):
            self.matcher = Matcher(check.rules, timeout_s=policy.timeout_s)

    def holds_for(self, model: str, principal: Principal | None) -> bool:
        """Whether an exchange is the policy's business.

        Args:
            model: as the client named it.
        """
        policy = self.policy
        return (
            (not policy.models or _any_glob(policy.models, model))
            and (not policy.keys or (principal is not None and _any_glob(policy.keys, principal.id)))
            and (not policy.tags or not _tags(principal).isdisjoint(policy.tags))
        )

    def looks_at(self, target: Target, role: str, kind: TextKind) -> bool:
        """Whether a text is the policy's business; the roles choose among what a request says."""
        if self.review is not None or target not in self.targets or (self.kinds and kind not in self.kinds):
            return False
        return not self.roles or target in {"output", "tool_arguments"} or role in self.roles

    def replacement(self, kind: str) -> str:
        """What ``redact`` puts in the place of a finding."""
        return self.policy.replacement.replace("{kind}", kind)


def bind(policies: Iterable[Policy]) -> list[Bound]:
    """Policies with their checks, in order.

    Raises:
        CheckError: a policy cannot be; the message names it.
    """
    found: list[Bound] = []
    for policy in policies:
        try:
            found.append(Bound(policy, make_check(policy.check, policy.options)))
        except ValueError as exc:
            raise CheckError(f"policy {policy.name!r}: {exc}") from exc
    return found


def _any_glob(globs: Sequence[str], value: str) -> bool:
    return any(fnmatchcase(value, glob) for glob in globs)


def _tags(principal: Principal | None) -> frozenset[str]:
    tags = principal.attributes.get("tags") if principal is not None else None
    return frozenset(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list | tuple) else frozenset()
