"""Several providers behind one address: the first rule that holds chooses one. Addresses are in providers.toml."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from chatproxy import ChatCompletionServer, ProxyConfig, ProxyHandler

LONG = 20_000  # characters


class Route(NamedTuple):
    """A rule, and who answers where it holds."""

    holds: Callable[[Any], bool]
    upstream: str
    model: str


def has_image(params: Any) -> bool:
    """Whether a message shows a picture."""
    contents = [message.get("content") for message in params["messages"]]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return any(part.get("type") == "image_url" for part in parts)


ROUTES = [
    Route(lambda params: params["model"].startswith("private-"), "local", "qwen3"),
    Route(has_image, "openai", "gpt-5"),
    Route(lambda params: sum(len(text.value) for text in params.texts()) > LONG, "mistral", "mistral-large-latest"),
    Route(lambda _: True, "openai", "gpt-5-mini"),
]


class RuleHandler(ProxyHandler):
    """Hands on to the upstream of the first rule that holds."""

    def __init__(self) -> None:
        self.upstreams = {route.upstream: ProxyHandler() for route in ROUTES}
        for name, upstream in self.upstreams.items():
            upstream.backend = f"upstream:{name}"

    async def execute(self, params: Any) -> Any:
        """The client asks for any model; what it gets is the route's."""
        route = next(route for route in ROUTES if route.holds(params))
        return await self.upstreams[route.upstream].execute({**params, "model": route.model})


server = ChatCompletionServer(ProxyConfig.load(Path(__file__).with_name("providers.toml")), handler=RuleHandler())
app = server.app

if __name__ == "__main__":
    uvicorn.run(app, host=server.config.host, port=server.config.port)
