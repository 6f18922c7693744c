"""What every exchange used and cost."""
