"""Limits and budgets: what is reserved before a call, and settled with what it really used."""
