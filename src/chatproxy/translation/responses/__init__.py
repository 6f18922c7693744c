"""A client of OpenAI Responses on a handler that speaks chat; `over_chat` is the translation, the rest its parts."""
