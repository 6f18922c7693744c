"""Two variants of a model, each for a share of the users; a user always meets the same one."""

import hashlib
from typing import Any, NamedTuple

import uvicorn

from chatproxy import ChatCompletionServer, ProxyHandler

EXPERIMENT = "answers-2026-11"  # another name deals the users anew


class Variant(NamedTuple):
    """What differs, and for how many of a hundred users."""

    model: str
    instructions: str
    percent: int


VARIANTS = [Variant("assistant-a", "Answer in one sentence.", 80), Variant("assistant-b", "Answer in a list.", 20)]


def variant_of(user: str) -> Variant:
    """The same for the same user in every process; a larger share takes users from the variants after it only."""
    place = int.from_bytes(hashlib.sha256(f"{EXPERIMENT}:{user}".encode()).digest()[:8], "big") % 100
    for variant in VARIANTS:
        place -= variant.percent
        if place < 0:
            return variant
    return VARIANTS[-1]


class SplitHandler(ProxyHandler):
    """Asks the user's variant; the model's name in answer, log and telemetry says which it was."""

    backend = "demo"  # what super().execute asks; without this line the default upstream

    async def execute(self, params: Any) -> Any:
        """Who names no user is known by the first words of the conversation, so that it stays with one variant."""
        first = next((text.value for text in params.texts() if text.role == "user"), "")
        variant = variant_of(str(params.get("user") or first))
        params["model"] = variant.model
        params.instruct(variant.instructions)
        return await super().execute(params)


server = ChatCompletionServer(handler=SplitHandler())
app = server.app

if __name__ == "__main__":
    uvicorn.run(app, host=server.config.host, port=server.config.port)
