"""A chat handler as a decorated function, with a state that it finds again in the next turn of the same session."""

import os
from collections.abc import AsyncIterator
from typing import Any

from chatproxy_kit import ChatKit, ChatKitError, State

ck = ChatKit(path="/chatkit", cors_origins=["http://localhost:3000"])


class Turns(State):
    """Kept for each session."""

    name: str = ""
    count: int = 0


@ck.handler(state_class=Turns)
async def greet(messages: list[dict[str, Any]], context: Any, state: Turns) -> AsyncIterator[str]:
    """Each text that it yields goes out at once; the state is saved when it is done."""
    said = messages[-1]["content"]
    if not isinstance(said, str):
        raise ChatKitError("I read texts only.", code="invalid_request")
    state.count += 1
    if said.startswith("I am "):
        state.name = said.removeprefix("I am ").rstrip(".")
    yield f"Hello {state.name or 'stranger'}! "
    yield f"This is message {state.count} of session {context['session_id']}."


@ck.on_startup()
async def started() -> None:
    """Called once, before the first request."""
    print("The kit is ready.", flush=True)


app = ck.app

if __name__ == "__main__":
    ck.run(host=os.environ.get("PROXY_HOST", "127.0.0.1"), port=int(os.environ.get("PROXY_PORT", "8765")))
