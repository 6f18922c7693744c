"""The table ``[plugins.guardrails]``: policies, in the order in which they act."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

import msgspec

from chatproxy_guardrails.checks.base import PatternCheck, Target
from chatproxy_guardrails.registry import CheckError, make_check

Action = Literal["block", "redact", "mask_reversibly", "flag"]
Mode = Literal["enforce", "observe"]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1)]


class Policy(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One entry of ``[[plugins.guardrails.policy]]``.

    Attributes:
        name: shown to clients that are blocked, and on record.
        check: which check, by its name.
        options: the check's own settings.
        on: where it looks: ``input`` (what the request says), ``output`` (what the model says), ``tool_arguments`` (of
            calls, the model's and the gateway's), ``tool_results``; empty: the check's own choice.
        action: ``block``, ``redact`` (replace what was found), ``mask_reversibly`` (placeholders for the model, the
            values again for the client), ``flag`` (put it on record).
        mode: ``observe`` does nothing but put on record what would have been done.
        models: globs of the models it holds for, as the client names them; empty: all.
        keys: globs of the principals' ids; empty: all, also nobody's.
        tags: any of the principal's ``tags`` attribute; empty: all.
        roles: whose texts it looks at; empty: the check's own choice.
        on_error: where the check cannot do its work: ``closed`` refuses, ``open`` lets pass; both are on record.
        timeout_s: for one judgement, and for one pattern on one text.
        replacement: what ``redact`` puts; ``{kind}`` stands for what was found.
        refusal: what the assistant says where an answer is blocked; empty: nothing.
        hold_all: hold a streamed text until its end, so that nothing of a blocked one is seen.
        max_hold_ms: a text held that long without news is judged as if it ended there, which may miss what was cut by
            a pause; None: it is held until more comes.
    """

    name: str
    check: str
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    on: tuple[Target, ...] = ()
    action: Action = "block"
    mode: Mode = "enforce"
    models: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    on_error: Literal["closed", "open"] = "closed"
    timeout_s: Seconds = 2.0
    replacement: str = "[REDACTED:{kind}]"
    refusal: str = ""
    hold_all: bool = False
    max_hold_ms: Milliseconds | None = None

    def __post_init__(self) -> None:
        """Make the check once, so that what is wrong with it is said before anything starts."""
        check = make_check(self.check, self.options)
        if self.action == "mask_reversibly" and not isinstance(check, PatternCheck):
            raise CheckError(f"check {self.check!r} finds no values that could be masked; use another action")


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The table ``[plugins.guardrails]``.

    Attributes:
        policy: none: the plugin does nothing, and says so at start.
        mask_scope: how long placeholders stand for their values: an ``exchange``, or a ``session`` of the same
            principal, named by the request header ``session_header``.
        session_ttl_s: how long a session's values are kept after its last exchange.
    """

    policy: tuple[Policy, ...] = ()
    mask_scope: Literal["exchange", "session"] = "exchange"
    session_header: str = "x-session-id"
    session_ttl_s: Seconds = 3600.0

    def __post_init__(self) -> None:
        """Names tell policies apart in verdicts."""
        twins = [name for name, count in Counter(policy.name for policy in self.policy).items() if count > 1]
        if twins:
            raise CheckError(f"two policies are called {twins[0]!r}")
