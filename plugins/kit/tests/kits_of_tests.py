"""Kits that configurations of tests name."""

from __future__ import annotations

from typing import Any

from chatproxy_kit import ChatKit

support = ChatKit(model="support", path="/support")
sales = ChatKit(model="sales", path="/sales")
same_model = ChatKit(model="support", path="/other")
same_path = ChatKit(model="other", path="/support")
empty = ChatKit(model="empty")
guarded = ChatKit(model="guarded", path="/guarded")
not_a_kit = "text"


async def hello(messages: Any, context: Any) -> str:
    return f"hello from {context['model']}"


for kit in (support, sales, same_model, same_path, guarded):
    kit.handler()(hello)
guarded.auth()(lambda request: {"user_id": "ann"} if request.headers.get("authorization") else None)
