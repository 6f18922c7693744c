"""Several providers behind one address: the first that works. Addresses are in providers.toml."""

import time
from pathlib import Path
from typing import Any

import uvicorn

from chatproxy import ChatCompletionServer, ProxyConfig, ProxyHandler, UpstreamError

PAUSE_S = 30.0  # a provider that failed is asked last for so long
OTHERS_MAY_DO = {408, 425, 429}  # beside every 5xx


class Provider(ProxyHandler):
    """One upstream, its model, and when it may be asked again."""

    def __init__(self, upstream: str, model: str) -> None:
        self.backend = f"upstream:{upstream}"
        self.model = model
        self.rests_until_s = 0.0

    async def execute(self, params: Any) -> Any:
        """As it is but for the model."""
        return await super().execute({**params, "model": self.model})


class FallbackHandler(ProxyHandler):
    """Asks one provider after the other. A stream that has begun stays with its provider."""

    def __init__(self, *providers: Provider) -> None:
        self.providers = providers

    async def execute(self, params: Any) -> Any:
        """Raises what the last one raised; an error that is the request's own ends it at once."""
        now_s = time.monotonic()
        *others, last = sorted(self.providers, key=lambda provider: max(provider.rests_until_s, now_s))
        for provider in others:
            try:
                return await provider.execute(params)
            except UpstreamError as exc:
                if exc.status < 500 and exc.status not in OTHERS_MAY_DO:
                    raise
                provider.rests_until_s = time.monotonic() + PAUSE_S
                print(f"{provider.backend} failed ({exc.code}), asking the next", flush=True)
        return await last.execute(params)


handler = FallbackHandler(
    Provider("openai", "gpt-5-mini"), Provider("mistral", "mistral-small-latest"), Provider("local", "qwen3")
)
server = ChatCompletionServer(ProxyConfig.load(Path(__file__).with_name("providers.toml")), handler=handler)
app = server.app

if __name__ == "__main__":
    uvicorn.run(app, host=server.config.host, port=server.config.port)
