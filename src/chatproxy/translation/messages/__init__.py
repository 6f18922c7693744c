"""A client of Anthropic Messages on a handler that speaks chat; `over_chat` is the translation, the rest its parts."""
