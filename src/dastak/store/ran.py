"""What came of operations that were run together, told to each caller once all of them are durable."""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec

from dastak.core.errors import DastakError


class Ran(msgspec.Struct, frozen=True):
    """An operation that ran; its caller is told when its batch is durable."""

    future: asyncio.Future[Any]
    result: Any
    error: Exception | None


def tell(ran: Iterable[Ran]) -> None:
    """Tell every caller who still waits."""
    for one in ran:
        future, error = one.future, one.error
        if future.done():
            continue
        if error is None:
            future.set_result(one.result)
        else:
            # The traceback of a refusal holds the whole batch, which holds the refusal: a circle that only
            # the collector would find, and it took a quarter of the time where receipts come early.
            future.set_exception(error.with_traceback(None) if isinstance(error, DastakError) else error)
