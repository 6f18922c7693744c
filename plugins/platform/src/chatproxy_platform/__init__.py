"""Platform: keys, limits, budgets, sessions, usage, administration and audit."""
