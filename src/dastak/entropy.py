"""Random octets of the operating system, asked for a page at a time: asking costs more than a new id does."""

import os
from typing import Final

PAGE_OCTETS: Final = 4096


class Entropy:
    """Gives out the octets of the operating system's generator, each once, on one thread.

    A process that forks would give the same ones twice; Dastak starts programs, but never forks.
    """

    def __init__(self) -> None:
        self._page, self._at = b"", 0

    def __call__(self, octets: int) -> bytes:
        """Return so many octets that nobody was given before."""
        end = self._at + octets
        if end > len(self._page):
            self._page, end = os.urandom(max(PAGE_OCTETS, octets)), octets
        taken = self._page[end - octets : end]
        self._at = end
        return taken
