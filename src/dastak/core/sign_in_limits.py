"""How often a password may be wrong, so that guessing is hopeless and nobody locks anybody else out.

1. A failure counts against the account *from there*, so that who guesses locks out himself.
2. A browser that signed in before has a budget of its own: no stranger can use that up.
3. An account has a wide budget over all strangers, against many sources; a source has one over all accounts,
   against one password tried on many names.
4. Forgetting a password has budgets of its own, so that it locks no sign-in. Strangers may have an account
   sent so few texts that its own person is still sent codes (`guard.limits.Rates.number`).
5. An attempt is counted before its password is looked at, and given back when it was right.

Source: PCI DSS 4.0, 8.3.4; OWASP, Slow Down Online Guessing Attacks with Device Cookies.
"""

import hmac
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Final, NamedTuple

from dastak.core.codes import KeyRing

_DOMAIN: Final = b"dastak/sign-in/1\x00"
_IPV4_PREFIX: Final = 24
_IPV6_PREFIX: Final = 64


class Budget(NamedTuple):
    """So many attempts in so many seconds."""

    name: str
    attempts: int
    window_s: int


FROM_THERE: Final = Budget("account_from_network", 10, 30 * 60)
KNOWN_BROWSER: Final = Budget("known_browser", 10, 30 * 60)
STRANGERS: Final = Budget("account", 100, 24 * 3600)
SECOND_STEP: Final = Budget("second_step", 20, 24 * 3600)
RESYNCS: Final = Budget("resyncs", 10, 24 * 3600)
ADDRESS: Final = Budget("address", 60, 3600)
NETWORK: Final = Budget("network", 200, 3600)
SIGN_UPS: Final = Budget("sign_ups", 20, 3600)
RESETS_ADDRESS: Final = Budget("resets_address", 20, 3600)
RESETS_NETWORK: Final = Budget("resets_network", 60, 3600)
RESETS_HOURLY: Final = Budget("resets_hourly", 2, 3600)
RESETS: Final = Budget("resets", 5, 24 * 3600)
RESETS_KNOWN: Final = Budget("resets_known_browser", 5, 24 * 3600)
# As many as a verification allows; a session asks for one code.
RESET_CODES: Final = Budget("reset_codes", 5, 24 * 3600)
# Each instant is kept, so this bounds a row.
ATTEMPTS_KEPT_MAX: Final = 200
BUDGETS: Final = (
    *(FROM_THERE, KNOWN_BROWSER, STRANGERS, SECOND_STEP, RESYNCS, ADDRESS, NETWORK, SIGN_UPS),
    *(RESETS_ADDRESS, RESETS_NETWORK, RESETS_HOURLY, RESETS, RESETS_KNOWN, RESET_CODES),
)
assert max(budget.attempts for budget in BUDGETS) <= ATTEMPTS_KEPT_MAX
assert len({budget.name for budget in BUDGETS}) == len(BUDGETS)


class Claim(NamedTuple):
    """One attempt against one budget of somebody."""

    key: bytes
    budget: Budget


Tally = tuple[int, ...]


def spend(tally: Tally, budget: Budget, now_s: int) -> Tally | None:
    """Count one more attempt, or None when the budget is used up.

    Args:
        tally: When the attempts before were, in seconds since 1970, oldest first.
        budget: How many there may be.
        now_s: The present second.
    """
    kept = tuple(at_s for at_s in tally if at_s > now_s - budget.window_s)
    return None if len(kept) >= budget.attempts else (*kept, now_s)


def give_back(tally: Tally) -> Tally:
    """Take back the newest attempt, for it was right."""
    return tally[:-1]


def key_of(ring: KeyRing, budget: Budget, *whose: bytes) -> bytes:
    """Return under what a tally is kept: neither a name nor an address can be read from it."""
    parts = b"".join(len(part).to_bytes(2) + part for part in (budget.name.encode(), *whose))
    return hmac.digest(ring.keys[ring.current], _DOMAIN + parts, "sha256")[:16]


@lru_cache(maxsize=1_024)
def network_of(address: str) -> str:
    """Return the network of an address: /24, or /64 with IPv6; what is no address is its own."""
    try:
        one = ip_address(address)
    except ValueError:
        return address[:64]
    mapped = getattr(one, "ipv4_mapped", None)
    one = one if mapped is None else mapped
    prefix = _IPV4_PREFIX if one.version == 4 else _IPV6_PREFIX
    return str(ip_network((one, prefix), strict=False))


def claims_of_source(ring: KeyRing, address: str) -> tuple[Claim, ...]:
    """Return what an attempt counts against, whomever it is about."""
    return (
        Claim(key_of(ring, ADDRESS, address.encode()), ADDRESS),
        Claim(key_of(ring, NETWORK, network_of(address).encode()), NETWORK),
    )


def claims_of_account(
    ring: KeyRing, account: Sequence[bytes], address: str, device: bytes | None
) -> tuple[Claim, ...]:
    """Return what an attempt at one account counts against.

    Args:
        ring: The keys.
        account: What names it, be there such an account or not.
        address: Where the attempt comes from.
        device: The digest of its browser, if that signed in to this account before.
    """
    if device is not None:
        return (Claim(key_of(ring, KNOWN_BROWSER, *account, device), KNOWN_BROWSER),)
    network = network_of(address).encode()
    return (
        Claim(key_of(ring, FROM_THERE, *account, network), FROM_THERE),
        Claim(key_of(ring, STRANGERS, *account), STRANGERS),
    )


def claims_of_reset(
    ring: KeyRing, account: Sequence[bytes], address: str, device: bytes | None
) -> tuple[tuple[Claim, ...], tuple[Claim, ...]]:
    """Return what a forgotten password counts against: whence it comes, and the account.

    Args:
        ring: The keys.
        account: What names it, be there such an account or not.
        address: Where the attempt comes from.
        device: The digest of its browser, if that signed in to this account before.
    """
    source = (
        Claim(key_of(ring, RESETS_ADDRESS, address.encode()), RESETS_ADDRESS),
        Claim(key_of(ring, RESETS_NETWORK, network_of(address).encode()), RESETS_NETWORK),
    )
    if device is not None:
        return source, (Claim(key_of(ring, RESETS_KNOWN, *account, device), RESETS_KNOWN),)
    strangers = tuple(Claim(key_of(ring, budget, *account), budget) for budget in (RESETS_HOURLY, RESETS))
    return source, strangers
