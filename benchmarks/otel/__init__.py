"""Benchmarks of the otel plugin: what telemetry costs a request, and that a collector can hold up none."""
