"""Simple set-ups of a gateway in a Python program; run as it stands, it serves the built-in model offline."""

import uvicorn

from chatproxy import ChatCompletionServer, ModelConfig, ProxyConfig


def from_environment() -> ChatCompletionServer:
    """No argument at all: upstream, key and limits come from ``PROXY_*``, every model name is forwarded."""
    return ChatCompletionServer()


def with_upstream(url: str, key: str) -> ChatCompletionServer:
    """One upstream for every model name."""
    return ChatCompletionServer(config=ProxyConfig(upstream_url=url, upstream_api_key=key))


def with_models() -> ChatCompletionServer:
    """A table of models: these exist and no others."""
    models = {
        "demo": ModelConfig(id="demo", handler="demo"),
        "pirate": ModelConfig(
            id="pirate",
            handler="demo",
            system_prompt="Answer like a pirate.",
            system_prompt_behavior="prepend",
            description="The demo model with instructions of its own.",
        ),
        "openai/*": ModelConfig(id="openai/*", upstream_model="*"),
    }
    return ChatCompletionServer(models=models)


server = with_models()
app = server.app

if __name__ == "__main__":
    uvicorn.run(app, host=server.config.host, port=server.config.port)
