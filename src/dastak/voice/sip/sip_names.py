"""Finds where a trunk is by its name: SRV records of its transport, then addresses, for as long as they hold.

1. An address in digits is itself; a port that is said means that nobody is asked for SRV.
2. The name's own addresses will do where it has no SRV records, or where nobody can say whether it has.
3. What the name service does not know, the system is asked for: /etc/hosts, and names of one word.

Which transport is spoken the settings say, so NAPTR records are not asked for.
Source: RFC 3263, sections 4.1 and 4.2.
"""

import asyncio
import random
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from dastak.voice.sip.sip_headers import SIP_PORT, SIPS_PORT
from dastak.voice.sip.sip_message import Address
from dastak.voice.sip.sip_sockets import TrunkUnreachable, is_address
from dastak.voice.sip.sip_targets import SrvRecord, in_order

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver
    from dns.resolver import Answer

SERVICES: Final = {"UDP": "_sip._udp", "TCP": "_sip._tcp", "TLS": "_sips._tcp"}
SERVERS_MAX: Final = 16
ADDRESSES_MAX: Final = 32
# One question, and all that have to do with one name.
ASK_S_MAX: Final = 2.0
LOOK_UP_S_MAX: Final = 8.0
assert LOOK_UP_S_MAX > 2 * ASK_S_MAX
# How long an answer of the system holds, which does not say; and the bounds for one that does.
SYSTEM_TTL_S: Final = 60.0
TTL_S_MIN: Final = 2.0
TTL_S_MAX: Final = 3600.0
FOREVER: Final = float("inf")


class Found(NamedTuple):
    """Where a name leads.

    Attributes:
        addresses: In the order in which they are to be tried; at least one.
        ttl_s: How long that holds.
    """

    addresses: tuple[Address, ...]
    ttl_s: float


class Names:
    """Looks up names.

    Args:
        server: The name server to ask; None asks those of the system.
        chance: Draws among servers of one priority.
    """

    def __init__(self, server: Address | None = None, *, chance: Callable[[], float] | None = None) -> None:
        self._server = server
        self._chance = chance or random.SystemRandom().random
        self._resolver: Resolver | None = None

    async def find(self, host: str, port: int | None, transport: str) -> Found:
        """Return where a trunk is.

        Raises:
            TrunkUnreachable: The name leads nowhere.
        """
        usual = SIPS_PORT if transport == "TLS" else SIP_PORT
        if is_address(host):
            return Found(((host, port or usual),), FOREVER)
        try:
            async with asyncio.timeout(LOOK_UP_S_MAX):
                servers, ttl_s = ([], TTL_S_MAX) if port else await self._servers(SERVICES[transport], host)
                servers = servers or [SrvRecord(0, 0, port or usual, host)]
                found = await asyncio.gather(*(self._addresses(record.host) for record in servers))
        except TimeoutError:
            raise TrunkUnreachable(f"the name {host} cannot be looked up: no name server answers") from None
        addresses = tuple(
            (address, record.port)
            for record, (hosts, _) in zip(servers, found, strict=True)
            for address in hosts
        )
        if not addresses:
            raise TrunkUnreachable(f"the name {host} cannot be found")
        ttl_s = min([ttl_s, *(held_s for hosts, held_s in found if hosts)])
        return Found(addresses[:ADDRESSES_MAX], min(max(ttl_s, TTL_S_MIN), TTL_S_MAX))

    async def _servers(self, service: str, host: str) -> tuple[list[SrvRecord], float]:
        """Return the SRV records of a service in order; none where there are none."""
        answer = await self._ask(f"{service}.{host}", "SRV")
        if answer is None:
            return [], TTL_S_MAX
        records = [
            SrvRecord(record.priority, record.weight, record.port, record.target.to_text(omit_final_dot=True))
            for record in answer
        ]
        offered = [record for record in records if record.host not in {".", ""} and record.port]
        if not offered:
            raise TrunkUnreachable(f"{host} says that it has no {service}")
        return in_order(offered, self._chance)[:SERVERS_MAX], float(answer.rrset.ttl if answer.rrset else 0)

    async def _addresses(self, host: str) -> tuple[list[str], float]:
        """Return the addresses of a host, of the old kind first, and how long they hold."""
        if is_address(host):
            return [host], FOREVER
        answers = await asyncio.gather(self._ask(host, "A"), self._ask(host, "AAAA"))
        known = [answer for answer in answers if answer is not None and answer.rrset is not None]
        if known:
            found = [record.address for answer in known for record in answer]
            return found, float(min(answer.rrset.ttl for answer in known if answer.rrset))
        try:
            told = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):  # the latter for what no name may look like
            return [], SYSTEM_TTL_S
        return [str(address[0]) for *_, address in told], SYSTEM_TTL_S

    async def _ask(self, name: str, kind: str) -> "Answer | None":
        """Ask the name service; None where it has no answer or there is no service."""
        import dns.asyncresolver  # noqa: PLC0415 - a fifth of a second, for trunks with a name alone
        import dns.exception  # noqa: PLC0415 - as above

        if "." not in name:
            return None
        try:
            if self._resolver is None:
                self._resolver = dns.asyncresolver.Resolver(configure=self._server is None)
                if self._server is not None:
                    self._resolver.nameservers = [self._server[0]]
                    self._resolver.port = self._server[1]
            return await self._resolver.resolve(name, kind, search=False, lifetime=ASK_S_MAX)
        except (dns.exception.DNSException, OSError):
            return None
