"""Benchmarks of the mcp plugin: what tools cost, and what the plugin costs where there are none."""
