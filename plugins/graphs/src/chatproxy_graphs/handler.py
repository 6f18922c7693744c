"""GraphsHandler: from a request to a run of a graph, and from its end to the reply."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import chatproxy
from chatproxy import ChatRequest, Reply, RequestContext
from chatproxy.errors import InvalidRequest, NotFound
from chatproxy_graphs.config import Config
from chatproxy_graphs.context import Context
from chatproxy_graphs.errors import DefinitionError, GraphInvalid
from chatproxy_graphs.formats import format_of
from chatproxy_graphs.outcome import Json, Outcome, estimated, outcome_of
from chatproxy_graphs.plan import Plan
from chatproxy_graphs.registry import GraphRegistry
from chatproxy_graphs.run import Feed, Run
from chatproxy_graphs.telemetry import note_run

NAME = "graphs"
MAX_JUDGES = 2
"""Processes that check answers at once; more requests wait for their turn."""


class GraphsHandler:
    """Answers for every registered graph."""

    name = NAME

    def __init__(self) -> None:
        self._judges = asyncio.Semaphore(MAX_JUDGES)

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Run the graph that the request names.

        Raises:
            NotFound: there is no such graph (404).
            InvalidRequest: there is no user message, or the ``response_format`` is wrong (400).
            ApiError: the run failed.
        """
        plan = _plan(ctx.plugin(GraphRegistry), request.model)
        given = context_of(request)
        wanted = format_of(given.response_format, plan.name)
        feed = Feed() if request.stream and wanted is None else None
        run = Run(plan, given, gateway=ctx, feed=feed, node_timeout_s=ctx.config(Config).node_timeout_s)
        ctx.at_end(lambda _: note_run(ctx, plan.name, run))
        head: Json = {
            "id": f"chatcmpl-{ctx.request_id.removeprefix('req_')}",
            "created": int(time.time()),
            "model": request.model,
        }
        if feed is not None:
            pieces = chunks_of(run, feed, plan.name, head, request)
            return await chatproxy.as_reply(pieces, model=request.model, stream=True, name=NAME, close=run.stop)
        outcome = outcome_of(plan.name, await run.result(), "".join(run.said))
        if wanted is not None and outcome.text is not None:
            await wanted.check(outcome.text, self._judges)
        return await chatproxy.as_reply(
            _completion(head, outcome, request), model=request.model, stream=request.stream, name=NAME
        )


def context_of(request: ChatRequest) -> Context:
    """Every field of the request, and ``user_query``: the text of the last message of a user.

    Raises:
        InvalidRequest: there is no such message (400, param ``messages``).
    """
    fields = request.plain()
    messages = fields.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return Context(fields, user_query=_text_of(message.get("content")))
    raise InvalidRequest("'messages' must have a message of role 'user'.", param="messages")


async def chunks_of(run: Run, feed: Feed, graph: str, head: Json, request: ChatRequest) -> AsyncGenerator[Json, None]:
    """A run as the chunks of a stream; raises what the run raised.

    Args:
        head: the fields that all chunks share.
    """
    head = {**head, "object": "chat.completion.chunk"}

    def chunk(delta: Json, finish_reason: str | None = None, **more: Any) -> Json:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **more}

    has_begun = False
    async for text in feed:
        if not has_begun:
            has_begun = True
            yield chunk({"role": "assistant", "content": ""})
        yield chunk({"content": text})
    ctx, said = await run.result(), "".join(run.said)
    outcome = outcome_of(graph, ctx, said)
    if not has_begun:
        yield chunk({"role": "assistant", "content": ""})
    if outcome.text is not None and (rest := outcome.text[len(said) :]):
        yield chunk({"content": rest})
    if outcome.refusal is not None:
        yield chunk({"refusal": outcome.refusal})
    if outcome.tool_calls:
        yield chunk({"tool_calls": [{"index": number, **call} for number, call in enumerate(outcome.tool_calls)]})
    yield chunk({}, outcome.finish_reason)
    yield {**head, "choices": [], "usage": outcome.usage or estimated(request, outcome)}


def _completion(head: Json, outcome: Outcome, request: ChatRequest) -> Json:
    choice = {"index": 0, "message": outcome.message, "logprobs": None, "finish_reason": outcome.finish_reason}
    usage = outcome.usage or estimated(request, outcome)
    return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}


def _plan(registry: GraphRegistry, name: str) -> Plan:
    graph = registry.find(name)
    if graph is None:
        raise NotFound(f"The model '{name:.200}' does not exist.", code="model_not_found", param="model")
    try:
        return graph.compile().plan
    except DefinitionError as exc:
        raise GraphInvalid(f"{exc}.") from exc


def _text_of(content: Any) -> str:
    """The text of a message's content: itself, or its parts of text joined."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))
