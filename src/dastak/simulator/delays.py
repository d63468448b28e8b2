"""How long and how often, as data: delays, shares, and the values that are drawn of them."""

from random import Random
from typing import Annotated, Final, TypeAlias

import msgspec

DELAY_S_MAX: Final = 3600.0

Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=DELAY_S_MAX)]


class Uniform(msgspec.Struct, frozen=True, tag="uniform", tag_field="kind", forbid_unknown_fields=True):
    """Any delay between two is as likely."""

    min_s: Seconds
    max_s: Seconds


class Lognormal(msgspec.Struct, frozen=True, tag="lognormal", tag_field="kind", forbid_unknown_fields=True):
    """Half of the delays are below the median, a few far above: what networks do."""

    median_s: Seconds
    sigma: Annotated[float, msgspec.Meta(ge=0, le=5)]


Delay: TypeAlias = Seconds | Uniform | Lognormal


def draw_delay(delay: Delay, chance: Random) -> float:
    """Return how long it takes this time, in seconds."""
    if isinstance(delay, Uniform):
        return chance.uniform(delay.min_s, delay.max_s)
    if isinstance(delay, Lognormal):
        return min(DELAY_S_MAX, delay.median_s * chance.lognormvariate(0, delay.sigma))
    return delay


def hits(share: float, chance: Random) -> bool:
    """Say whether it happens this time."""
    return share > 0 and chance.random() < share
