"""Measurements of the guardrails plugin: quality on generated and public texts, cost on streams and prompts."""
