"""Measurements of chatproxy beside yardsticks, in one run, on one core. Start with ``python -m benchmarks.run``."""
