"""Handlers: what answers a request in the end.

Built in are `upstream` (any OpenAI-compatible server) and `demo` (deterministic and offline); plugins bring more.
"""
