"""Who waits at other nodes for routes that this one does not send by itself."""

from collections.abc import Collection, Iterable

from dastak.core.carrier import Carrier, CarrierKind
from dastak.core.node import Beat, does
from dastak.core.way_out import Queue, Route, joined
from dastak.nodes.away_route import AwayRoute
from dastak.sms.smpp_route import SmppRoute


def is_away(route: Route) -> bool:
    """Say whether a node that sends hands the messages of a route to another one."""
    return isinstance(route, AwayRoute) or (isinstance(route, SmppRoute) and not route.bound)


def senders(carrier: Carrier, beat: Beat) -> Collection[int]:
    """Return the nodes that can send by a carrier now."""
    if carrier.kind is CarrierKind.SMPP:
        return {slot.node for slot in beat.slots if slot.carrier == carrier.name and slot.up}
    if carrier.kind is CarrierKind.SIP:
        return {node.n for node in beat.nodes if does(node.roles).speaks}
    return {node.n for node in beat.nodes if does(node.roles).sends}


def queues_elsewhere(carriers: Iterable[Carrier], beat: Beat, number: int) -> dict[str, Queue]:
    """Return the queues of all other nodes together, by route.

    A route is left out where one of those nodes has nobody who waits: whoever comes leaves there.

    Args:
        carriers: All there are.
        beat: What was heard last.
        number: This node's.
    """
    together = {}
    for carrier in carriers:
        able = set(senders(carrier, beat)) - {number}
        queues = [node.queues.get(carrier.name) for node in beat.nodes if node.n in able]
        busy = [queue for queue in queues if queue is not None]
        if busy and len(busy) == len(queues):
            together[carrier.name] = joined(busy)
    return together
