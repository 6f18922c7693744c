"""How tests ask the demo model on surfaces other than chat."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.handlers.demo import DemoHandler
from chatproxy.types import ChatRequest, Completed
from chatproxy.types.layouts import LAYOUTS
from tests.handlers.conftest import make_context


async def answered(surface: str, body: dict[str, Any]) -> dict[str, Any]:
    """The reply's body; a field whose value is ``...`` is left out of the request."""
    sent = json.dumps({key: value for key, value in body.items() if value is not ...})
    reply = await DemoHandler().execute(make_context(), ChatRequest.of(sent.encode(), LAYOUTS[surface]))
    assert isinstance(reply, Completed)
    assert reply.body.layout is LAYOUTS[surface]
    read: dict[str, Any] = json.loads(reply.body.encode())
    return read


async def refused(surface: str, body: dict[str, Any]) -> InvalidRequest:
    """How the request is refused."""
    with pytest.raises(InvalidRequest) as caught:
        await answered(surface, body)
    assert caught.value.status == 400
    assert str(caught.value.param) in caught.value.message
    return caught.value


async def tried(surface: str, body: dict[str, Any]) -> dict[str, Any] | InvalidRequest:
    """The reply's body, or how the request is refused."""
    try:
        return await answered(surface, body)
    except InvalidRequest as error:
        return error
