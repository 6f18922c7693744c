"""A conversation as a file: JSON that can be sent again, or Markdown to read."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chatproxy_sdk.cli.faults import CommandError
from chatproxy_sdk.messages import Message

MODE = 0o600


def save(path: Path, messages: Sequence[Message], *, model: str | None, may_replace: bool) -> None:
    """Write the conversation, for its owner's eyes only.

    Args:
        path: ``.json`` gives the body of a request, ``.md`` a text.
        may_replace: whether a file that is there is replaced; as a whole or not at all.

    Raises:
        CommandError: the suffix is another, there is nothing to save, or there is such a file.
        OSError: it cannot be written.
    """
    if not messages:
        raise CommandError("there is nothing to save yet")
    if path.suffix.lower() == ".json":
        body = {"model": model, "messages": [message.to_dict() for message in messages]}
        text = json.dumps(body, ensure_ascii=False, indent=2) + "\n"
    elif path.suffix.lower() in {".md", ".markdown"}:
        text = _markdown(messages, model)
    else:
        raise CommandError("the path must end in .json or .md")
    _write(path, text.encode(errors="replace"), may_replace=may_replace)


def _write(path: Path, content: bytes, *, may_replace: bool) -> None:
    target = path.with_name(f".{path.name}.{secrets.token_hex(4)}") if may_replace else path
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    except FileExistsError as exc:
        raise CommandError(f"{path} is there already; /save! {path} replaces it") from exc
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        if may_replace:
            target.replace(path)
    except OSError:
        target.unlink(missing_ok=True)
        raise


def _markdown(messages: Sequence[Message], model: str | None) -> str:
    parts = [f"# Conversation with {model or 'a model'}"]
    for message in messages:
        parts.append(f"## {message.role.capitalize()}")
        parts += [_part(part) for part in _parts(message.content)]
        parts += [
            f"Calls `{call.function.name}`:\n\n```json\n{call.function.arguments}\n```"
            for call in message.tool_calls or ()
            if call.function.name
        ]
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _parts(content: str | list[Any] | None) -> list[Any]:
    return [content] if isinstance(content, str) else list(content or ())


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        return ""
    if isinstance(part.get("text"), str):
        return str(part["text"])
    source = part.get(str(part.get("type")))
    url = source.get("url", "") if isinstance(source, Mapping) else ""
    kind = str(part.get("type", "something")).removesuffix("_url")
    return f"({kind}: {url})" if url.startswith("http") else f"({kind})"
