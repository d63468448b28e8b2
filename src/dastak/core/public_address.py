"""Which addresses a customer may have us connect to: public ones alone, or our own network is theirs.

Source: OWASP API Security Top 10, API7 (server-side request forgery); IANA's special-purpose registries.
"""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

# What `is_global` of this or an earlier Python lets through, or what leads to an address inside another one.
_REFUSED: Final = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4"),
            *("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10"),
        ),
    )
)


def is_public(text: str) -> bool:
    """Say whether an IP address is on the public internet; what is none is not."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
    in_refused = any(address.version == one.version and address in one for one in _REFUSED)
    return address.is_global and not address.is_multicast and not in_refused
