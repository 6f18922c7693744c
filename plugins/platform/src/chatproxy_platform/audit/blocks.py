"""Rows of what guardrails refused, from an exchange's record: which policy, never the text."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from chatproxy import Exchange
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.identity.records import Identity

logger = logging.getLogger("chatproxy.platform.audit")


class _Verdict(msgspec.Struct):
    """What ``plugins/guardrails`` puts on record of one policy."""

    policy: str
    outcome: str
    check: str = ""
    on: str = ""
    findings: dict[str, int] = msgspec.field(default_factory=dict)


def block_events(exchange: Exchange, identity: Identity | None) -> list[AuditEvent]:
    """One event for each policy that blocked the exchange, or that could not be checked and therefore refused it."""
    notes = exchange.notes.get("guardrails")
    verdicts = notes.get("verdicts") if isinstance(notes, dict) else None
    if not verdicts:
        return []
    is_refused = exchange.error_code == "guardrail_failed"
    actions = {"blocked": "guardrail.blocked", **({"failed": "guardrail.failed"} if is_refused else {})}
    found = _verdicts(verdicts)
    return [_event(exchange, identity, actions[each.outcome], each) for each in found if each.outcome in actions]


def _verdicts(noted: Any) -> list[_Verdict]:
    try:
        return msgspec.convert(noted, list[_Verdict])
    except msgspec.ValidationError as exc:
        logger.error("verdicts of guardrails are not in their form, no audit row is written: %s", exc)  # noqa: TRY400
        return []


def _event(exchange: Exchange, identity: Identity | None, action: str, verdict: _Verdict) -> AuditEvent:
    return AuditEvent(
        action,
        "guardrail",
        verdict.policy,
        exchange.principal if identity is None else identity.user_id or identity.id,
        None if identity is None else identity.organization_id,
        {
            "request_id": exchange.request_id,
            "surface": exchange.surface,
            "model": exchange.model,
            "check": verdict.check,
            "on": verdict.on,
            "findings": verdict.findings,
        },
    )
