"""What a kit costs over a handler of one's own."""
