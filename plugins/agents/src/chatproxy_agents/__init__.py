"""Agents: coding agents behind coder/agentapi servers as models of the gateway."""

from chatproxy_agents.config import Agent, Basic, Bearer, Config, NoAuth
from chatproxy_agents.plugin import AgentsPlugin

__all__ = ["Agent", "AgentsPlugin", "Basic", "Bearer", "Config", "NoAuth"]
