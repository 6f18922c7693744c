"""The routes of the responses surface, with and without ``/v1``: making responses, and what is kept of them.

Rule: what is kept is the gateway's own; no upstream is ever asked for a response by its id.
Source: OpenAI API reference, "Responses": retrieve, delete, cancel, list input items.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from chatproxy.errors import ApiError, InvalidRequest, NotFound
from chatproxy.surfaces.asgi import run
from chatproxy.surfaces.base import Gateway, header_pairs, open_context, send_error, send_json
from chatproxy.surfaces.edge import Receive, Scope, Send
from chatproxy.surfaces.exchanges import refuse_method
from chatproxy.surfaces.responses import ResponsesTurn
from chatproxy.surfaces.responses_background import BackgroundRuns
from chatproxy.surfaces.responses_items import listed
from chatproxy.surfaces.stored import Record, StoredResponses, owner_of
from chatproxy.types.context import RequestContext
from chatproxy.types.layouts import LAYOUTS

Query = dict[str, str]
Action = Callable[[RequestContext, str, Query], Awaitable[bytes]]

_MOST_LISTED = 100
_encode = msgspec.json.Encoder().encode


class ResponsesSurface:
    """What the routes share; make one for each application.

    Args:
        ttl_s: seconds a response is kept; None is the store's own time.

    Attributes:
        runs: what is made in the background; close it in the lifespan, before the store closes.
    """

    def __init__(self, gateway: Gateway, *, ttl_s: float | None = None) -> None:
        self._gateway = gateway
        self._layout = LAYOUTS["responses"]
        self._stored = StoredResponses(gateway.app.session_store, ttl_s=ttl_s)
        self.runs = BackgroundRuns(gateway, self._stored)
        self._actions: dict[tuple[str, ...], dict[str, Action]] = {
            (): {"GET": self._retrieve, "DELETE": self._delete},
            ("input_items",): {"GET": self._list_input},
            ("cancel",): {"POST": self._cancel},
        }

    def routes(self) -> list[ASGIRouteHandler]:
        """A mount under each prefix, because Litestar 2.25 has no path parameters on ASGI routes."""
        return [
            self._mount("/v1/responses", "responses"),
            self._mount("/responses", "responses_unversioned"),
        ]

    def _mount(self, path: str, name: str) -> ASGIRouteHandler:
        whole = path.encode()

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            if scope.get("raw_path") == whole and not scope.get("root_path"):
                scope["path"] = path
                await self._create(scope, receive, send)
                return
            below = _below(scope, path)
            scope["path"] = path + unquote(below)
            if below:
                await self._answer(scope, send, below)
            else:
                await self._create(scope, receive, send)

        return asgi(path, is_mount=True, copy_scope=False, name=name, opt={"access": "user"})(serve)

    async def _create(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await refuse_method(self._gateway, scope, send, "POST", self._layout)
            return
        turn = ResponsesTurn(self._stored, queue=self.runs)
        try:
            await run(self._gateway, self._layout, scope, receive, send, turn=turn)
        finally:
            if turn.accepted is not None:
                self.runs.start(turn.accepted, scope)

    async def _answer(self, scope: Scope, send: Send, below: str) -> None:
        """Answer a request about one stored response.

        Args:
            below: ``/{id}`` and what follows it.
        """
        start, *names = [unquote(part) for part in below.split("/")]
        actions = self._actions.get(tuple(names[1:]), {}) if names and names[0] and not start else {}
        action = actions.get(scope["method"])
        # an operation of the API that is none of ours, like ``POST /responses/compact``, is no response's id
        is_operation = scope["method"] == "POST" and len(names) == 1 and not names[0].startswith("resp_")
        if actions and action is None and not is_operation:
            await refuse_method(self._gateway, scope, send, ", ".join(actions), self._layout)
            return
        ctx, headers = open_context(self._gateway, scope, self._layout)
        try:
            if action is None:  # a mount also takes paths that only begin like it
                raise NotFound(f"No route for {scope['method']} {scope['path']}.")
            await self._gateway.engine.authenticate(ctx, headers)
            body = await action(ctx, names[0], _query(scope))
        except ApiError as error:
            await send_error(send, ctx.request_id, error, self._layout)
            return
        await send_json(send, 200, header_pairs(ctx.request_id, {}), body)

    async def _found(self, ctx: RequestContext, response_id: str) -> Record:
        record = await self._stored.get(owner_of(ctx), response_id)
        if record is None:
            raise _not_found(response_id)
        return record

    async def _retrieve(self, ctx: RequestContext, response_id: str, query: Query) -> bytes:
        if query.get("stream", "false").lower() not in {"false", "0"}:
            raise InvalidRequest("A stored response is not streamed again; ask without 'stream'.", param="stream")
        return bytes((await self._found(ctx, response_id)).response)

    async def _delete(self, ctx: RequestContext, response_id: str, _: Query) -> bytes:
        owner = owner_of(ctx)
        await self.runs.stop(owner, response_id)
        if not await self._stored.delete(owner, response_id):
            raise _not_found(response_id)
        return _encode({"id": response_id, "object": "response", "deleted": True})

    async def _list_input(self, ctx: RequestContext, response_id: str, query: Query) -> bytes:
        limit, is_ascending = _limit(query), _is_ascending(query)
        items = listed(await self._found(ctx, response_id))
        ids = [item["id"] for item in items]
        if not is_ascending:
            items.reverse()
            ids.reverse()
        start = 0
        if "after" in query:
            after = query["after"]
            if after not in ids:
                raise InvalidRequest(f"'after' must be the id of an item, found '{after[:200]}'.", param="after")
            start = ids.index(after) + 1
        end = start + limit
        page = ids[start:end]
        return _encode(
            {
                "object": "list",
                "data": items[start:end],
                "first_id": page[0] if page else None,
                "last_id": page[-1] if page else None,
                "has_more": end < len(ids),
            }
        )

    async def _cancel(self, ctx: RequestContext, response_id: str, _: Query) -> bytes:
        """Cancel a response in the background; one that has ended stays as it is."""
        owner = owner_of(ctx)
        if not (await self._found(ctx, response_id)).background:
            raise InvalidRequest("Cannot cancel a synchronous response.", param="response_id")
        await self.runs.stop(owner, response_id)
        record = await self._stored.change(owner, response_id, {"status": "cancelled"})
        if record is None:
            raise _not_found(response_id)
        return bytes(record.response)


def _below(scope: Scope, path: str) -> str:
    """What follows the mount's path, still encoded, so that an id may have a ``/`` in it; no slash at its end."""
    raw: str = (scope.get("raw_path") or b"").decode("latin-1").removeprefix(scope.get("root_path", ""))
    below: str = raw.removeprefix(path) if raw.startswith(path) else scope["path"]
    return below.rstrip("/")


def _query(scope: Scope) -> Query:
    """The first value of each parameter."""
    found = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return {name: values[0] for name, values in found.items()}


def _limit(query: Query) -> int:
    value = query.get("limit", "20")
    if not (value.isascii() and value.isdigit() and len(value) <= 3 and 1 <= int(value) <= _MOST_LISTED):
        raise InvalidRequest(f"'limit' must be from 1 to {_MOST_LISTED}, found '{value[:20]}'.", param="limit")
    return int(value)


def _is_ascending(query: Query) -> bool:
    value = query.get("order", "desc")
    if value not in {"asc", "desc"}:
        raise InvalidRequest(f"'order' must be 'asc' or 'desc', found '{value[:20]}'.", param="order")
    return value == "asc"


def _not_found(response_id: str) -> NotFound:
    return NotFound(f"Response with id '{response_id[:200]}' not found.", param="response_id")
