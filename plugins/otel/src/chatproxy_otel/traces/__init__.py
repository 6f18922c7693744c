"""Traces: where they begin, and how the record of an exchange becomes a tree of spans."""
