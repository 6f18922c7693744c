"""Administration over HTTP: sessions, people, keys, usage, audit, at both spellings of each path."""
