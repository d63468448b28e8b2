"""Say whether this process can do its work now, and what is missing if not."""

from collections.abc import Callable, Mapping

import msgspec


class Readiness(msgspec.Struct, frozen=True):
    """One look: ready when every part is.

    Attributes:
        parts: Each part's name, and what is wrong with it; None is well.
    """

    parts: dict[str, str | None]

    @property
    def ready(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.parts.values())


def look(checks: Mapping[str, Callable[[], str | None]]) -> Readiness:
    """Ask every part."""
    return Readiness({name: check() for name, check in checks.items()})
