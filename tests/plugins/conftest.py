"""Real distributions in a temporary directory on ``sys.path``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

Install = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only directory of installed packages on ``sys.path``; what is imported from it is forgotten at the end."""
    place = tmp_path / "site"
    place.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not any(Path(path).glob("*.dist-info"))])
    yield place
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def install(site: Path) -> Install:
    """Writes a distribution; its module leaves a file ``<module>.ran`` when its top level runs."""

    def write(
        name: str,
        source: str = "",
        *,
        module: str | None = None,
        distribution: str | None = None,
        version: str = "1.2",
        where: Path = site,
        entry_points: str | None = None,
    ) -> Path:
        module = module or f"cpx_{name.replace('-', '_')}"
        distribution = distribution or f"cpx-{name}"
        marker = where / f"{module}.ran"
        first = f"open({str(marker)!r}, 'w').close()\n"
        (where / f"{module.partition(':')[0]}.py").write_text(first + dedent(source))
        info = where / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entry_points or f"[chatproxy]\n{name} = {module}\n")
        return marker

    return write
