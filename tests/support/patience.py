"""Wait for what another process will do, without guessing how long it takes."""

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

LOOK_EVERY_S: Final = 0.02


def until(look: Callable[[], T], *, within_s: float = 10.0) -> T:
    """Look again and again until there is something to see, and return it; fail when the time is over."""
    end = time.monotonic() + within_s
    pause = threading.Event()
    while not (seen := look()):
        assert time.monotonic() < end, f"still {seen!r} after {within_s} s"
        pause.wait(LOOK_EVERY_S)
    return seen
