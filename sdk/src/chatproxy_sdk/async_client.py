"""The client of a ChatServer, for asyncio.

Every method is one endpoint; what it sends and how its answer is read stands in ``endpoints``, for both clients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

from chatproxy_sdk import endpoints
from chatproxy_sdk._core.awaiting import AsyncConnection
from chatproxy_sdk.completions import AsyncChatCompletionStream
from chatproxy_sdk.endpoints import CompletionOptions, Endpoint
from chatproxy_sdk.exceptions import server_error
from chatproxy_sdk.messages import MessageLike, message_dicts
from chatproxy_sdk.settings import DEFAULT_URL, server_terms, shown
from chatproxy_sdk.types import (
    AdminList,
    AdminResponse,
    AuditLogResponse,
    ChatCompletionRequest,
    ChatCompletionResponse,
    ChatSessionDetailResponse,
    ChatSessionListResponse,
    ModelsResponse,
    PlatformStats,
)

if TYPE_CHECKING:  # only the drivers need it
    import httpx

T = TypeVar("T")
Messages = Iterable[MessageLike] | MessageLike


class AsyncChatServerClient:
    """Asks a ChatServer, on one event loop; the methods of ``ChatServerClient``, awaited.

    Args:
        api_key: sent as a bearer token; None sends none.
        base_url: of the server, with or without ``/v1`` at its end.
        timeout: seconds to connect, for a whole buffered answer, and on a stream for its beginning and between events.
        max_retries: attempts after the first, where the server is busy (429), fails (5xx) or the connection breaks.
        retry_delay: seconds before the second attempt, doubled for each further one; ``Retry-After`` beats it.
        http_client: used in place of one of our own, and not closed; ``verify_ssl`` is then its affair.
        default_headers: sent with each request.

    Raises:
        ValueError: one of them cannot be used.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str = DEFAULT_URL,
        timeout: float = 30,
        *,
        max_retries: int = 0,
        retry_delay: float = 1.0,
        http_client: httpx.AsyncClient | None = None,
        verify_ssl: bool = True,
        default_headers: Mapping[str, str] | None = None,
    ) -> None:
        terms = server_terms(
            api_key,
            base_url,
            timeout=timeout,
            max_retries=max_retries,
            retry_delay=retry_delay,
            default_headers=default_headers,
        )
        self._connection = AsyncConnection(terms, server_error, http_client=http_client, verify=verify_ssl)

    @overload
    async def create_completion(
        self,
        model: str,
        messages: Messages,
        temperature: float | None = 0.7,
        max_tokens: int | None = 4000,
        top_p: float | None = 1.0,
        stream: Literal[False] = False,
        user: str | None = None,
        system_prompt: str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> ChatCompletionResponse: ...

    @overload
    async def create_completion(
        self,
        model: str,
        messages: Messages,
        temperature: float | None = 0.7,
        max_tokens: int | None = 4000,
        top_p: float | None = 1.0,
        *,
        stream: Literal[True],
        user: str | None = None,
        system_prompt: str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> AsyncChatCompletionStream: ...

    @overload
    async def create_completion(
        self,
        model: str,
        messages: Messages,
        temperature: float | None = 0.7,
        max_tokens: int | None = 4000,
        top_p: float | None = 1.0,
        stream: bool = False,
        user: str | None = None,
        system_prompt: str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> ChatCompletionResponse | AsyncChatCompletionStream: ...

    async def create_completion(  # noqa: PLR0917 - the documented order
        self,
        model: str,
        messages: Messages,
        temperature: float | None = 0.7,
        max_tokens: int | None = 4000,
        top_p: float | None = 1.0,
        stream: bool = False,
        user: str | None = None,
        system_prompt: str | None = None,
        *,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        organization_id: str | None = None,
        workflow: Any = None,
        variables: Mapping[str, Any] | None = None,
        allowed_tools: Sequence[str] | None = None,
        setting_sources: Sequence[str] | None = None,
        mcp_servers: Any = None,
        tools: Sequence[Any] | None = None,
        tool_choice: Any = None,
        response_format: Any = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> ChatCompletionResponse | AsyncChatCompletionStream:
        """Ask a model. What is None is not sent.

        Args:
            messages: of a conversation: ``Message``, mappings, or texts, which are a user's.
            stream: whether to get the text as it comes: then a ``AsyncChatCompletionStream`` is returned.
            user: whom the conversation is kept for.
            system_prompt: becomes the first system message.
            session_id: of a conversation that the server keeps, to go on with it; an answer's ``system_fingerprint``.
            metadata: kept with the conversation.
            tools: in OpenAI's form, or objects whose ``to_dict`` is.
            extra_body: further fields of the body, put over all others.

        Raises:
            ChatServerError: one of its classes, see ``exceptions``.
        """
        request = ChatCompletionRequest(
            model, [*message_dicts(messages)], temperature, max_tokens, top_p, stream, user, system_prompt
        )
        endpoint = endpoints.completion(
            request,
            metadata=metadata,
            session_id=session_id,
            organization_id=organization_id,
            workflow=workflow,
            variables=variables,
            allowed_tools=allowed_tools,
            setting_sources=setting_sources,
            mcp_servers=mcp_servers,
            tools=tools,
            tool_choice=tool_choice,
            response_format=response_format,
            extra_body=extra_body,
        )
        if stream:
            return AsyncChatCompletionStream(await self._connection.stream(endpoint.call))
        return await self._ask(endpoint)

    async def list_models(self) -> ModelsResponse:
        """The models that this key may use."""
        return await self._ask(endpoints.list_models())

    async def list_sessions(self, user_id: str, page: int = 1, page_size: int = 20) -> ChatSessionListResponse:
        """Conversations of a user, the one that was used last first.

        Args:
            page: counted from 1.
            page_size: 1 to 100.

        Raises:
            UnprocessableEntityError: the page or its size is out of bounds.
        """
        return await self._ask(endpoints.list_sessions(user_id, page, page_size))

    async def get_session(self, session_id: str, *, user_id: str) -> ChatSessionDetailResponse:
        """A conversation with its messages.

        Raises:
            NotFoundError: there is none, or it is another user's.
        """
        return await self._ask(endpoints.get_session(session_id, user_id))

    async def get_platform_stats(self) -> PlatformStats:
        """The platform in numbers; for platform administrators."""
        return await self._ask(endpoints.get_platform_stats())

    async def list_admins(self) -> AdminList:
        """Platform administrators: a dict with ``admins`` and ``count``; for platform administrators."""
        return await self._ask(endpoints.list_admins())

    async def add_admin(self, workos_id: str, email: str, name: str = "") -> AdminResponse:
        """Make somebody a platform administrator; for platform administrators."""
        return await self._ask(endpoints.add_admin(workos_id, email, name))

    async def remove_admin(self, email: str) -> AdminResponse:
        """Take the role of a platform administrator away; for platform administrators."""
        return await self._ask(endpoints.remove_admin(email))

    async def get_audit_log(self, limit: int = 50, offset: int = 0) -> AuditLogResponse:
        """What was done, the newest first; for platform administrators.

        Args:
            limit: 1 to 200.
        """
        return await self._ask(endpoints.get_audit_log(limit, offset))

    async def close(self) -> None:
        """Close every connection; an ``http_client`` that was passed in stays open."""
        await self._connection.close()

    async def aclose(self) -> None:
        """The same as ``close``."""
        await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return shown(self, self._connection.terms)

    async def _ask(self, endpoint: Endpoint[T]) -> T:
        return endpoint.result(await self._connection.fetch(endpoint.call))
