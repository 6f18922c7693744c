"""Watch: one exchange under the policies that hold for it, from its request to the last of its reply."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, cast

import msgspec

from chatproxy.errors import Reject
from chatproxy.types import ChatRequest, ChatResponse, RequestContext, ToolCall, ToolResult
from chatproxy.types.text import TextKind
from chatproxy_guardrails.arguments import AnyText, as_container, with_whole_calls
from chatproxy_guardrails.bound import Bound
from chatproxy_guardrails.chain import Chain, chain_for
from chatproxy_guardrails.checks.base import Breach, Finding, Piece, Target
from chatproxy_guardrails.judge_stages import BlockedError, Place
from chatproxy_guardrails.judging import judged_whole, rewritten
from chatproxy_guardrails.masking import Vault
from chatproxy_guardrails.verdicts import Verdicts

STATE = "guardrails"
INSTRUCTIONS = "guardrails.instructions"
_CODE = "content_filter"
_ROLES = {**{role: role for role in ("system", "developer", "user", "assistant", "tool")}, "function": "tool"}


_KINDS_AND_MEDIA = frozenset({"type", "data", "format", "media_type", "detail"})


class Watch:
    """The policies at work on one exchange.

    Attributes:
        bounds: the policies that hold, in their order.
        vault: of masked values.
    """

    __slots__ = ("_ctx", "bounds", "vault", "verdicts")

    def __init__(
        self,
        ctx: RequestContext | None,
        bounds: Sequence[Bound],
        totals: Counter[tuple[str, str]],
    ) -> None:
        self._ctx = ctx
        self.bounds = bounds
        self.vault = Vault(None if ctx is None else ctx.trace.hide)
        self.verdicts = Verdicts(ctx, totals)

    # -- the request ----------------------------------------------------------------------------------------------

    async def request(self, request: ChatRequest) -> None:
        """Check a request and change it as the policies say.

        Raises:
            Reject: it is blocked (400, code ``content_filter``), or a check of a closed policy failed (503).
        """
        self._review(request)
        texts = [(text, target_of(text, "input")) for text in with_whole_calls(request.texts(), lambda: request)]
        if self._ctx is not None:
            told = [text.value for text, _ in texts if text.kind == "instructions"]
            self._ctx.state[INSTRUCTIONS] = told
        if self.masks:
            self.vault.reserve(text.value for text, _ in texts)
        try:
            await self._whole(texts)
        except BlockedError as blocked:
            raise refused(blocked.bound, "The request") from None

    def _review(self, request: ChatRequest) -> None:
        for bound in self.bounds:
            breaches = bound.review.review(request) if bound.review is not None else ()
            if breaches:
                self.verdicts.found(bound, "parameters", dict(Counter(breach.kind for breach in breaches)))
                if bound.blocks:
                    first = breaches[0]
                    raise Reject(
                        f"The request is against the policy '{bound.name}': {first.message}",
                        status=400,
                        code=_CODE,
                        param=first.param,
                    )
                if bound.rewrites:
                    for breach in breaches:
                        mend(request, breach)

    # -- the reply ------------------------------------------------------------------------------------------------

    async def response(self, response: ChatResponse) -> None:
        """Check a buffered reply; a blocked one says so, in the way of its surface."""
        texts = [(text, target_of(text, "output")) for text in with_whole_calls(response.texts(), lambda: response)]
        try:
            await self._whole(texts, unmasks=True)
        except BlockedError as blocked:
            response.filter(blocked.bound.policy.refusal)

    def running(self, text: AnyText) -> Chain:
        """The chain of a text of a stream."""
        return chain_for(self.bounds, self._place(text, target_of(text, "output")), self.vault, unmasks=True)

    @property
    def acts_on_replies(self) -> bool:
        """Whether a reply needs to be looked at."""
        targets: set[Target] = {"output", "tool_arguments", "tool_results"}
        return bool(len(self.vault)) or any(not targets.isdisjoint(bound.targets) for bound in self.bounds)

    @property
    def may_block(self) -> bool:
        """Whether a stream may have to be ended."""
        return any(bound.blocks for bound in self.bounds)

    @property
    def alters(self) -> bool:
        """Whether a reply may be heard otherwise than it was said."""
        return bool(len(self.vault)) or any(bound.blocks or bound.rewrites for bound in self.bounds)

    @property
    def masks(self) -> bool:
        """Whether values are kept in the vault."""
        return any(bound.masks for bound in self.bounds)

    # -- tools that the gateway runs ------------------------------------------------------------------------------

    async def tool_call(self, call: ToolCall) -> ToolCall:
        """The call with its arguments checked, and with the values that were masked.

        Raises:
            Reject: the call is blocked (400, code ``content_filter``).
        """
        (text,) = told = [msgspec.json.encode(call.arguments).decode()]
        (made,) = await self._told(told, "tool_arguments", "The tool call", unmasks=True)
        return call if made == text else msgspec.structs.replace(call, arguments=as_container(made))

    async def tool_result(self, result: ToolResult) -> ToolResult:
        """What a tool answered, checked before a model sees it; raises as `tool_call` does."""
        texts: list[str] = []
        _walk(result.content, texts.append)
        made = await self._told(texts, "tool_results", "The tool's result", unmasks=False)
        return result if made == texts else msgspec.structs.replace(result, content=_filled(result.content, iter(made)))

    async def _told(self, texts: Sequence[str], target: Target, what: str, *, unmasks: bool) -> list[str]:
        """What texts of one tool call become."""
        role, kind = ("tool", "tool_result") if target == "tool_results" else ("assistant", "tool_arguments")
        is_json = target == "tool_arguments"
        place = Place(self._ctx, target, role, self.verdicts, cast("TextKind", kind), is_json)
        try:
            return [await chain_for(self.bounds, place, self.vault, unmasks=unmasks).whole(text) for text in texts]
        except BlockedError as blocked:
            raise refused(blocked.bound, what) from None

    # -- texts ----------------------------------------------------------------------------------------------------

    async def _whole(self, texts: Sequence[tuple[AnyText, Target]], *, unmasks: bool = False) -> None:
        """Check texts that are there as a whole: the policies that read at once, those that rewrite one by one."""
        for rewrites, group in groupby(self.bounds, key=lambda bound: bound.rewrites):
            if rewrites:
                for bound in group:
                    await self._rewrite(bound, texts)
            else:
                await self._read(list(group), texts)
        if unmasks and len(self.vault):
            for text, target in texts:
                text.replace(await chain_for((), self._place(text, target), self.vault, unmasks=True).whole(text.value))

    async def _read(self, bounds: Sequence[Bound], texts: Sequence[tuple[AnyText, Target]]) -> None:
        """Patterns first, since a block by them spares the judges their work; then all judges at once."""
        for text, target in texts:
            place = self._place(text, target)
            await chain_for([bound for bound in bounds if bound.judge is None], place, self.vault).whole(text.value)
        judges = [bound for bound in bounds if bound.judge is not None]
        found = await asyncio.gather(*(self._judge(bound, texts) for bound in judges))
        for bound, findings in zip(judges, found, strict=True):
            if bound.blocks and any(findings):
                raise BlockedError(bound)

    async def _rewrite(self, bound: Bound, texts: Sequence[tuple[AnyText, Target]]) -> None:
        if bound.judge is None:
            for text, target in texts:
                text.replace(await chain_for([bound], self._place(text, target), self.vault).whole(text.value))
        else:
            shown = _shown(bound, texts)
            for (text, _), findings in zip(shown, await self._judge(bound, shown), strict=True):
                text.replace(rewritten(text.value, findings, bound))

    async def _judge(self, bound: Bound, texts: Sequence[tuple[AnyText, Target]]) -> list[list[Finding]]:
        pieces = [Piece(text.value, target, role_of(text.role)) for text, target in _shown(bound, texts)]
        return await judged_whole(bound, self._ctx, pieces, self.verdicts)

    def _place(self, text: AnyText, target: Target) -> Place:
        role = role_of(text.role)
        return Place(self._ctx, target, role, self.verdicts, text.kind, is_json=target == "tool_arguments")


def _shown(bound: Bound, texts: Sequence[tuple[AnyText, Target]]) -> list[tuple[AnyText, Target]]:
    """Those texts that a policy looks at."""
    return [(text, target) for text, target in texts if bound.looks_at(target, role_of(text.role), text.kind)]


def target_of(text: AnyText, otherwise: Target) -> Target:
    """Which target a text of a request (otherwise ``input``) or of a reply (``output``) is."""
    if text.kind == "tool_arguments":
        return "tool_arguments"
    return "tool_results" if text.kind == "tool_result" else otherwise


def role_of(written: str) -> str:
    """The role that policies choose by; servers take others too, so that one nobody knows is a user's."""
    role = _ROLES.get(written)
    return role if role is not None else _ROLES.get(written.strip().lower(), "user")


def refused(bound: Bound, what: str) -> Reject:
    """The answer to what a policy blocks."""
    return Reject(f"{what} was blocked by the policy '{bound.name}'.", status=400, code=_CODE)


def mend(request: ChatRequest, breach: Breach) -> None:
    """Put a breach's value into the request."""
    if breach.value is msgspec.UNSET:
        request.pop(breach.param, None)
    else:
        request[breach.param] = breach.value


def _walk(value: Any, see: Callable[[str], None], key: str = "") -> None:
    if isinstance(value, str):
        if not _is_media(key, value):
            see(value)
    elif isinstance(value, dict):
        for name, item in value.items():
            _walk(item, see, name)
    elif isinstance(value, list):
        for item in value:
            _walk(item, see)


def _filled(value: Any, texts: Any, key: str = "") -> Any:
    """The value with its texts replaced, in the order of `_walk`."""
    if isinstance(value, str):
        return value if _is_media(key, value) else next(texts)
    if isinstance(value, dict):
        return {name: _filled(item, texts, name) for name, item in value.items()}
    return [_filled(item, texts) for item in value] if isinstance(value, list) else value


def _is_media(key: str, value: str) -> bool:
    """Whether a string in a content part is encoded media or the part's kind; replaced text would break both."""
    return key in _KINDS_AND_MEDIA or (key in {"url", "image_url", "file_data"} and value.startswith("data:"))
