"""Benchmarks of the platform plugin: what keys, limits, sessions, listings and the audit log cost."""
