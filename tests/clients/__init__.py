"""Client programs and upstreams that nobody here wrote, run against a running gateway."""
