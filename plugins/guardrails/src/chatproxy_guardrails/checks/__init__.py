"""The checks, one module each; `base` says what a check is."""
