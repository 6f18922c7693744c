"""One error that ends several exchanges at once, as where a plugin asks another server for all of them together."""

from __future__ import annotations

import asyncio

import pytest

from chatproxy import ApiError, RequestContext, hookimpl
from chatproxy.testing import make_app


class Together:
    """Waits for one answer, which is an error, in every exchange."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting = 0

    @hookimpl
    async def before_request(self, ctx: RequestContext) -> None:
        self.waiting += 1
        if self.waiting == self.count:
            self.failed.set_exception(ApiError("No.", status=503, code="down"))
        try:
            await self.failed
        finally:
            await asyncio.sleep(0)  # still on its way when another exchange has ended already


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_error_of_several_exchanges_is_answered_in_each(stream: bool) -> None:
    count = 8
    async with make_app(plugins=[Together(count)]) as app:
        answers = await asyncio.gather(*[app.chat("Hello", stream=stream) for _ in range(count)])
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [(503, "down")] * count
