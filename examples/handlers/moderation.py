"""A moderation model is asked first; what it flags is refused, and never reaches the model that answers."""

import os
from typing import Any

import httpx
import uvicorn

from chatproxy import ChatCompletionServer, ProxyHandler, Reject, UpstreamError


class ModerationHandler(ProxyHandler):
    """Asks ``POST /moderations`` of an OpenAI-compatible server, then the default upstream."""

    def __init__(self, base_url: str, api_key: str) -> None:
        headers = {"authorization": f"Bearer {api_key}"}
        self.client = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=10)

    async def execute(self, params: Any) -> Any:
        """Refuse, or hand on."""
        flagged = await self.flagged([text.value for text in params.texts() if text.value])
        if flagged:
            message = f"Refused, as it was found to be about {', '.join(flagged)}."
            raise Reject(message, status=400, code="content_policy_violation", param="messages")
        return await super().execute(params)

    async def flagged(self, texts: list[str]) -> list[str]:
        """The categories that a text was flagged for. Where nobody can tell, nothing passes."""
        if not texts:
            return []
        body = {"model": "omni-moderation-latest", "input": texts}
        try:
            answer = (await self.client.post("/moderations", json=body)).raise_for_status().json()
            found = [result["categories"] for result in answer["results"] if result["flagged"]]
        except (httpx.HTTPError, ValueError, KeyError) as exc:
            raise UpstreamError("There is no moderation now.", status=503, code="moderation_unavailable") from exc
        return sorted({name for categories in found for name, holds in categories.items() if holds})

    async def aclose(self) -> None:
        """Called when the gateway stops."""
        await self.client.aclose()


url = os.environ.get("MODERATION_URL", "https://api.openai.com/v1")
server = ChatCompletionServer(handler=ModerationHandler(url, os.environ.get("MODERATION_API_KEY", "none")))
app = server.app

if __name__ == "__main__":
    uvicorn.run(app, host=server.config.host, port=server.config.port)
