"""How a secret that requests are signed with gives way to a new one: for a while both sign, then the new one.

Source: Standard Webhooks, "Signature scheme": the header may carry several signatures, so that nothing is
refused while a customer changes the secret.
"""

from datetime import datetime, timedelta
from typing import Final

OVERLAP_S: Final = 24 * 3600
# Whoever has the old secret can sign in our name for so long; a week bridges a holiday.
OVERLAP_S_MAX: Final = 7 * 24 * 3600


def overlap_until(now: datetime, overlap_s: int) -> datetime:
    """Return until when the secret before a new one signs as well."""
    assert 0 <= overlap_s <= OVERLAP_S_MAX
    return now + timedelta(seconds=overlap_s)


def signing(
    secret: bytes, before: bytes | None, before_until: datetime | None, *, now: datetime
) -> tuple[bytes, ...]:
    """Return the sealed secrets that requests are signed with now, the newest first."""
    if before is None or before_until is None or now >= before_until:
        return (secret,)
    return (secret, before)
