"""Keys: a plugin of the tests that knows two callers by their keys, in whichever header they come."""

from __future__ import annotations

from collections.abc import Mapping

from chatproxy import Principal, hookimpl

CALLERS = {"key-of-alice-1234": "alice", "key-of-bob-5678": "bob"}


@hookimpl
async def authenticate(headers: Mapping[str, str]) -> Principal | None:
    """Accept ``Authorization: Bearer`` and Anthropic's ``x-api-key``."""
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    name = CALLERS.get(headers.get("x-api-key", bearer))
    return None if name is None else Principal(id=name)
