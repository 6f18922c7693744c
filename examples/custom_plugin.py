"""Plugins as classes: a guardrail and telemetry around the built-in model."""

import json
import re
from typing import Any

import uvicorn

from chatproxy import ChatCompletionServer, ModelConfig, ProxyPlugin, Reject

EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


class GuardrailPlugin(ProxyPlugin):
    """Refuses what must not be asked, and hides e-mail addresses from the model."""

    def __init__(self, forbidden: str = "launch code") -> None:
        self.forbidden = forbidden

    async def before_request(self, params: Any) -> Any:
        """Wait for it: the model gets what this leaves in ``params``."""
        for text in params.texts():
            if self.forbidden in text.value.lower():
                raise Reject("That is not talked about here.", status=403, code="forbidden_topic")
            text.replace(EMAIL.sub("[e-mail]", text.value))
        return params


class TelemetryPlugin(ProxyPlugin):
    """Prints a line for each exchange; no answer waits for it."""

    async def after_request_async(self, params: Any, response: Any) -> None:
        """After a buffered reply."""
        self.line("reply", params, tokens=response["usage"]["total_tokens"])

    async def after_stream_async(self, params: Any, response: Any, events: list[Any]) -> None:
        """After a streamed reply; ``response`` is put together from its events."""
        self.line("stream", params, events=len(events), characters=len(response["choices"][0]["message"]["content"]))

    async def on_error_async(self, params: Any, error: Exception) -> None:
        """After a failure or a refusal."""
        self.line("error", params, error=str(error))

    def line(self, event: str, params: Any, **values: Any) -> None:
        """One line of JSON."""
        print(json.dumps({"event": event, "model": params.get("model"), **values}), flush=True)


server = ChatCompletionServer(
    models={"demo": ModelConfig(id="demo", handler="demo")},
    plugins=[GuardrailPlugin(), TelemetryPlugin()],
)
app = server.app

if __name__ == "__main__":
    uvicorn.run(app, host=server.config.host, port=server.config.port)
