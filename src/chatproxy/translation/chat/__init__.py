"""A client of chat on an upstream that speaks something else; `messages` and `responses` are the translations."""
