"""Where the administration is served: the names chatproxy documents, and the older ones beside them."""

from __future__ import annotations

from typing import Any

from chatproxy_platform.identity.records import Role


def platform_paths(below: str) -> list[str]:
    """Both spellings of a path of the platform."""
    return [f"/v1/platform/{below}", f"/api/v1/platform/{below}"]


def session_paths(below: str = "") -> list[str]:
    """Both spellings of a path of sessions."""
    return [f"/v1/sessions{below}", f"/atoms/chat/sessions{below}"]


def for_role(role: Role) -> dict[str, Any]:
    """A route's ``opt``: at its own path, for those who have at least this role."""
    return {"own_path": True, "access": role}
