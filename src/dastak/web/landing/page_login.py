"""Log visitors in at a site: who proved a number on a page of ours need not prove it to the site again.

1. The site begins the login itself, so that state, nonce and PKCE are its own: the page leads to where it
   does, and says whose page it was (`iss`). The number is in no address.
2. The login is the provider's own, as after its page for numbers: `amr`, the lock of a number, consent and
   logout hold as for any other, and the browser gets another secret than it had.
3. It is as old as its lead, and given for minutes only, to the browser that began the visit.

Source: OpenID Connect Core 1.0, section 4 (initiating login from a third party).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from dastak.core.landing import TOKEN_KEPT, LandingPage, Lead
from dastak.core.lockout import Lock
from dastak.core.msisdn import Msisdn
from dastak.core.oidc import Client, Login, LoginWay, amr_of
from dastak.core.oidc_client_rules import begins_at
from dastak.core.tenant import Caller
from dastak.web.oidc.phone_login import LockTold, lock_of, locked_values
from dastak.web.oidc.provider import Provider
from dastak.web.page_words import Words

_ISSUER: Final = "iss"


class PageLogins:
    """The sites that a page may log its visitors in at.

    Args:
        provider: Knows the sites, and the browsers that are logged in.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def offered(self, page: LandingPage) -> Sequence[Client]:
        """List the sites of a page: those of its service and its phones that ask for no password."""
        return [one for one in await self._provider.store.clients(page.tenant) if _fits(one, page)]

    async def client(self, page: LandingPage, client_id: str | None) -> Client | None:
        """Return a site of a page by its `client_id`, if it still is one."""
        found = None if client_id is None else await self._provider.store.client(client_id)
        return found if found is not None and _fits(found, page) else None

    async def lock(self, caller: Caller, msisdn: Msisdn) -> Lock | None:
        """Return what keeps a number that a page sends a code to from being proved now."""
        return await lock_of(self._provider, caller, msisdn, None)

    async def locked_values(
        self, caller: Caller, msisdn: Msisdn, form: Mapping[str, str], words: Words, *, brand: str
    ) -> LockTold | None:
        """Return what the code page says to a form that would send in vain; None to all others."""
        return await locked_values(self._provider, caller, msisdn, form, words, brand=brand)

    async def send_on(
        self,
        request: Request,
        client: Client,
        address: str,
        lead: Lead,
        answer: Callable[[str], Response],
    ) -> Response | None:
        """Log a visitor in and lead them to where the site begins; None where it is too late.

        Args:
            request: Of the browser that proved the number.
            client: The site.
            address: Where it begins a login.
            lead: What the proof became.
            answer: Answers with a page that leads to an address.
        """
        provider, tenant = self._provider, client.tenant
        held = (await provider.house.ports.store.find(tenant, lead.verification)).verification
        late = provider.now() - lead.at > TOKEN_KEPT or lead.at > held.expires_at
        if late or not begins_at(client, address):
            return None
        login = Login(
            who=f"tel:{lead.msisdn}",
            msisdn=lead.msisdn,
            at=lead.at,
            amr=amr_of(held.particulars.channel),
        )
        here = await provider.enter(await provider.here(request, client), client, login)
        assert here.secret is not None
        return here.sessions.give(answer(with_query(address, _ISSUER, provider.issuer)), here.secret)


def with_query(address: str, name: str, value: str) -> str:
    """Return an address that says one thing more."""
    bare, _, fragment = address.partition("#")
    mark = "&" if "?" in bare else "?"
    return f"{bare}{mark}{name}={quote(value, safe='')}" + (f"#{fragment}" if fragment else "")


def _fits(client: Client, page: LandingPage) -> bool:
    same = (client.tenant, client.service, client.mode) == (page.tenant, page.service, page.mode)
    return same and client.login is LoginWay.PHONE
