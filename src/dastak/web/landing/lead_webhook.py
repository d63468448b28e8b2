"""Set the webhook of a landing page, and say which leads it was told."""

from collections.abc import Mapping, Sequence

from dastak.core.errors import NotFound
from dastak.core.ids import VerificationId
from dastak.core.landing import Lead
from dastak.core.lead_hook import Delivery, LeadHook, LeadHookStore
from dastak.core.login_settings import check_address
from dastak.core.ports import Ports
from dastak.core.signing_secret import OVERLAP_S, overlap_until
from dastak.flows.lead_hooks import bound_to
from dastak.tenancy.signed_request import new_secret


class LeadWebhook:
    """The webhooks of all pages.

    Args:
        ports: The clock, the entropy, and what seals secrets.
        store: Where they are written down.
        private: Whether plain http and our own network will do.
    """

    def __init__(self, ports: Ports, store: LeadHookStore, *, private: bool) -> None:
        self._ports, self._store, self._private = ports, store, private

    async def of(self, page: int) -> LeadHook | None:
        """Return the webhook of a page, or None."""
        return await self._store.hook(page)

    async def told(self, leads: Sequence[Lead]) -> Mapping[VerificationId, Delivery]:
        """Return how far leads were told."""
        return await self._store.deliveries([lead.verification for lead in leads])

    async def set(self, page: int, url: str) -> str:
        """Set the webhook of a page; return its new secret, which is shown now and never again.

        Raises:
            InvalidRequest: The address is none that we would send to.
        """
        check_address(url, private=self._private, field="url")
        secret, shown = new_secret(self._ports.entropy)
        sealed = self._ports.sealer.seal(secret, bound_to=bound_to(page))
        hook = LeadHook(page=page, url=url, secret=sealed)
        await self._store.put_hook(hook, now=self._ports.clock.now())
        return shown

    async def rotate(self, page: int) -> str:
        """Give the webhook of a page a new secret, beside which the old one signs for a while; return it.

        Raises:
            NotFound: The page has no webhook.
        """
        secret, shown = new_secret(self._ports.entropy)
        sealed = self._ports.sealer.seal(secret, bound_to=bound_to(page))
        until = overlap_until(self._ports.clock.now(), OVERLAP_S)
        if not await self._store.rotate_hook(page, sealed, before_until=until):
            raise NotFound("This page has no webhook.")
        return shown

    async def remove(self, page: int) -> None:
        """Take the webhook of a page away."""
        await self._store.remove_hook(page)

    async def again(self, page: int) -> None:
        """Send again what was given up."""
        await self._store.again(page, now=self._ports.clock.now())
