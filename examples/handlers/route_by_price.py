"""Several providers behind one address: the cheapest that can do what is asked. Addresses are in providers.toml."""

from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from chatproxy import ChatCompletionServer, ProxyConfig, ProxyHandler, Reject

OUTPUT = 1_000  # tokens that an answer is taken to have where the request does not limit it


class Offer(NamedTuple):
    """A model, its prices in dollars for a million tokens, and what it can do."""

    upstream: str
    model: str
    input_price: float
    output_price: float
    context_length: int
    has_tools: bool


OFFERS = [  # made up: put in those of your contracts
    Offer("local", "qwen3", 0.0, 0.0, 8_000, has_tools=False),
    Offer("mistral", "mistral-small-latest", 0.1, 0.3, 128_000, has_tools=True),
    Offer("openai", "gpt-5-mini", 0.25, 2.0, 400_000, has_tools=True),
]


def cheapest(params: Any) -> Offer:
    """The offer that costs least; a token is taken for four characters."""
    tokens = sum(len(text.value) for text in params.texts()) // 4
    output = params.get("max_completion_tokens") or params.get("max_tokens") or OUTPUT
    able = [offer for offer in OFFERS if offer.has_tools or not params.get("tools")]
    large = [offer for offer in able if tokens + output <= offer.context_length]
    if not large:
        raise Reject(f"No model takes {tokens + output} tokens.", code="context_length_exceeded", param="messages")
    return min(large, key=lambda offer: tokens * offer.input_price + output * offer.output_price)


class PriceHandler(ProxyHandler):
    """Hands on to the cheapest offer; the model's name in the answer says which."""

    async def execute(self, params: Any) -> Any:
        """A `ProxyHandler` made for the moment is as good as one that is kept: the gateway keeps the connections."""
        offer, upstream = cheapest(params), ProxyHandler()
        upstream.backend = f"upstream:{offer.upstream}"
        return await upstream.execute({**params, "model": offer.model})


server = ChatCompletionServer(ProxyConfig.load(Path(__file__).with_name("providers.toml")), handler=PriceHandler())
app = server.app
if __name__ == "__main__":
    uvicorn.run(app, host=server.config.host, port=server.config.port)
