"""Letting go of what the frames of a traceback hold.

Rule: only frames that have ended. An error may have come out of a future that others wait for as well; then its
traceback also has frames of tasks that go on, and before Python 3.13 to clear such a frame ends its coroutine.
"""

from __future__ import annotations

import inspect
import opcode
from types import FrameType

_MOST_CHAINED = 10
_SUSPENDABLE = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_YIELD = opcode.opmap["YIELD_VALUE"]


def forget_locals(error: BaseException) -> None:
    """Let go of what the frames of a traceback hold; its lines stay.

    An error that is kept by what its frames refer to is garbage that only a full collection finds, and those are
    rare: bodies of many megabytes would pile up.
    """
    chained: BaseException | None = error
    for _ in range(_MOST_CHAINED):
        if chained is None:
            return
        trace = chained.__traceback__
        while trace is not None:
            if not _may_go_on(trace.tb_frame):
                _clear(trace.tb_frame)
            trace = trace.tb_next
        chained = chained.__cause__ or chained.__context__


def _may_go_on(frame: FrameType) -> bool:
    """Whether a frame may be a coroutine's that waits: it stands at a yield, where some that have ended stand too."""
    if not frame.f_code.co_flags & _SUSPENDABLE:
        return False
    return frame.f_lasti < 0 or frame.f_code.co_code[frame.f_lasti] == _YIELD


def _clear(frame: FrameType) -> None:
    try:
        frame.clear()
    except RuntimeError:  # it is running
        return
