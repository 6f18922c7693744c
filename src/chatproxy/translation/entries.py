"""A conversation in chat's form as the entries of another surface, for plugins that keep conversations."""

from __future__ import annotations

from collections.abc import Sequence

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.route import HUB, route_to
from chatproxy.types.layouts import LAYOUTS


def entries_of(messages: Sequence[Json], surface: str) -> list[Json]:
    """Chat messages as what `ChatRequest.messages` of a surface holds; instructions among them are left out.

    Raises:
        InvalidRequest: the surface cannot hold one of them (400).
        LookupError: it has no conversation that chat's could become.
    """
    said = [message for message in messages if message.get("role") not in {"system", "developer"}]
    if surface == HUB or not said:
        return said
    route = route_to(HUB, (surface,))
    if route is None:
        raise LookupError(f"the {surface} API has no conversation in which chat messages could stand")
    body = route.begin(Losses()).request({"model": "", "messages": said})
    entries: list[Json] = body[LAYOUTS[surface].messages_key]
    return entries
