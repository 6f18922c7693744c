"""What a part needs is all that it imports: a process that only writes to the audit log loads no web framework."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"advanced_alchemy", "alembic", "genai_prices.data_snapshot", "joserfc", "litestar"}
PARTS = ("audit.log", "limits.redis", "sessions.writer", "storage.database", "storage.spool", "usage.recorder")


def test_parts_load_neither_the_routes_nor_the_migrations() -> None:
    script = f"import sys, {', '.join(f'chatproxy_platform.{part}' for part in PARTS)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "sqlalchemy" in loaded
    assert not loaded & HEAVY
