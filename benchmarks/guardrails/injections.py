"""The texts of the series *injection*, in ``texts/*.jsonl``; written for this benchmark.

* ``direct``: what users write to talk a model out of its instructions. They ask for nothing harmful by themselves, so
  that only the attack on the instructions is there to be found.
* ``indirect``: orders hidden in what a tool, a page or a file brings; plausible documents whose larger part is
  harmless. The set is meant to be hard.
* ``benign``: ordinary requests and texts that share words with attacks; questions about attacks are among them, since
  people who secure such systems talk like that.
* ``direct_unseen``, ``benign_unseen``: more of the first and third, by families, for the goals; written by one who did
  not know the rules of the check.

Rule: who changes the check after seeing a figure of the unseen sets moves them to ``direct`` and ``benign`` and writes
new ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

SetName = Literal["direct", "indirect", "benign", "direct_unseen", "benign_unseen"]
SETS: tuple[SetName, ...] = ("direct", "indirect", "benign", "direct_unseen", "benign_unseen")
_TEXTS = Path(__file__).resolve().parent / "texts"


class Prompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One text, and the kind of attack (or document around it)."""

    kind: str
    text: str


def prompts(name: SetName) -> list[Prompt]:
    """Read one of the sets."""
    return msgspec.json.Decoder(Prompt).decode_lines((_TEXTS / f"{name}.jsonl").read_bytes())
