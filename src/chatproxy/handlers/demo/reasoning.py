"""What the demo model thinks before it speaks, where a client asks for reasoning: a few plain sentences.

Rule: it says how the answer comes about and nothing else; the same request gives the same thoughts.
"""

from __future__ import annotations

from collections.abc import Sequence

from chatproxy.handlers.demo.answers import quoted
from chatproxy.handlers.demo.ask import Ask

_MAX_QUOTE = 80
_MAX_NAMES = 5


def think(ask: Ask, called: Sequence[str]) -> str:
    """The reasoning of one choice.

    Args:
        called: names of the tools it calls.

    Returns:
        One sentence for ``minimal`` effort, two for ``low``, more for any other.
    """
    thoughts = [_task(ask), _means(ask), _decision(ask, called)]
    if ask.effort == "minimal":
        thoughts = thoughts[-1:]
    elif ask.effort == "low":
        thoughts = [thoughts[0], thoughts[-1]]
    return " ".join(thoughts)


def _task(ask: Ask) -> str:
    conversation = ask.conversation
    if conversation.tool_answers:
        return f"The answer of {_listed([said.name for said in conversation.tool_answers])} is here."
    text = conversation.text.strip()
    return f"The user says {quoted(text, _MAX_QUOTE)}." if text else "The user says nothing."


def _means(ask: Ask) -> str:
    if not ask.tools:
        return "There are no tools, so I work it out myself."
    if ask.tool_choice.mode == "none":
        return "There are tools, but I may not call any."
    return f"The tools at hand are {_listed([tool.name for tool in ask.tools])}."


def _decision(ask: Ask, called: Sequence[str]) -> str:
    if called:
        return f"So I call {_listed(called)}."
    if ask.format.kind != "text":
        return "So I answer in JSON."
    return "So I pass on what it says." if ask.conversation.tool_answers else "So I answer in words."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MAX_NAMES])
    return shown if len(names) <= _MAX_NAMES else f"{shown} and {len(names) - _MAX_NAMES} more"
