"""Which tools models may be offered: named, scanned, pinned, and encoded once."""
