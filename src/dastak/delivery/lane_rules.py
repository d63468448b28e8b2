"""Say whether a carrier's lane allows a text or a call: by country, network, tenant and leading digits."""

from dastak.core.carrier import Lane
from dastak.delivery.networks import Place


def fits(lane: Lane, *, tenant: int, place: Place, digits: str, at_home: bool) -> bool:
    """Say whether a lane allows a message.

    Args:
        lane: What the operator of the carrier wrote down.
        tenant: Who sends it.
        place: Where it goes. A number of unknown network may not take a lane for certain networks.
        digits: The number's first digits, as many as the longest prefix has.
        at_home: The sender is established where the number is.
    """
    return (
        (not lane.countries or place.country in lane.countries)
        and (not lane.operators or place.operator in lane.operators)
        and (not lane.tenants or tenant in lane.tenants)
        and (not lane.prefixes or digits.startswith(lane.prefixes))
        and not (lane.international and at_home)
    )
