"""Choose the ways out of a message, best first."""

from collections.abc import Sequence

from dastak.core.msisdn import Msisdn
from dastak.core.policy import Channel
from dastak.core.ports import Route, Wanted
from dastak.core.tenant import Mode


class RouteTable:
    """All ways out, in the order their operator gave them; last is one that is down or had the code before."""

    def __init__(self, *, carriers: Sequence[Route], simulated: Sequence[Route]) -> None:
        self._carriers = tuple(carriers)
        self._simulated = tuple(simulated)

    def carry(self, mode: Mode, channel: Channel, tenant: int, msisdn: Msisdn) -> bool:
        """Say whether there is any way."""
        del tenant, msisdn
        return channel is Channel.SMS and bool(self._simulated if mode is Mode.TEST else self._carriers)

    def order(self, wanted: Wanted) -> Sequence[Route]:
        """Return the routes: a test message never sees a carrier, a live one never the simulator."""
        if wanted.channel is not Channel.SMS:
            return ()
        routes = self._simulated if wanted.mode is Mode.TEST else self._carriers
        if not wanted.tried and all(route.available for route in routes):
            return routes
        return sorted(routes, key=lambda route: (not route.available, route.name in wanted.tried))
