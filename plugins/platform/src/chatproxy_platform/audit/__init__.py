"""The audit log: rows chained by their hashes, appended and never changed."""
