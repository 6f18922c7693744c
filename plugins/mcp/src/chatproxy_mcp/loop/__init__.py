"""What happens to one exchange: tools are chosen and offered, calls are run, rounds become one answer."""
