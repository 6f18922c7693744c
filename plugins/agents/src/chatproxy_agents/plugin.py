"""The plugin: the agents of ``[plugins.agents]``.

Rule: only hook implementations that delegate; one object for each application.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from chatproxy import App, ChatRequest, Handler, Model, hookimpl
from chatproxy_agents.breaker import worst
from chatproxy_agents.client import secrets_of
from chatproxy_agents.config import Config
from chatproxy_agents.handler import AgentHandler


def _has_agents(config: Config) -> bool:
    return bool(config.agent)


class AgentsPlugin:
    """What the entry point names."""

    chatproxy_name = "agents"

    def __init__(self) -> None:
        self._handlers: dict[str, AgentHandler] = {}

    @hookimpl
    def config_type(self) -> type[Config]:
        """What ``[plugins.agents]`` may hold."""
        return Config

    @hookimpl
    def handlers(self, config: Config) -> Iterable[Handler]:
        """One for each agent."""
        made = [AgentHandler(name, agent) for name, agent in config.agent.items()]
        self._handlers = {handler.model: handler for handler in made}
        return made

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        """Look after the agents, and end what is left of exchanges."""
        config = app.config(Config)
        if config.agent:
            app.report_health(self.chatproxy_name, self._report)
        async with AsyncExitStack() as stack:
            for handler in self._handlers.values():
                for secret in secrets_of(handler.agent):
                    app.hide(secret)
                await stack.enter_async_context(handler.running(config.check_interval_s))
            yield

    @hookimpl(when=_has_agents)
    async def models(self) -> Iterable[Model]:
        """The agents."""
        return [
            Model(
                id=model,
                owned_by="chatproxy-agents",
                provider="agentapi",
                description=handler.agent.description,
                capabilities=["streaming", "files"],
            )
            for model, handler in self._handlers.items()
        ]

    @hookimpl(when=_has_agents)
    async def select_handler(self, request: ChatRequest) -> Handler | None:
        """The agent of this model."""
        return self._handlers.get(request.model)

    def _report(self) -> Mapping[str, Any]:
        handlers = self._handlers.values()
        agents = {model: handler.report() for model, handler in self._handlers.items()}
        active = [h.model for h in handlers if h.is_reachable and h.breaker.state != "open"]
        breaker = worst([handler.breaker.state for handler in handlers])
        return {"active_agents": sorted(active), "circuit_breaker_status": breaker, "agents": agents}
