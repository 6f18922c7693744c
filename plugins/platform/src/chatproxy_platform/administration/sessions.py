"""Conversations: listed, read, renamed, archived, deleted, exported."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, patch
from litestar.background_tasks import BackgroundTask
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from chatproxy import ApiError
from chatproxy_platform.administration.described import operation
from chatproxy_platform.administration.paging import PageQuery
from chatproxy_platform.administration.paths import for_role, session_paths
from chatproxy_platform.administration.reading import AnyRequest, path_text, read_body, read_query
from chatproxy_platform.administration.services import asked
from chatproxy_platform.administration.shapes import Deleted, SessionList
from chatproxy_platform.sessions.store import MAX_TITLE
from chatproxy_platform.sessions.views import SessionDetail, SessionPage, SessionView

JSON_LINES = "application/jsonl"
ONE = session_paths("/{session_id:path}")


class ListQuery(PageQuery, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which sessions; ``cursor``: empty for the first page, then the ``next_cursor`` of the page before."""

    user_id: str | None = None
    archived: bool | None = None
    cursor: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    format: Literal["json", "jsonl"] = "json"


class UserQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Whose session of this id."""

    user_id: str | None = None


class ReadQuery(UserQuery, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Whose session of this id, and how it is wanted."""

    format: Literal["json", "jsonl"] = "json"


class SessionChanges(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What may be changed of a session."""

    title: Annotated[str, msgspec.Meta(max_length=MAX_TITLE)] | msgspec.UnsetType | None = msgspec.UNSET
    archived: bool | msgspec.UnsetType = msgspec.UNSET


def session_routes() -> list[HTTPRouteHandler]:
    """``/v1/sessions`` and what is below."""
    return [*_reading(), *_changing()]


def _reading() -> list[HTTPRouteHandler]:
    @get(
        session_paths(),
        opt=for_role("user"),
        operation_class=operation(query=ListQuery, media_types=(JSON_LINES,)),
        summary="List sessions.",
    )
    async def list_sessions(request: AnyRequest) -> Response[SessionList]:
        """The one that was used last first. With ``format=jsonl`` all of them, with their messages."""
        services, actor = asked(request, "user")
        query = read_query(request, ListQuery)
        if query.format == "jsonl":
            return await _lines(services.history.export(actor, user_id=query.user_id))
        page = await services.history.list(
            actor,
            user_id=query.user_id,
            page=query.page,
            page_size=query.page_size,
            cursor=query.cursor,
            archived=query.archived,
        )
        return Response(_listed(page, query))

    @get(
        ONE,
        opt=for_role("user"),
        operation_class=operation(query=ReadQuery, media_types=(JSON_LINES,)),
        summary="Show a session.",
    )
    async def show_session(request: AnyRequest) -> Response[SessionDetail]:
        """With its messages in order. Somebody else's is answered as one that does not exist."""
        services, actor = asked(request, "user")
        query, session_id = read_query(request, ReadQuery), path_text(request)
        if query.format == "jsonl":
            return await _lines(services.history.export(actor, session_id=session_id, user_id=query.user_id))
        return Response(await services.history.get(actor, session_id, user_id=query.user_id))

    return [list_sessions, show_session]


def _changing() -> list[HTTPRouteHandler]:
    @patch(
        ONE,
        opt=for_role("user"),
        operation_class=operation(query=UserQuery, body=SessionChanges),
        summary="Rename or archive a session.",
    )
    async def update_session(request: AnyRequest) -> SessionView:
        """Only what the body names."""
        services, actor = asked(request, "user")
        query, changes = read_query(request, UserQuery), await read_body(request, SessionChanges)
        return await services.history.change(
            actor, path_text(request), user_id=query.user_id, title=changes.title, archived=changes.archived
        )

    @delete(
        ONE,
        opt=for_role("user"),
        operation_class=operation(query=UserQuery),
        status_code=200,
        summary="Delete a session.",
    )
    async def delete_session(request: AnyRequest) -> Deleted:
        """With its messages, for good."""
        services, actor = asked(request, "user")
        session_id = path_text(request)
        await services.history.delete(actor, session_id, user_id=read_query(request, UserQuery).user_id)
        return Deleted(id=session_id)

    return [update_session, delete_session]


def _listed(page: SessionPage, query: ListQuery) -> SessionList:
    return SessionList(
        sessions=page.sessions,
        total=page.total,
        page=page.page,
        page_size=page.page_size,
        has_more=page.has_more,
        next_cursor=msgspec.UNSET if query.cursor is None else page.next_cursor,
    )


async def _lines(lines: AsyncGenerator[bytes]) -> Response[Any]:
    """JSON lines as they come; what is refused is refused before the first one."""
    first = await anext(lines, b"")
    told = _told(first, lines)
    headers = {"content-disposition": 'attachment; filename="sessions.jsonl"'}
    return Stream(told, media_type=JSON_LINES, headers=headers, background=BackgroundTask(told.aclose))


async def _told(first: bytes, lines: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """An export that breaks off ends in an error's line, never as a whole one would."""
    try:
        yield first
        async for line in lines:
            yield line
    except ApiError as error:
        yield msgspec.json.encode(error.envelope()) + b"\n"
    finally:
        await lines.aclose()
