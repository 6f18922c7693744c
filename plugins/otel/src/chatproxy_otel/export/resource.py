"""Resource: who sends the telemetry.

Source: OpenTelemetry semantic conventions, "Resource": ``service.*``, ``process.*``, ``telemetry.sdk.*``.
"""

from __future__ import annotations

import os
import uuid

from opentelemetry.sdk.resources import Resource

from chatproxy_otel.config import Config
from chatproxy_otel.export.variables import Variables

DEFAULT_NAME = "chatproxy"


def resource_of(config: Config, variables: Variables, version: str) -> Resource:
    """The attributes of this process; ``service.instance.id`` is new for each.

    Raises:
        ConfigError: ``OTEL_RESOURCE_ATTRIBUTES`` cannot be read.
    """
    attributes: dict[str, str | int] = {
        "service.name": DEFAULT_NAME,
        "service.version": version,
        "service.instance.id": str(uuid.uuid4()),
        "process.pid": os.getpid(),
    }
    attributes |= variables.pairs("OTEL_RESOURCE_ATTRIBUTES")
    if name := variables.text("OTEL_SERVICE_NAME"):
        attributes["service.name"] = name
    attributes |= config.resource
    if config.service_name:
        attributes["service.name"] = config.service_name
    return Resource.create(attributes)
