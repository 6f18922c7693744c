"""What an agent's requests came to.

Rule: no I/O but ``save``. Odd values that a server sends never raise.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import msgspec


class Statistics:
    """Counts of one agent; a stream counts as a buffered answer does."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin again at zero."""
        self.total_requests = 0
        self.errors = 0
        self.retries = 0
        self.aborted = 0
        self.total_tokens = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.total_latency = 0.0

    def record(self, usage: object, latency_s: float, *, ok: bool) -> None:
        """Count one request.

        Args:
            usage: OpenAI's ``usage`` object as it came; what is missing or odd in it counts as zero.
            latency_s: seconds from the request to the end of its answer.
            ok: whether the answer was whole and no error.
        """
        prompt, completion, total = _tokens(usage)
        self.total_requests += 1
        self.errors += not ok
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        self.total_tokens += total
        self.total_latency += max(0.0, latency_s)

    def record_retry(self) -> None:
        """Count an attempt after the first of a request."""
        self.retries += 1

    def record_abort(self) -> None:
        """Count a stream that its reader left early; ``record`` is not called for it."""
        self.aborted += 1

    def to_dict(self) -> dict[str, Any]:
        """The counts. Latencies are in seconds; ``success_rate`` goes from 0 to 1, and is 0 before a request."""
        requests = self.total_requests
        return {
            "total_requests": requests,
            "total_tokens": self.total_tokens,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "average_latency": self.total_latency / requests if requests else 0.0,
            "total_latency": self.total_latency,
            "errors": self.errors,
            "success_rate": (requests - self.errors) / requests if requests else 0.0,
            "retries": self.retries,
            "aborted": self.aborted,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``to_dict()`` as JSON. It blocks; a file that is there is replaced at once or not at all.

        Raises:
            OSError: it cannot be written.
        """
        target = Path(path).resolve()
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        content = msgspec.json.format(msgspec.json.encode(self.to_dict()), indent=2) + b"\n"
        try:
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def _tokens(usage: object) -> tuple[int, int, int]:
    """Prompt, completion and total tokens of a usage object; the total is their sum where it is not said."""
    said = usage if isinstance(usage, dict) else {}
    prompt, completion = _count(said.get("prompt_tokens")), _count(said.get("completion_tokens"))
    return prompt, completion, _count(said.get("total_tokens")) or prompt + completion


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
