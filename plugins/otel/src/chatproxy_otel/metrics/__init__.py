"""Metrics: instruments, and what an exchange adds to them."""
