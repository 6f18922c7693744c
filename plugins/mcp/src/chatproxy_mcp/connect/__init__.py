"""Sessions with MCP servers: how they are reached, kept, bounded and closed."""
