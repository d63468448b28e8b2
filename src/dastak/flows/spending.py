"""What a message costs its tenant, as far as it can be known before a carrier takes it."""

from datetime import datetime

from dastak.core.ports import Ports, Spend
from dastak.core.tenant import Mode, Tenant


def spend_of(ports: Ports, tenant: Tenant, mode: Mode, segments: int, now: datetime) -> Spend | None:
    """Return what a message may cost at most; test messages cost nothing."""
    if mode is Mode.TEST:
        return None
    day = now.toordinal()
    return Spend(segments * ports.price_micros(), tenant.daily_spend_cap_micros, day)
