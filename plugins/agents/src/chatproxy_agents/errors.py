"""What goes wrong with an agent, as a client is told it.

UpstreamError
├── AgentFailed      502 it broke off, answered an error or what cannot be read; the circuit breaker counts it
│   └── AgentTimeout 504 it did not answer, or did not come to an end, in time
└── AgentRefused     502 it did not take this request; says nothing about its health
Overloaded               503 busy, queue full, circuit breaker open; always with Retry-After
"""

from __future__ import annotations

from chatproxy.errors import UpstreamError


class AgentFailed(UpstreamError):
    """The agent failed."""

    default_code = "agent_failed"


class AgentTimeout(AgentFailed):
    """A deadline passed."""

    default_status = 504
    default_code = "agent_timeout"


class AgentRefused(UpstreamError):
    """The agent's server answered with a client error."""

    default_code = "agent_refused"
