"""The table of secrets: one module per field; an earlier rule wins where two find the same text."""

from __future__ import annotations

from chatproxy_guardrails.checks.secret_rules import (
    ai,
    cloud,
    connections,
    keys,
    messaging,
    operations,
    payments,
    services,
    source_control,
)

PROVIDER_RULES = (
    *connections.RULES,
    *messaging.RULES,
    *source_control.RULES,
    *ai.RULES,
    *cloud.RULES,
    *payments.RULES,
    *operations.RULES,
    *services.RULES,
    *keys.RULES,
    *connections.FIELDS,
)
