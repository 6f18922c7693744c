"""Transcript: a request's messages as an agent can be told them: texts and files.

Rule: no I/O. What a terminal would take for a key is taken out of the texts here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from chatproxy import ChatRequest
from chatproxy.errors import InvalidRequest
from chatproxy_agents.config import Agent
from chatproxy_agents.files import File, file_of

_KEYS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COMMANDS = ("/", "!", "#")
_LABELS = {"user": "User", "assistant": "Assistant", "tool": "Tool result", "function": "Tool result"}
_INSTRUCTIONS = {"system", "developer"}
_ANEW = "A new conversation begins here; what was said before does not belong to it."


class Entry(NamedTuple):
    """One message; ``parts`` are texts and files in their order."""

    role: str
    parts: tuple[str | File, ...]

    @property
    def is_instruction(self) -> bool:
        """Whether it is the developer's word."""
        return self.role in _INSTRUCTIONS

    @property
    def files(self) -> list[File]:
        """Those it carries."""
        return [part for part in self.parts if isinstance(part, File)]

    def text(self, names: Mapping[int, str]) -> str:
        """With files as they are named, by `id`."""
        return "\n".join(part if isinstance(part, str) else names[id(part)] for part in self.parts).strip()


def entries_of(request: ChatRequest, agent: Agent) -> list[Entry]:
    """Read a request.

    Raises:
        InvalidRequest: it holds nothing to say, or what an agent cannot do (400).
    """
    _check_wishes(request)
    entries = [_entry(message, f"messages[{at}]", agent) for at, message in enumerate(request.messages)]
    if not entries or not any(part if isinstance(part, str) else True for part in entries[-1].parts):
        raise InvalidRequest("'messages' must end with a message that says something.", param="messages")
    return entries


def _check_wishes(request: ChatRequest) -> None:
    """An agent runs its own tools and gives one answer."""
    if request.get("n") not in {None, 1}:
        raise InvalidRequest("An agent gives one answer: 'n' must be 1.", param="n", code="unsupported_value")
    choice = request.get("tool_choice")
    if choice is not None and choice not in ("auto", "none"):
        message = "An agent runs its own tools: 'tool_choice' must be 'auto' or 'none'."
        raise InvalidRequest(message, param="tool_choice", code="unsupported_value")


def _entry(message: Any, param: str, agent: Agent) -> Entry:
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise InvalidRequest(f"{param} must be an object with a 'role'.", param=param)
    content = message.get("content")
    if content is None or isinstance(content, str):
        return Entry(message["role"], (_typed(content),) if content else ())
    if not isinstance(content, list):
        raise InvalidRequest(f"{param}.content must be a text or an array of parts.", param=f"{param}.content")
    return Entry(
        message["role"], tuple(_part(part, f"{param}.content[{at}]", agent) for at, part in enumerate(content))
    )


def _part(part: Any, param: str, agent: Agent) -> str | File:
    if isinstance(part, Mapping):
        for key in ("text", "refusal"):
            if part.get("type") == key and isinstance(part.get(key), str):
                return _typed(part[key])
        found = file_of(part, max_bytes=agent.max_upload_bytes, param=param)
        if found is not None:
            return found if isinstance(found, File) else _typed(found)
    raise InvalidRequest(f"{param} is no text, image, audio or file.", param=param)


def _typed(text: str) -> str:
    """A text that types nothing but itself: no escape sequence ends the paste, no return sends it."""
    return _KEYS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def digest_of(entries: Sequence[Entry], seed: str) -> str:
    """Stands for these messages; line breaks and spaces do not count. ``seed`` keeps owners apart."""
    digest = blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=16)
    for entry in entries:
        for part in (entry.role, *entry.parts):
            data = part.data if isinstance(part, File) else " ".join(part.split()).encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        digest.update(b"\xff" * 8)
    return digest.hexdigest()


def last_turn(entries: Sequence[Entry]) -> int:
    """Where the messages behind the model's last one begin."""
    for at in range(len(entries) - 1, -1, -1):
        if entries[at].role == "assistant":
            return at + 1
    return 0


def prompt_of(entries: Sequence[Entry], names: Mapping[int, str], *, whole: bool, anew: bool) -> str:
    """The message for the agent.

    Args:
        names: of the files, by `id`.
        whole: the entries are a conversation, of which the agent knows nothing; else they go on with what it knows.
        anew: the agent knows another conversation.
    """
    said = [_labelled(entry, names) for entry in entries if not entry.is_instruction]
    told = [entry.text(names) for entry in entries if entry.is_instruction]
    last = entries[-1].text(names) if entries[-1].role == "user" else said[-1] if said else ""
    earlier = said[:-1]
    parts = [_ANEW] if anew else []
    parts += told
    if earlier and whole:
        parts.append("The conversation so far:\n\n" + "\n\n".join(earlier))
    elif earlier:
        parts += earlier
    return "\n\n".join(part for part in (*parts, last) if part).strip()


def guarded(prompt: str, agent: Agent) -> str:
    """The message as it is typed.

    Raises:
        InvalidRequest: it is empty or too long (400).
    """
    if agent.commands == "quote" and prompt.startswith(_COMMANDS):
        prompt = f"Message:\n{prompt}"
    if not prompt:
        raise InvalidRequest("'messages' say nothing that an agent could be told.", param="messages")
    if len(prompt) > agent.max_prompt_chars:
        message = f"The messages have {len(prompt)} characters, this agent takes {agent.max_prompt_chars} at once."
        raise InvalidRequest(message, param="messages", code="context_length_exceeded")
    return prompt


def _labelled(entry: Entry, names: Mapping[int, str]) -> str:
    return f"{_LABELS.get(entry.role, entry.role)}: {entry.text(names)}"
