"""Keys and people: who asks, and what they may do."""
