"""What the demo model says: a few short sentences, the same for the same request.

Rule: texts only; tools, limits and shapes are elsewhere.
"""

from __future__ import annotations

import re
from zlib import crc32

from chatproxy.handlers.demo.arithmetic import find_sum, work_out
from chatproxy.handlers.demo.conversation import Conversation, ToolAnswer

_MAX_COUNT = 1000
_MAX_QUOTE = 400
_MAX_READ = 2000
_MAX_TOOL_QUOTE = 4000
_COUNT = re.compile(r"\bcount\s+(?:up\s+)?(?:from\s+(\d{1,6})\s+)?(?:up\s+)?to\s+(\d{1,9})\b", re.IGNORECASE)
_REPEAT = re.compile(
    r"(?:please\s+)?(?:echo|repeat(?:\s+after\s+me)?|say|(?:reply|answer|respond)\s+(?:only\s+)?with)\b\s*:?\s*(.+)$",
    re.IGNORECASE | re.DOTALL,
)
_GREETING = re.compile(r"^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening)|greetings)\b[^?]{0,40}$", re.IGNORECASE)
_ABOUT = re.compile(r"\b(?:who are you|what are you|what can you do|what model are you|^help$)\b", re.IGNORECASE)
_SELF = "I am chatproxy's offline demo model: no key, no network, and the same answer every time."
_HINT = "I am chatproxy's offline demo model; connect an upstream for real answers."
_SKILLS = (
    'I can count ("count to 5"), do sums ("what is 6 * 7"), repeat ("say good morning"), '
    "call the tools you offer and fill a JSON schema."
)
_OPENINGS = (
    "You said: {text}.",
    "I read: {text}.",
    "Your message was: {text}.",
    "Here is what reached me: {text}.",
)
_ATTACHED = {"image_url": "image", "input_audio": "audio clip", "file": "file"}


def answer(conversation: Conversation, *, seed: int | None, variant: int) -> str:
    """The text for one choice.

    Args:
        variant: the choice's index; every one says something else.
    """
    if conversation.tool_answers:
        said = _from_tools(conversation.tool_answers)
    else:
        said = _exact(conversation.text) or _restated(conversation, seed=seed)
    received = _received(conversation.attachments)
    said = f"{received} {said}" if received and not conversation.tool_answers else said
    return said if variant == 0 else f"{variant + 1}: {said}"


def quoted(text: str, limit: int = _MAX_QUOTE) -> str:
    """The text in quotation marks, cut to ``limit`` characters."""
    text = text.strip()
    return f'"{text}"' if len(text) <= limit else f'"{text[:limit].rstrip()}…"'


def _from_tools(answers: list[ToolAnswer]) -> str:
    parts = [f"{said.name} answered: {quoted(said.text, _MAX_TOOL_QUOTE)}" for said in answers]
    return "The tool " + "; ".join(parts) + "."


def _exact(text: str) -> str | None:
    """An answer to what the model can really do; None for everything else."""
    text = text.strip()
    start = text[:_MAX_READ]
    if match := _COUNT.search(start):
        return _counted(int(match[1] or 1), int(match[2]))
    if (expression := find_sum(start)) and (result := work_out(expression)) is not None:
        return f"{' '.join(expression.split())} = {result}"
    if match := _REPEAT.match(text):
        words = match[1].strip()
        is_quoted = len(words) > 2 and words[0] == words[-1] and words[0] in "\"'`"
        return words[1:-1] if is_quoted else words
    if _GREETING.match(start):
        return f"Hello! {_SELF} Ask me something."
    if _ABOUT.search(start):
        return f"{_SELF} {_SKILLS}"
    return None


def _counted(first: int, last: int) -> str:
    if last - first >= _MAX_COUNT:
        return f"That is a long way; I stop counting after {_MAX_COUNT} numbers. {_counted(first, first + 9)}"
    step = 1 if last >= first else -1
    if step < 0 and first - last >= _MAX_COUNT:
        return f"That is a long way down from {first} to {last}."
    return ", ".join(map(str, range(first, last + step, step)))


def _restated(conversation: Conversation, *, seed: int | None) -> str:
    if not conversation.text.strip():
        return f"Hello! {_SELF}"
    turn = crc32(f"{seed}/{conversation.text}".encode()) % len(_OPENINGS)
    said = _OPENINGS[turn].format(text=quoted(conversation.text))
    if conversation.instructions.strip():
        said += f" My instructions: {quoted(conversation.instructions)}."
    return f"{said} {_HINT}"


def _received(attachments: dict[str, int]) -> str:
    if not attachments:
        return ""
    counted = [f"{count} {_ATTACHED[kind]}{'' if count == 1 else 's'}" for kind, count in attachments.items()]
    return f"I received {' and '.join(counted)}."
