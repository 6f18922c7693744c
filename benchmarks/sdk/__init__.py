"""What the clients of `sdk/` cost."""
