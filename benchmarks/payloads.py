"""What the clients send: one small conversation in each surface's words, as a whole HTTP request.

Rule: bytes only; connections are in ``http1``.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

PATHS: Mapping[str, str] = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "completions": "/v1/completions",
}
"""Where each measured surface is served, by every target that has it and by the upstream."""

_SYSTEM = "Answer briefly."


def surface_url(port: int, surface: str = "chat") -> str:
    """Return a surface's endpoint on a loopback port."""
    return f"http://127.0.0.1:{port}{PATHS[surface]}"


def render_request(
    url: str,
    *,
    model: str,
    stream: bool,
    surface: str = "chat",
    fields: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Render a whole request, head and body; ``fields`` are added to the body."""
    parts = urlsplit(url)
    content = {"model": model, **_conversation(surface, "p" * 400), "temperature": 0.5, **(fields or {})}
    body = msgspec.json.encode({**content, "stream": True} if stream else content)
    head = {
        "host": parts.netloc,
        "content-type": "application/json",
        "accept": "*/*",
        "authorization": "Bearer sk-bench",
        **(headers or {}),
        "content-length": str(len(body)),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"POST {parts.path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def _conversation(surface: str, prompt: str) -> dict[str, Any]:
    user = [{"role": "user", "content": prompt}]
    if surface == "responses":
        return {"instructions": _SYSTEM, "input": user}
    if surface == "messages":
        return {"max_tokens": 1024, "system": _SYSTEM, "messages": user}
    if surface == "completions":
        return {"prompt": prompt}
    return {"messages": [{"role": "system", "content": _SYSTEM}, *user]}
