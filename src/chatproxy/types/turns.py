"""Turns: what a tool loop needs to know of a surface; one instance for each surface that has tools.

Rule: declarations only. Several answers of a model become one for the client (`Joining`), and what the client could not
see of them is put back into its next request (`Turns.resume`). Plugins use both by `Rounds` and `ChatRequest`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from chatproxy.types.model import ToolCall, ToolResult

Json = dict[str, Any]


class Joining(Protocol):
    """The rounds of one exchange as one answer: all of them streamed (`take`), or all of them whole (`add`).

    What the client gets of several rounds: their texts in order, the calls that are not hidden, the id, the model and
    the time of the first round, the end of the last one, and token counts summed over all.
    """

    def take(self, data: Json) -> list[Json] | None:
        """The next event of the current round.

        Returns:
            What goes out now. None: the event as it is, byte for byte. Calls that are hidden and the events that end
            the round stay behind.
        """

    def add(self, body: Json) -> None:
        """The current round, whole; it is not changed."""

    def turn(self) -> Json:
        """The current round as the model said it, in the buffered form, with the calls that are hidden.

        It is what `ChatRequest.answer_calls` puts into the conversation: nothing is missing that the next round's model
        must see again (reasoning and its signatures included).
        """

    def go_on(self) -> None:
        """The current round is over and another one follows; of its end nothing goes out but its token counts."""

    def show(self, item: Json, *, is_done: bool) -> list[Json]:
        """An item that the gateway itself adds to the answer between two rounds, where the surface has such items.

        Args:
            is_done: False: it begins (its ``status`` says so); True: it is whole, whether it had begun or not.

        Returns:
            The events that say so; none where the surface has no such items, and none where rounds are whole.
        """

    def end(self, finish_reason: str | None) -> list[Json]:
        """The events that end the stream, after the last round.

        Args:
            finish_reason: in chat's words; None: the last round's own.
        """

    def result(self, finish_reason: str | None) -> Json:
        """The whole answer, where the rounds were whole; ``finish_reason`` as in `end`."""


class Turns(Protocol):
    """What a surface's conversation says about tool calls and their results."""

    def joining(self, hides: Callable[[str], bool]) -> Joining:
        """A new `Joining`. ``hides(name)``: whether the client does not get calls of this tool."""

    def may_call(self, reply: Any) -> bool:
        """Whether a buffered reply may hold a call of any kind; False is certain, and nothing is decoded."""

    def other_calls(self, reply: Any) -> list[str]:
        """Ids of calls in a buffered reply that only a client can answer: of no function, or of the API's own tools."""

    def calls(self, request: Any) -> dict[str, ToolCall]:
        """The calls of functions that stand in a conversation, by id; the last of those that share one."""

    def answers(self, request: Any) -> dict[str, Any]:
        """What the conversation says in answer to tool calls: content (as it stands there) by the call's id.

        Nothing is decoded where the conversation holds none.
        """

    def set_answer(self, request: Any, call_id: str, result: ToolResult) -> None:
        """Put a result in place of what the conversation says in answer to a call."""

    def resume(self, request: Any, trails: Mapping[str, list[Json]]) -> None:
        """Put what earlier exchanges hid back into the conversation.

        Args:
            trails: by the id of a call that the client was given: the entries that exchange had added to the
                conversation (`ChatRequest.messages` of the surface), from its first round to the turn that holds the
                call, and the results of hidden calls of that turn. They take the place of the turn as the client kept
                it. A trail's call that the client did not keep leaves with it.
        """
