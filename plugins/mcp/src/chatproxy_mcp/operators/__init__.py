"""What operators see and do: ``chatproxy mcp``, ``GET /chatproxy/mcp``, and the plugin's part of ``/readyz``."""
