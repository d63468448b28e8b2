"""Have a tenant prove that a domain is its own: a line of ours stands in a file there.

1. The line is made from the key ring, the tenant and the domain. What proves one tenant's domain proves
   nothing for another tenant, another domain or another installation, and nothing is kept until it is found.
2. The file is fetched by https from a public address, without a redirect, as `signed_request` says.
3. Why a file could not be read is not told: that would say what stands in networks that we can reach.
4. A tenant has one proof under way, so that one whose sites never answer keeps no other tenant waiting.
"""

import asyncio
import hmac
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import httpx

from dastak.core.codes import KeyRing
from dastak.core.errors import DomainNotProved, InvalidRequest, Overloaded
from dastak.core.tenant import Caller, Scope, Service
from dastak.tenancy.domains.domain_rules import DomainGrant, new_domains
from dastak.tenancy.service_rules import check_service
from dastak.tenancy.signed_request import GuardedSender, read_answer

# RFC 8615: what a site says of itself stands below /.well-known/.
ADDRESS: Final = "https://{domain}/.well-known/dastak-domain"
# For all domains of one request together: its caller waits.
WITHIN_S: Final = 4.0
# Tenants.
AT_ONCE_MAX: Final = 8
RETRY_AFTER_S: Final = 5
_PURPOSE: Final = b"dastak/domain/1\x00"
_MARK_OCTETS: Final = 16


class DomainProofs:
    """Says which domains a caller may give to a service.

    Args:
        keys: What the lines are made from.
        sender: Fetches the files.
        shared: Hosts that are no tenant's own; nobody is asked for proof of them, for their files are ours.
        asked: Whether anybody is asked for proof; in a sandbox, which no text leaves, nobody is.
    """

    def __init__(
        self, keys: KeyRing, sender: GuardedSender, *, shared: Collection[str] = (), asked: bool = True
    ) -> None:
        self._keys, self._sender, self._shared = keys, sender, frozenset(shared)
        self._asked = asked
        self._under_way: set[int] = set()

    async def grant(
        self, caller: Caller, service: Service, services: Iterable[Service], *, named: bool = False
    ) -> DomainGrant:
        """Return what a caller may give; the domains that are new to the tenant are looked at now.

        Args:
            caller: An operator, who may give any, or somebody of the tenant.
            service: As it shall stand.
            services: As they stand, of all tenants.
            named: Whether the caller said which domains the service shall have.

        Raises:
            InvalidRequest: The service may not be so.
            DomainNotProved: A line is not there; the error says of all that are not which, and where.
            Overloaded: Domains of this tenant are being looked at already, or of too many others.
        """
        if not self._asked or Scope.OPERATOR in caller.key.scopes:
            return DomainGrant(shared=self._shared, confirms=named)
        fresh = [one for one in new_domains(check_service(service), services) if one not in self._shared]
        if fresh:
            await self._prove(service.tenant, fresh)
        return DomainGrant(proved=frozenset(fresh), shared=self._shared)

    async def _prove(self, tenant: int, domains: Iterable[str]) -> None:
        if tenant in self._under_way or len(self._under_way) >= AT_ONCE_MAX:
            raise Overloaded("Too many domains are being proved.", retry_after_s=RETRY_AFTER_S)
        self._under_way.add(tenant)
        late_at = asyncio.get_running_loop().time() + WITHIN_S
        try:
            found = {domain: await self._is_proved(tenant, domain, late_at) for domain in domains}
        finally:
            self._under_way.remove(tenant)
        missing = [domain for domain, is_proved in found.items() if is_proved is False]
        late = [domain for domain, is_proved in found.items() if is_proved is None]
        if missing or late:
            raise DomainNotProved(self._wanted(tenant, missing or late) + _told(late))

    async def _is_proved(self, tenant: int, domain: str, late_at: float) -> bool | None:
        """Say whether a domain's line is there; None where it is too late to look."""
        if asyncio.get_running_loop().time() >= late_at:
            return None
        proving = {line_of(key, tenant, domain) for key in self._keys.keys.values()}
        return not proving.isdisjoint(await self._lines_at(domain, late_at))

    def _wanted(self, tenant: int, domains: Sequence[str]) -> str:
        """Say which line belongs where, of all domains at once: who writes several writes them in one go."""
        key = self._keys.key(self._keys.current)
        lines = " and ".join(
            f"the line {line_of(key, tenant, one)} into {ADDRESS.format(domain=one)}" for one in domains
        )
        names = ", ".join(f"`{one}`" for one in domains)
        is_not, it = ("is not", "it") if len(domains) == 1 else ("are not", "them")
        return (
            f"{names} {is_not} proved to be this tenant's. "
            f"Write {lines} and send this again, or ask the operator for {it}."
        )

    async def _lines_at(self, domain: str, late_at: float) -> Collection[str]:
        """Return what stands in a domain's file; nothing where none can be read."""
        fetched = self._sender.get(ADDRESS.format(domain=domain), within_s=WITHIN_S)
        try:
            async with asyncio.timeout_at(late_at), fetched as answer:
                octets = await read_answer(answer) if answer.status_code == httpx.codes.OK else b""
        except (TimeoutError, OSError, httpx.HTTPError, ValueError, InvalidRequest):
            return ()
        return {line.strip() for line in octets.decode("ascii", "replace").splitlines()}


def _told(late: Sequence[str]) -> str:
    names = ", ".join(f"`{one}`" for one in late)
    return f" There was no time to look at {names}: name fewer at once." if late else ""


def line_of(key: bytes, tenant: int, domain: str) -> str:
    """Return the line that proves a domain to be a tenant's; it is no secret, and says nothing of the key."""
    mark = hmac.digest(key, _PURPOSE + tenant.to_bytes(8) + domain.encode(), "sha256")[:_MARK_OCTETS]
    return f"dastak-domain={mark.hex()}"
