"""What went well since the last look, kept as sums: nearly every message does, and each shall cost little."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from dastak.delivery.networks import Place


@dataclass(slots=True)
class Sums:
    """Of a route at a place, for a tenant.

    Attributes:
        accepted: Submits.
        arrived: Messages that arrived and were not counted before.
        latencies: Seconds from the submit to each receipt that said delivered.
    """

    accepted: int = 0
    arrived: int = 0
    latencies: list[float] = field(default_factory=list)


class Smooth:
    """The sums that nobody has looked at yet."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, Place, int], Sums] = {}

    def of(self, route: str, place: Place, tenant: int) -> Sums:
        """Return the sums to add to."""
        sums = self._sums.get((route, place, tenant))
        if sums is None:
            sums = self._sums[route, place, tenant] = Sums()
        return sums

    def take(self) -> Iterator[tuple[str, Place, int, Sums]]:
        """Look at all of them, and begin anew."""
        taken, self._sums = self._sums, {}
        return ((*of, sums) for of, sums in taken.items())
