"""How long a call takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def timed(function: Callable[[], T]) -> tuple[float, T]:
    """Call a function; return the seconds it took, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result
