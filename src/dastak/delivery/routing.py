"""Choose the ways out of a message, best first."""

from collections.abc import Iterable, Sequence

from dastak.core.carrier import Carrier, CarrierState
from dastak.core.msisdn import Msisdn
from dastak.core.policy import Channel
from dastak.core.ports import Route, Wanted
from dastak.core.tenant import Mode


class RouteTable:
    """All ways out, in the order their operator gave them; one that is down or had the code goes last."""

    def __init__(self, *, carriers: Sequence[Route], simulated: Sequence[Route]) -> None:
        self._carriers = tuple(carriers)
        self._simulated = tuple(simulated)

    def replace(self, entries: Iterable[tuple[Carrier, Route]]) -> None:
        """Send by these carriers from now on."""
        active = [entry for entry in entries if entry[0].state is CarrierState.ACTIVE]
        self._carriers = tuple(route for _, route in sorted(active, key=lambda entry: entry[0].lane.priority))

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
