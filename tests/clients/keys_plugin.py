"""A plugin that the gateways of these tests load from here: it knows two callers by their keys."""

from __future__ import annotations

from collections.abc import Mapping

from chatproxy import Principal, hookimpl

ALICE_KEY = "key-of-alice-2342"
BOB_KEY = "key-of-bob-1729"
CALLERS = {ALICE_KEY: "alice", BOB_KEY: "bob"}


@hookimpl
async def authenticate(headers: Mapping[str, str]) -> Principal | None:
    """Accept a key as OpenAI's libraries send it, or as Anthropic's do."""
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    caller = CALLERS.get(headers.get("x-api-key", bearer))
    return None if caller is None else Principal(id=caller)
