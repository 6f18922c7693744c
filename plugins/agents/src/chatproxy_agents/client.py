"""AgentClient: the five calls of agentapi, each with a deadline, and what goes wrong as one of `errors`.

One client for each exchange: an answer takes seconds, a client of one's own half a millisecond, and nothing of an
exchange that was broken off stays in a pool.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import certifi
import httpx

from chatproxy.errors import ApiError, Overloaded
from chatproxy_agents import wire
from chatproxy_agents.config import Agent, Basic, Bearer
from chatproxy_agents.errors import AgentFailed, AgentRefused, AgentTimeout
from chatproxy_agents.sse import SseDecoder

T = TypeVar("T")
_SHOWN_CHARS = 300
_SECRET_HEADER = re.compile(r"(?i)authorization|cookie|key|token|secret|password")
_NOT_WAITING = "waiting for user input"  # what agentapi says to a message while the agent works


def trust_of(agent: Agent) -> ssl.SSLContext | bool:
    """What a client checks certificates with; reads files."""
    if not agent.url.startswith("https://"):
        return False  # there is nothing to check, and the authorities take 20 ms to read
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not the default one, which heeds SSLKEYLOGFILE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not agent.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif agent.ca_file is not None:
        context.load_verify_locations(cafile=agent.ca_file)
    else:
        _trust_system(context)
    return context


def _trust_system(context: ssl.SSLContext) -> None:
    """The system's authorities, or certifi's where it has none."""
    context.load_default_certs()
    folder: str | None = ssl.get_default_verify_paths().capath
    has_folder = folder is not None and any(Path(folder).iterdir())
    if not has_folder and not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(cafile=certifi.where())


class AgentClient:
    """A context manager; leaving it closes all connections.

    Args:
        name: of the agent, for messages.
        trust: as `trust_of` gives it.
        headers: more for each request, for example ``traceparent``.
        redact: takes secrets out of what the server says.
    """

    def __init__(
        self,
        name: str,
        agent: Agent,
        trust: ssl.SSLContext | bool,
        *,
        headers: Mapping[str, str] | None = None,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._name = name
        self._redact = redact
        self._agent = agent
        self._http = httpx.AsyncClient(
            verify=trust,
            trust_env=False,
            follow_redirects=False,
            headers={
                "accept-encoding": "identity", "user-agent": "chatproxy-agents", **agent.headers, **(headers or {}),
                **_credential(agent),
            },
            timeout=httpx.Timeout(None, connect=agent.connect_timeout_s, pool=agent.connect_timeout_s),
            limits=httpx.Limits(max_connections=8, max_keepalive_connections=2),
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def status(self) -> wire.StatusReport:
        """Whether the agent works."""
        return await self._ask("GET", "/status", wire.StatusReport)

    async def messages(self) -> list[wire.Message]:
        """The whole conversation."""
        return (await self._ask("GET", "/messages", wire.Messages)).messages

    async def send(self, content: str, kind: Literal["user", "raw"] = "user") -> None:
        """Type a message, or keys.

        Raises:
            Overloaded: the agent works, and did not take it (503).
        """
        sent = await self._ask("POST", "/message", wire.Sent, json={"content": content, "type": kind})
        if not sent.ok:
            raise AgentRefused(f"The agent '{self._name}' did not take the message.")

    async def upload(self, name: str, data: bytes) -> str:
        """Store a file beside the agent; its path there."""
        files = {"file": (name, data, "application/octet-stream")}
        stored = await self._ask("POST", "/upload", wire.Uploaded, files=files)
        if not stored.ok or not stored.path.strip() or not stored.path.isprintable() or len(stored.path) > 4096:
            raise AgentFailed(f"The agent '{self._name}' did not store a file.", code="agent_upload_failed")
        return stored.path

    async def events(self) -> AsyncGenerator[wire.MessageUpdate | wire.StatusReport, None]:
        """What happens, from the state before on; close it. It ends when the agent closes it."""
        decoder = SseDecoder(self._agent.max_response_bytes)
        async with self._opened("GET", "/events", headers={"accept": "text/event-stream"}) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise self._unreadable("the answer to /events is no event stream")
            async for data in response.aiter_raw():
                for event in self._decoded(decoder, data):
                    yield event

    def _decoded(self, decoder: SseDecoder, data: bytes) -> list[wire.MessageUpdate | wire.StatusReport]:
        try:
            return [told for event in decoder.feed(data) if (told := wire.event_of(event)) is not None]
        except ValueError as exc:
            raise self._unreadable(f"an event: {exc}") from exc

    async def _ask(self, method: str, path: str, kind: type[T], **options: Any) -> T:
        limit_s = self._agent.request_timeout_s
        try:
            async with asyncio.timeout(limit_s), self._opened(method, path, **options) as response:
                body = await self._read(response)
        except TimeoutError as exc:
            raise AgentTimeout(f"The agent '{self._name}' did not answer {path} for {limit_s:g} s.") from exc
        try:
            return wire.decode(body, kind)
        except ValueError as exc:
            raise self._unreadable(f"the answer to {path}: {exc}") from exc

    @asynccontextmanager
    async def _opened(self, method: str, path: str, **options: Any) -> AsyncIterator[httpx.Response]:
        url = self._agent.url.rstrip("/") + path
        try:
            async with self._http.stream(method, url, **options) as response:
                if response.status_code != 200:
                    raise self._wrong_status(path, response.status_code, await self._read(response))
                yield response
        except httpx.TimeoutException as exc:
            raise AgentTimeout(f"The agent '{self._name}' cannot be reached.", code="agent_unreachable") from exc
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as exc:
            raise AgentFailed(f"The agent '{self._name}' cannot be reached.", code="agent_unreachable") from exc
        except (httpx.TransportError, httpx.DecodingError) as exc:
            raise AgentFailed(f"The agent '{self._name}' broke off.", code="agent_disconnected") from exc

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for data in response.aiter_raw():
            body += data
            if len(body) > self._agent.max_response_bytes:
                raise self._unreadable(f"an answer of more than {self._agent.max_response_bytes} bytes")
        return bytes(body)

    def _wrong_status(self, path: str, status: int, body: bytes) -> ApiError:
        said = self._redact(" ".join(wire.problem_of(body).split()))[:_SHOWN_CHARS]
        if path == "/message" and _NOT_WAITING in said:
            return Overloaded(f"The agent '{self._name}' works on something else.", code="agent_busy")
        message = f"The agent '{self._name}' answered {path} with {status}{': ' + said if said else '.'}"
        if 400 <= status < 500 and status not in {401, 403, 404, 407}:
            return AgentRefused(message)
        return AgentFailed(message, code="agent_status")

    def _unreadable(self, what: str) -> AgentFailed:
        message = f"The agent '{self._name}' gave what cannot be read: {what[:_SHOWN_CHARS]}"
        return AgentFailed(message, code="agent_invalid_answer")


def secrets_of(agent: Agent) -> list[str]:
    """What must be shown to nobody."""
    kept = [value for name, value in agent.headers.items() if _SECRET_HEADER.search(name)]
    if isinstance(agent.auth, Basic):
        kept.append(agent.auth.password)
    return [*kept, *(value.partition(" ")[2] for value in _credential(agent).values())]


def _credential(agent: Agent) -> dict[str, str]:
    if isinstance(agent.auth, Bearer):
        return {"authorization": f"Bearer {agent.auth.token}"}
    if isinstance(agent.auth, Basic):
        request = next(httpx.BasicAuth(agent.auth.username, agent.auth.password).auth_flow(httpx.Request("GET", "x:")))
        return {"authorization": request.headers["authorization"]}
    return {}
