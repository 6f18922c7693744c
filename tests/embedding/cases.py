"""What the embedding tests share: a server's application in memory, with a scripted upstream or the demo model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatproxy import ModelConfig, ProxyConfig
from chatproxy.embedding.handler import HandlerAdapter
from chatproxy.embedding.server import adapt_handler, answered_by
from chatproxy.testing import Gateway, ScriptedUpstream, events_of, make_app, text_of

DEMO = {"demo": ModelConfig(id="demo", handler="demo")}
HELLO = [{"role": "user", "content": "Hello"}]


def gateway(
    *,
    handler: Any = None,
    plugins: Sequence[object] = (),
    upstream: ScriptedUpstream | None = None,
    models: dict[str, ModelConfig] | None = None,
    **settings: Any,
) -> Gateway:
    """As `ChatCompletionServer` puts it together, with every upstream scripted and nothing installed."""
    environ = {"CHATPROXY_DISABLED_PLUGINS": "*"}
    config = ProxyConfig(environ=environ, log_level="critical", models=models or {}, **settings)
    if handler is None:
        return make_app(plugins=plugins, upstream=upstream, config=config)
    own = adapt_handler(handler)
    made = make_app(plugins=plugins, upstream=upstream, config=answered_by(config, own.name), handler=own)
    if isinstance(own, HandlerAdapter):
        own.bind(made.app.handlers)
    return made


async def said(app: Gateway, *, stream: bool, model: str = "any", **fields: Any) -> str:
    """The text of the answer, however it came."""
    fields.setdefault("messages", HELLO)
    answer = await app.chat(model=model, stream=stream, **fields)
    assert answer.status_code == 200, answer.text
    if stream:
        assert events_of(answer.content)[-1] == "[DONE]"
        return text_of(answer.content)
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content
