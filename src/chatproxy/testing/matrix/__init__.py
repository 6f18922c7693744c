"""The matrix: one test on every surface, buffered and streamed, spoken natively by the upstream and translated.

Example::

    @pytest.mark.parametrize("cell", CELLS, ids=str)
    async def test_nothing_secret_is_said(cell):
        upstream = cell.upstream(Said(content="my SECRET"))
        async with make_app(plugins=[guard], upstream=upstream, upstreams=cell.upstreams) as gateway:
            heard = await cell.ask(gateway, "hello")
        assert "SECRET" not in heard.content
"""

from chatproxy.testing.matrix.cells import CELLS, DIALECTS, Cell, cells_with
from chatproxy.testing.matrix.said import Dialect, Heard, Said

__all__ = ["CELLS", "DIALECTS", "Cell", "Dialect", "Heard", "Said", "cells_with"]
