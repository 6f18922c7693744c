"""KitHandler: a kit as a handler of the gateway; one for each kit and application.

It runs a turn: who asks, which session, the state, the kit's own function, what it gave.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

from chatproxy import ChatRequest, Completed, Principal, Reply, RequestContext, as_reply
from chatproxy.errors import ApiError, InvalidRequest, PluginError, UpstreamError
from chatproxy_kit import sessions
from chatproxy_kit.auth import ANONYMOUS, claims_of, user_of_claims
from chatproxy_kit.context import Context
from chatproxy_kit.declared import Declared
from chatproxy_kit.errors import WrongAnswerError, handler_error
from chatproxy_kit.hooks import is_async
from chatproxy_kit.lifecycle import Lifecycle
from chatproxy_kit.pieces import MOST_CHARS, Pieces, parts
from chatproxy_kit.stepping import GRACE_S, DeadlinePassedError, stepped
from chatproxy_kit.threads import Threads
from chatproxy_kit.turns import Turn, session_key

logger = logging.getLogger("chatproxy.kit")

_HOOK_THREADS = 8
Json = dict[str, Any]


class KitHandler:
    """Answers for one kit.

    Raises:
        PluginError: the kit has no handler.

    Attributes:
        hook_threads: for the kit's plain hooks; apart, so that handlers that hang do not keep anybody out.
        auth_late: how often in a row the auth hook was late; until ``auth_rests_until`` (monotonic) it may rest.
    """

    def __init__(self, kit: Declared) -> None:
        kit.begin_use()
        function = kit.function
        if function is None:
            raise PluginError(f"the kit '{kit.model}' has no handler: decorate a function with @ck.handler()")
        self.kit = kit
        self.name = f"kit:{kit.model}"
        self._function = function
        self._runs_here = inspect.isasyncgenfunction(function) or is_async(function)
        self._is_generator = inspect.isgeneratorfunction(function)
        self.who = f"the handler of '{kit.model}'"
        self.threads = Threads(kit.max_threads)
        self.hook_threads = Threads(_HOOK_THREADS)
        self.life = Lifecycle(kit, self.hook_threads)
        self.auth_late = 0
        self.auth_rests_until = 0.0

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Answer a request.

        Raises:
            ApiError: the kit refused it, or failed.
        """
        kit = self.kit
        context = self._context(ctx, request)
        messages = _messages(request)
        await self.life.connect(ctx, context)
        pieces = Pieces(request.model, context["session_id"])
        turn = self._turn(ctx, context)
        if turn is not None:
            await turn.open()
        run = _Run(self, ctx, turn, pieces)
        answer: Any
        try:
            args = (messages, context) if turn is None else (messages, context, turn.state)
            result = await run.guarded(self._called(args))
            if isinstance(result, str) and request.stream:
                result = _one(result)
            if _is_many(result):
                answer = run.begin(result)
            else:
                answer = await run.guarded(run.whole(result))
        except BaseException:
            await run.aclose()
            raise
        reply = await as_reply(answer, model=kit.model, stream=request.stream, name=self.name, close=run.aclose)
        if isinstance(reply, Completed):
            reply.body["system_fingerprint"] = context["session_id"]
        return reply

    async def _called(self, args: tuple[Any, ...]) -> Any:
        """What the kit's function gives: an answer, or an iterator of pieces."""
        timeout_s = self.kit.timeout_s
        if self._is_generator:
            return await self.threads.iterate(partial(self._function, *args))
        if self._runs_here:
            result = self._function(*args)
        else:
            result = await stepped(self.threads.call(partial(self._function, *args)), timeout_s, self.who)
        if inspect.isawaitable(result):
            result = await stepped(result, timeout_s, self.who)
        if isinstance(result, Iterator):
            return await self.threads.iterate(lambda: result)
        return result

    def failed(self, ctx: RequestContext, error: BaseException) -> ApiError:
        """The error for what the kit's code raised; logged."""
        kit = self.kit
        if isinstance(error, ApiError):
            return error
        extra = {"request_id": ctx.request_id}
        if isinstance(error, DeadlinePassedError):
            logger.error("%s took over %s s", self.who, kit.timeout_s, extra=extra)
            message = f"The handler of '{kit.model}' took over {kit.timeout_s:g} s."
            return UpstreamError(message, status=504, code="handler_timeout")
        if isinstance(error, WrongAnswerError):
            logger.error("%s %s", self.who, error, extra=extra)
        else:
            logger.error("%s failed", self.who, exc_info=error, extra=extra)
        return handler_error(kit.model, error, debug=kit.debug, redact=ctx.app.redact)

    def _context(self, ctx: RequestContext, request: ChatRequest) -> Context:
        claims = claims_of(self, ctx)
        user_id = user_of_claims(claims) if self.kit.is_guarded else _user(ctx)
        values: Json = {} if user_id is None else {"user_id": user_id}
        values.update(claims)
        values.update(
            session_id=sessions.session_of(ctx),
            request_id=ctx.request_id,
            model=self.kit.model,
            headers=ctx.headers,
            principal=ctx.principal,
            request=request,
        )
        return Context(ctx, values)

    def _turn(self, ctx: RequestContext, context: Context) -> Turn | None:
        kit = self.kit
        if kit.schema is None:
            return None
        principal: Principal | None = ctx.principal
        owner = "" if kit.is_guarded or principal is None or principal.id == ANONYMOUS else principal.id
        key = session_key(kit.model, owner, str(context.get("user_id") or ""), context["session_id"])
        return Turn(ctx.app.session_store, kit.schema, key, wait_s=kit.timeout_s, ttl_s=kit.state_ttl_s)


class _Run:
    """One call of a kit's function, from its beginning to its end."""

    def __init__(self, handler: KitHandler, ctx: RequestContext, turn: Turn | None, pieces: Pieces) -> None:
        self._handler = handler
        self._ctx = ctx
        self._turn = turn
        self._pieces = pieces
        self._source: Any = None

    async def guarded(self, work: Any) -> Any:
        """Await something of the kit's; what it raises becomes an `ApiError`."""
        try:
            return await work
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as exc:  # one that exits leaves the gateway alive
            error = self._handler.failed(self._ctx, exc)
            if error is exc:
                raise
            raise error from exc

    async def whole(self, result: Any) -> Json:
        """The completion for an answer in one piece, when the state is saved."""
        made = self._pieces.whole(result)
        await self._save()
        return made

    def begin(self, source: Any) -> AsyncIterator[Json]:
        """The chunks for what an iterator gives."""
        self._source = source
        return self._chunks()

    async def aclose(self) -> None:
        """End the kit's iterator, and let the session's next turn go on."""
        try:
            await self._close_source()
        finally:
            if self._turn is not None:
                await self._turn.close()

    async def _chunks(self) -> AsyncGenerator[Json, None]:
        pieces, take = self._pieces, self._pieces.chunk
        items = self._items()
        try:
            async with aclosing(items):
                async for item in items:
                    if isinstance(item, str) and len(item) > MOST_CHARS:
                        for part in parts(item):
                            yield take(part)
                    else:
                        yield take(item)
            if not pieces.begun:
                raise WrongAnswerError("yielded nothing.")
            await self._save()
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as exc:  # one that exits leaves the gateway alive
            error = self._handler.failed(self._ctx, exc)
            if error is exc:
                raise
            raise error from exc
        last = pieces.end()
        if last is not None:
            yield last

    async def _items(self) -> AsyncGenerator[Any, None]:
        handler = self._handler
        timeout_s, who = handler.kit.timeout_s, handler.who
        following = aiter(self._source).__anext__
        while True:
            try:
                item = await stepped(following(), timeout_s, who)
            except StopAsyncIteration:
                return
            yield item

    async def _save(self) -> None:
        if self._turn is not None:
            await self._turn.save()

    async def _close_source(self) -> None:
        source, self._source = self._source, None
        close = getattr(source, "aclose", None) or getattr(source, "close", None)
        if close is None:
            return
        who = f"closing {self._handler.who}"
        try:
            closing = close()
            if inspect.isawaitable(closing):
                await stepped(closing, GRACE_S, who)
        except DeadlinePassedError:
            logger.warning("%s took over %g s", who, GRACE_S)
        except Exception:
            logger.exception("%s failed", who)


def _is_many(result: object) -> bool:
    return hasattr(result, "__aiter__")


async def _one(text: str) -> AsyncGenerator[str, None]:
    yield text


def _messages(request: ChatRequest) -> list[Json]:
    """The conversation, in dicts of the handler's own.

    Raises:
        InvalidRequest: there is none, or not of messages (400).
    """
    messages = request.messages
    if not messages:
        raise InvalidRequest("'messages' must be an array that is not empty.", param="messages")
    for index, message in enumerate(messages):
        if not _is_message(message):
            raise InvalidRequest(f"messages[{index}] must be an object with a 'role'.", param=f"messages[{index}]")
    return [dict(message) for message in messages]


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str)


def _user(ctx: RequestContext) -> str | None:
    """The principal's user; where it has none, whom the request names."""
    if ctx.principal is not None and ctx.principal.user_id is not None:
        return ctx.principal.user_id
    return sessions.user_of(ctx)
