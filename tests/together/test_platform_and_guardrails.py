"""The platform beside guardrails, on every surface: what is kept of a conversation that a policy changed or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.together.platforms import guarded

from chatproxy.testing.matrix import Cell, Said, cells_with

MAIL = "erika.mustermann@posteo.de"
CELLS = [cell for cell in cells_with(calls=True) if cell.is_native]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_what_a_policy_took_out_is_not_kept(cell: Cell, tmp_path: Path) -> None:
    policy = {"on": ["input", "output"], "action": "redact"}
    models = cell.upstream(Said(content=f"Wrote to {MAIL}."))
    async with guarded(tmp_path, models, policy, upstreams=cell.upstreams) as found:
        heard = await cell.ask(found.gateway, f"Write to {MAIL}", metadata={"user_id": "ann"})
        texts = await found.said()
    assert heard.status == 200
    assert len(texts) == 2
    assert MAIL not in str(texts)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_refusal_of_a_policy_is_audited_without_the_text(cell: Cell, tmp_path: Path) -> None:
    policy = {"on": ["input"], "action": "block"}
    async with guarded(tmp_path, cell.upstream(Said()), policy, upstreams=cell.upstreams) as found:
        heard = await cell.ask(found.gateway, f"Write to {MAIL}", metadata={"user_id": "ann"})
    rows, _ = await found.platform.audit.page(50, 0, action="guardrail.blocked")  # written at the end, at the latest
    await found.platform.database.aclose()
    (row,) = rows
    shown = row.shown()
    assert heard.status == 400
    assert (shown["resource_id"], shown["metadata"]["surface"]) == ("private", cell.surface)
    assert MAIL not in str(shown)
