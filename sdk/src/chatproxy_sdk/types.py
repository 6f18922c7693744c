"""What ``ChatServerClient`` sends and returns.

Each class has exactly the documented fields; what else a server sends is kept beside them (see ``records``).

Rule: no I/O here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self, TypedDict

from chatproxy_sdk._core.leniency import sound_choice
from chatproxy_sdk.messages import Message, MessageLike, MessageRole, message_dicts
from chatproxy_sdk.records import Record


@dataclass
class ChatCompletionRequest(Record):
    """A chat completion as it is asked for; what is None is not sent."""

    model: str
    messages: list[MessageLike]
    temperature: float | None = 0.7
    max_tokens: int | None = 4000
    top_p: float | None = 1.0
    stream: bool = False
    user: str | None = None
    system_prompt: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """A request's body.

        Raises:
            TypeError: a message is no ``Message``, mapping or text.
        """
        return {**super().to_dict(), "messages": message_dicts(self.messages)}


@dataclass
class UsageInfo(Record):
    """Tokens of one completion."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The counts that a JSON object stands for; one that is no whole number is 0."""
        return super().from_dict(_counts(data))


@dataclass
class ChatCompletionChoice(Record):
    """One of the answers of a completion."""

    index: int = 0
    message: Message = field(kw_only=True)
    finish_reason: str | None = None


@dataclass
class ChatCompletionResponse(Record):
    """A whole completion.

    Attributes:
        created: Unix time in seconds; 0 where the server does not say.
        usage: zeros where the server does not count.
        system_fingerprint: the id of the session, if chatproxy's platform or a ChatServer answered.
    """

    id: str = ""
    object: str = "chat.completion"
    created: int = 0
    model: str = ""
    choices: list[ChatCompletionChoice] = field(kw_only=True)
    usage: UsageInfo = field(default_factory=UsageInfo)
    system_fingerprint: str | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The completion that a JSON object stands for; only ``choices`` and their messages must be there."""
        sound = _lenient(data, "id", "object", "created", "model", "usage")
        if isinstance(sound.get("choices"), list):
            sound["choices"] = [sound_choice(choice) for choice in sound["choices"]]
        if isinstance(sound.get("usage"), Mapping):
            sound["usage"] = _counts(sound["usage"])
        found = super().from_dict(sound)
        for choice, sent in zip(found.choices, sound["choices"], strict=True):
            if "role" not in sent["message"]:
                choice.message.role = MessageRole.ASSISTANT
        return found


@dataclass
class ModelInfo(Record):
    """A model that can be asked.

    Attributes:
        created: Unix time in seconds; 0 where the server does not say.
        provider: who runs it.
        context_length: in tokens.
    """

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str = ""
    provider: str | None = None
    capabilities: list[str] = field(default_factory=list)
    description: str | None = None
    context_length: int | None = None


@dataclass
class ModelsResponse(Record):
    """The models of a server."""

    data: list[ModelInfo]
    object: str = "list"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The list that a JSON object stands for; of a model only its ``id`` must be there."""
        models = data.get("data")
        if isinstance(models, list):
            models = [_lenient(one, "object", "created", "owned_by", "capabilities") for one in models]
        return super().from_dict({**data, "data": models})


@dataclass
class ChatSessionSummary(Record):
    """A conversation that the server keeps."""

    id: str
    user_id: str
    created_at: datetime = field(kw_only=True)
    updated_at: datetime = field(kw_only=True)
    organization_id: str | None = None
    title: str | None = None
    model: str | None = None
    agent_type: str | None = None
    last_message_at: datetime | None = None
    message_count: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_total: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    archived: bool = False


@dataclass
class ChatSessionListResponse(Record):
    """One page of conversations, the one that was used last first; ``total`` is of all pages."""

    sessions: list[ChatSessionSummary]
    total: int
    page: int
    page_size: int
    has_more: bool


@dataclass
class ChatMessageRecord(Record):
    """One message of a conversation that the server keeps.

    Attributes:
        message_index: its place, counted from 0.
        content: text, or parts.
        metadata: what else it has; ``metadata["message"]``: tool calls and the like.
    """

    id: str
    session_id: str
    message_index: int
    role: str
    content: Any
    created_at: datetime
    updated_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    tokens: int | None = None


@dataclass
class ChatSessionDetailResponse(Record):
    """A conversation with its messages in order."""

    session: ChatSessionSummary
    messages: list[ChatMessageRecord]


@dataclass
class SystemHealth(Record):
    """How the server is doing."""

    status: str
    circuit_breaker_status: str | None = None
    active_agents: list[Any] = field(default_factory=list)


@dataclass
class PlatformStats(Record):
    """The platform in numbers; ``today`` begins at midnight UTC."""

    total_users: int
    active_users: int
    total_organizations: int
    total_requests: int
    requests_today: int
    total_tokens: int
    tokens_today: int
    total_mcp_servers: int
    system_health: SystemHealth


@dataclass
class AdminInfo(Record):
    """A platform administrator; its fields can also be read as ``admin["email"]``."""

    id: str
    email: str | None = None
    name: str | None = None
    created_at: datetime | None = None
    created_by: str | None = None

    def __getitem__(self, name: str) -> Any:
        fields = {**self.__dict__, **self.unknown_fields}
        return fields[name]


class AdminList(TypedDict):
    """Platform administrators; ``count`` is of all that there are."""

    admins: list[AdminInfo]
    count: int


@dataclass
class AdminResponse(Record):
    """Whose role was changed."""

    status: str
    email: str


@dataclass
class AuditEntry(Record):
    """One act on record: who did what to what."""

    id: str
    timestamp: datetime
    user_id: str | None = None
    org_id: str | None = None
    action: str = field(kw_only=True)
    resource: str | None = None
    resource_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class AuditLogResponse(Record):
    """Some acts, the newest first; ``count`` is of all that there are."""

    entries: list[AuditEntry]
    count: int
    limit: int
    offset: int


def _counts(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Usage without the counts that are none; a completion is worth more than they are."""
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {name: value for name, value in usage.items() if name not in names or type(value) is int}


def _lenient(data: Any, *names: str) -> Any:
    """A JSON object as other servers mean it: null for "not there", and a time with a fraction."""
    if not isinstance(data, Mapping):
        return data
    found = {name: value for name, value in data.items() if value is not None or name not in names}
    if isinstance(found.get("created"), float):
        found["created"] = int(found["created"])
    return found
