"""What a graph costs over a handler of one's own."""
