"""The endpoints of a ChatServer: what is asked for, and what its answer is read as. Both clients use them.

Rule: no I/O here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar, Unpack
from urllib.parse import quote

from chatproxy_sdk import types
from chatproxy_sdk._core.faults import FaultError
from chatproxy_sdk._core.terms import Answer, Call
from chatproxy_sdk.exceptions import server_error
from chatproxy_sdk.records import Record

T = TypeVar("T")
R = TypeVar("R", bound=Record)
SESSIONS = "/atoms/chat/sessions"
PLATFORM = "/api/v1/platform"


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[T]):
    """One request, and how the JSON of its answer is read.

    Attributes:
        read: raises ValueError where the JSON is not what it should be.
    """

    call: Call
    read: Callable[[Any], T]

    def result(self, answer: Answer) -> T:
        """What the answer says.

        Raises:
            InvalidResponseError: it is no JSON, or not of the shape that this endpoint has.
        """
        try:
            return self.read(answer.json())
        except FaultError as exc:
            raise server_error(exc.fault) from exc.__cause__
        except ValueError as exc:
            raise server_error(answer.unreadable(f"the answer cannot be read: {exc}")) from exc


class CompletionOptions(TypedDict, total=False):
    """What ``create_completion`` takes by name only."""

    session_id: str | None
    metadata: Mapping[str, Any] | None
    organization_id: str | None
    workflow: Any
    variables: Mapping[str, Any] | None
    allowed_tools: Sequence[str] | None
    setting_sources: Sequence[str] | None
    mcp_servers: Any
    tools: Sequence[Any] | None
    tool_choice: Any
    response_format: Any
    extra_body: Mapping[str, Any] | None


# These are fields of the body; of the other options, all but ``metadata`` and ``extra_body`` travel in ``metadata``.
_BODY_FIELDS = {"tools", "tool_choice", "response_format"}


def completion(
    request: types.ChatCompletionRequest, **options: Unpack[CompletionOptions]
) -> Endpoint[types.ChatCompletionResponse]:
    """``POST /v1/chat/completions``; what is None is left out.

    The caller's own ``metadata`` gives way to what is named; ``extra_body`` is put over all of it.
    """
    call = Call(method="POST", path="/v1/chat/completions", body=_completion_body(request, options))
    return Endpoint(call, _reads(types.ChatCompletionResponse))


def list_models() -> Endpoint[types.ModelsResponse]:
    """``GET /v1/models``."""
    return Endpoint(Call(method="GET", path="/v1/models"), _reads(types.ModelsResponse))


def list_sessions(user_id: str, page: int, page_size: int) -> Endpoint[types.ChatSessionListResponse]:
    """``GET /atoms/chat/sessions``."""
    query = {"user_id": user_id, "page": page, "page_size": page_size}
    return Endpoint(Call(method="GET", path=SESSIONS, query=query), _reads(types.ChatSessionListResponse))


def get_session(session_id: str, user_id: str) -> Endpoint[types.ChatSessionDetailResponse]:
    """``GET /atoms/chat/sessions/{id}``."""
    call = Call(method="GET", path=f"{SESSIONS}/{_segment('session_id', session_id)}", query={"user_id": user_id})
    return Endpoint(call, _reads(types.ChatSessionDetailResponse))


def get_platform_stats() -> Endpoint[types.PlatformStats]:
    """``GET /api/v1/platform/stats``."""
    return Endpoint(Call(method="GET", path=f"{PLATFORM}/stats"), _reads(types.PlatformStats))


def list_admins() -> Endpoint[types.AdminList]:
    """``GET /api/v1/platform/admins``."""
    return Endpoint(Call(method="GET", path=f"{PLATFORM}/admins"), _admin_list)


def add_admin(workos_id: str, email: str, name: str) -> Endpoint[types.AdminResponse]:
    """``POST /api/v1/platform/admins``."""
    body = {"workos_id": workos_id, "email": email, "name": name}
    return Endpoint(Call(method="POST", path=f"{PLATFORM}/admins", body=body), _reads(types.AdminResponse))


def remove_admin(email: str) -> Endpoint[types.AdminResponse]:
    """``DELETE /api/v1/platform/admins/{email}``."""
    call = Call(method="DELETE", path=f"{PLATFORM}/admins/{_segment('email', email)}")
    return Endpoint(call, _reads(types.AdminResponse))


def get_audit_log(limit: int, offset: int) -> Endpoint[types.AuditLogResponse]:
    """``GET /api/v1/platform/audit``."""
    query = {"limit": limit, "offset": offset}
    return Endpoint(Call(method="GET", path=f"{PLATFORM}/audit", query=query), _reads(types.AuditLogResponse))


def _completion_body(request: types.ChatCompletionRequest, options: CompletionOptions) -> dict[str, Any]:
    named: dict[str, Any] = {"user_id": request.user, **options}
    metadata, extra_body = named.pop("metadata", None), named.pop("extra_body", None)
    sent = {name: _sent(value) for name, value in named.items() if value is not None}
    body = request.to_dict() | {name: sent.pop(name) for name in _BODY_FIELDS & sent.keys()}
    if merged := {**(metadata or {}), **sent}:
        body["metadata"] = merged
    if request.stream:
        body["stream_options"] = {"include_usage": True}
    return {**body, **(extra_body or {})}


def _reads(kind: type[R]) -> Callable[[Any], R]:
    return lambda data: kind.from_dict(_object(data))


def _admin_list(data: Any) -> types.AdminList:
    found = _object(data)
    admins, count = found.get("admins"), found.get("count")
    if not isinstance(admins, list) or type(count) is not int:
        raise ValueError("AdminList: expected `admins`, an array, and `count`, a number")
    return {"admins": [types.AdminInfo.from_dict(_object(admin)) for admin in admins], "count": count}


def _object(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"expected a JSON object, found {type(data).__name__}")  # noqa: TRY004 - the answer is at fault
    return data


def _sent(value: Any) -> Any:
    """A value as JSON takes it: tools and the like may be objects that have ``to_dict``."""
    if isinstance(value, (Mapping, str)):
        return value
    if isinstance(value, Sequence):
        return [_sent(one) for one in value]
    to_dict = getattr(value, "to_dict", None)
    return value if to_dict is None else to_dict()


def _segment(name: str, value: Any) -> str:
    """A value as one segment of a path.

    Raises:
        ValueError: it is empty, or means another path; a request would go elsewhere.
    """
    if not isinstance(value, str) or value in {"", ".", ".."}:
        raise ValueError(f"{name} must be a text that names something, found {value!r}")
    return quote(value, safe="")
