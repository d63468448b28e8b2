"""A carrier that only other nodes speak to: its messages go into the hands of one of those."""

from types import TracebackType
from typing import Self

from dastak.core.carrier import CarrierKind
from dastak.core.errors import CarrierUnavailable
from dastak.core.message import CarrierRef
from dastak.core.way_out import PASSING_MAX, HeldElsewhere, Outgoing


class AwayRoute:
    """The route of such a carrier.

    Attributes:
        kind: How those nodes speak to it.
        elsewhere: One that can send by it now; 0 is none.
    """

    in_flight_max = PASSING_MAX
    in_flight = 0

    def __init__(self, name: str, kind: CarrierKind) -> None:
        self.name, self.kind = name, kind
        self.elsewhere = 0

    async def __aenter__(self) -> Self:
        """Connect to nobody."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have nothing to end."""

    @property
    def available(self) -> bool:
        """Whether another node can send by it."""
        return self.elsewhere > 0

    @property
    def reason(self) -> str:
        """Which node that is, in words."""
        return f"node {self.elsewhere} is connected" if self.elsewhere else "no node is connected"

    async def submit(self, outgoing: Outgoing) -> CarrierRef:
        """Send nothing. Raises: HeldElsewhere, CarrierUnavailable (no node can)."""
        del outgoing
        if self.elsewhere:
            raise HeldElsewhere(self.elsewhere)
        raise CarrierUnavailable(self.reason)
