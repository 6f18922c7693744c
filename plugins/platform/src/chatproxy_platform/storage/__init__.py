"""Where the platform keeps its data: the database, its schema, and a local spool for when it is down."""
