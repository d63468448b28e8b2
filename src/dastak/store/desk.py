"""What a database does for all that is not the hot path: it runs named statements, and says what is taken.

1. A statement is asked for by its name in the .sql files, so that each database may say it in its own words.
2. Work is plain code between a BEGIN and its end; it awaits nothing and may be run again.
3. Work that was told `Taken` raises: its transaction can only be rolled back.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from dastak.core.ports import Once
from dastak.store import rows

T = TypeVar("T")

PAGE_MAX: Final = 200
# Greater than any number of a row.
NEWEST: Final = 2**63 - 1

NewestFirst = tuple[Sequence[rows.Row], int | None]


class Taken(Exception):  # noqa: N818 - what happened, in the words of whoever asks
    """Something that may be there once only is there already."""


class Found(Protocol):
    """What came of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """Return the next row; None when there is none."""

    def fetchall(self) -> Sequence[Any]:
        """Return all rows that are left."""


class Execute(Protocol):
    """Runs a statement by its name; its parameters stand in the order of their numbers."""

    def __call__(self, statement: str, parameters: Sequence[Any] = (), /) -> Found:
        """Run it. Raises: Taken."""


class Desk(Protocol):
    """Where the subjects of a store have their statements run; it raises `Overloaded` as `Store` does."""

    def write(self, work: Callable[[Execute], T], *, once: Once | None = None) -> Awaitable[T]:
        """Run work in a transaction; what it wrote is durable when this returns.

        No other work of this kind runs meanwhile, on any machine: what it read stays so until it has written.

        Args:
            work: It writes no verification and no message, but for their timelines.
            once: Has the answer kept with it, in the same transaction.

        Raises:
            Conflict: `once` was answered since it was last looked for.
        """

    async def read(self, work: Callable[[Execute], T]) -> T:
        """Run short work that reads: it sees one state of the database, with all that was acknowledged."""

    async def list(self, work: Callable[[Execute], T]) -> T:
        """Run long work that reads, for a bounded time, while others are served."""


def newest(statement: str, of: int, before: int | None, limit: int) -> Callable[[Execute], NewestFirst]:
    """Return the work that reads a page of rows, newest first, and what asks for the next one.

    Args:
        statement: Takes a number, a row's number and a limit; its rows begin with their number.
        of: Whose rows.
        before: What asked for this page; None begins.
        limit: How many rows, `PAGE_MAX` at most.
    """
    limit = min(limit, PAGE_MAX)

    def read(execute: Execute) -> NewestFirst:
        found = execute(statement, (of, NEWEST if before is None else before, limit + 1)).fetchall()
        return found[:limit], found[limit - 1][0] if len(found) > limit else None

    return read
