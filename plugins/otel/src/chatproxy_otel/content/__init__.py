"""What models are asked and answer, for those who ask to see it: captured, cleaned, bounded."""

from chatproxy_otel.content.content import Content, new_content
from chatproxy_otel.content.mode import Mode, mode_of

__all__ = ["Content", "Mode", "mode_of", "new_content"]
