"""Every surface of the engine by its name."""

from __future__ import annotations

from collections.abc import Mapping

from chatproxy.types.chat import CHAT
from chatproxy.types.completions import COMPLETIONS
from chatproxy.types.layout import Layout
from chatproxy.types.messages import MESSAGES
from chatproxy.types.messages_counting import COUNT_TOKENS
from chatproxy.types.responses import RESPONSES
from chatproxy.types.scoring import EMBEDDINGS, MODERATIONS, RERANK

LAYOUTS: Mapping[str, Layout] = {
    layout.surface: layout
    for layout in (CHAT, RESPONSES, MESSAGES, COUNT_TOKENS, COMPLETIONS, EMBEDDINGS, MODERATIONS, RERANK)
}
