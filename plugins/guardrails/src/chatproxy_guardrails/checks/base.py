"""What a check is: the protocols that this package's checks and those of other packages implement.

A check is chosen by its name in a policy. It is one of three kinds:

* `PatternCheck`: gives rules; matches are found exactly on every stream, whatever way it is cut.
* `JudgeCheck`: judges whole texts, or windows of them; may wait for a service.
* `RequestCheck`: looks at a request's parameters.

Other packages add checks by entry points in the group ``chatproxy_guardrails.checks``; an entry point's name is the
check's, its value a `CheckType`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import msgspec

from chatproxy.types import ChatRequest, RequestContext
from chatproxy.types.text import TextKind

Target = Literal["input", "output", "tool_arguments", "tool_results"]
TARGETS: tuple[Target, ...] = ("input", "output", "tool_arguments", "tool_results")
S_contra = TypeVar("S_contra", bound=msgspec.Struct, contravariant=True)


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One thing a check found; it never holds the text itself.

    Attributes:
        start: of the text found, in characters of the text the check was given.
        end: behind it.
        kind: what it is, for example ``github_token`` or ``email``; shown in verdicts and in ``[REDACTED:<kind>]``.
    """

    start: int
    end: int
    kind: str


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern to find. Its matches must have a finite length, so that no stream is held for ever.

    Attributes:
        kind: of its findings.
        pattern: in the syntax of the ``regex`` package. Every quantifier is bounded; it looks behind at most 64
            characters and ahead at most one.
        keywords: literals, one of which every match begins with (letters of both cases where ``ignore_case``), so that
            the pattern is tried only where one stands. Empty: it is tried everywhere.
        group: what is taken out; the rest of a match is context.
        ignore_case: letters of both cases match.
        accept: decides about a match by what only code can say (a checksum, entropy); it may look at the match alone.
        source: where the shape is published.
    """

    kind: str
    pattern: str
    keywords: tuple[str, ...] = ()
    group: int | str = 0
    ignore_case: bool = False
    accept: Callable[[Any], bool] | None = None
    source: str = ""


class Piece(NamedTuple):
    """A text, or a window of one, that a judge looks at.

    Attributes:
        text: as it was written, unless the check has ``reads_view``.
        target: where it was found.
        role: whose it is: ``system``, ``developer``, ``user``, ``assistant`` or ``tool``.
    """

    text: str
    target: Target
    role: str


class Breach(msgspec.Struct, frozen=True):
    """A parameter of a request that breaks a rule.

    Attributes:
        kind: what is wrong, for example ``max_tokens``.
        param: the request's field, as it was sent; `value` takes the place of all of it.
        message: one sentence for the caller.
        value: what ``redact`` puts there; `msgspec.UNSET` removes the field.
    """

    kind: str
    param: str
    message: str
    value: Any = msgspec.UNSET


class CheckFailedError(Exception):
    """A check could not do its work (a service is down, a deadline passed); the policy's ``on_error`` decides.

    The message is for the operator's log and holds no text of an exchange.
    """


@runtime_checkable
class PatternCheck(Protocol):
    """Finds patterns."""

    rules: Sequence[Rule]


@runtime_checkable
class JudgeCheck(Protocol):
    """Judges texts.

    One with an attribute ``reads_view`` that is True is given texts in compatibility forms and without what cannot be
    seen; its findings are brought back to the text as it was written.

    Attributes:
        window: characters judged at a time, on buffered and streamed texts alike; None: each text as a whole, so that a
            stream is held until its end.
        overlap: how many characters of a window the next one repeats.
    """

    window: int | None
    overlap: int

    async def judge(self, ctx: RequestContext | None, pieces: Sequence[Piece]) -> Sequence[Sequence[Finding]]:
        """Findings of each piece, in its own characters; none where it passes.

        Args:
            ctx: of the exchange; None on the command line.

        Raises:
            CheckFailedError: no judgement could be had.
        """


@runtime_checkable
class RequestCheck(Protocol):
    """Looks at a request's parameters, not at its texts."""

    def review(self, request: ChatRequest) -> Sequence[Breach]:
        """What is wrong with the request; it changes nothing by itself."""


Check = PatternCheck | JudgeCheck | RequestCheck


@runtime_checkable
class HasLifespan(Protocol):
    """A check that needs opening and closing, with a connection for example."""

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Entered when the gateway starts (and by the command line), left when it stops."""


class CheckType(msgspec.Struct, frozen=True, kw_only=True):
    """How a check is made from a policy.

    Attributes:
        options: type of the policy's table ``options``; unknown keys are refused.
        make: makes the check; raises ValueError with one sentence for wrong options.
        on: where it looks unless the policy says otherwise.
        roles: whose texts it looks at unless the policy says otherwise; empty: everybody's.
        kinds: which of a model's own texts mean something to it, for example not its reasoning; empty: all.
        summary: one sentence for the documentation.
    """

    options: type[msgspec.Struct]
    make: Callable[[Any], Check]
    on: tuple[Target, ...] = TARGETS
    roles: tuple[str, ...] = ()
    kinds: tuple[TextKind, ...] = ()
    summary: str = ""
