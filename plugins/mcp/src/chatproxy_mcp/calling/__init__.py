"""Calling: one tool call, from a model's words to what the model is told of it."""
