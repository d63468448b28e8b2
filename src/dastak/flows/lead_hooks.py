"""Tell the webhooks of landing pages of each lead: at least once, and none waits behind one that hangs.

The row that was written with the lead is the queue: whatever is lost here is found there again.
"""

import asyncio
import logging
from collections import Counter
from types import TracebackType
from typing import Final, NamedTuple, Self

import httpx

from dastak.core.errors import DastakError, InvalidRequest, Overloaded
from dastak.core.ids import VerificationId
from dastak.core.lead_hook import GONE, Delivery, DueLead, LeadHookStore, body_of, judge, message_id
from dastak.core.ports import Ports
from dastak.core.signing_secret import signing
from dastak.tenancy.signed_request import GuardedSender

LOOK_EVERY_S: Final = 0.25
WITHIN_S: Final = 15.0
AT_ONCE_MAX: Final = 200
AT_ONCE_EACH_MAX: Final = 4

log = logging.getLogger("dastak.leads")


class _Told(NamedTuple):
    """What became of a try."""

    due: DueLead
    delivery: Delivery
    is_gone: bool


class LeadHooks:
    """Sends what is due, as an async context; whoever opens it calls `look` again and again.

    Args:
        ports: The clock, the entropy, and what opens the secrets.
        store: Where webhooks and what they were told are written down.
        private: As `GuardedSender` has it.
        within_s: How long one try may take in all.
    """

    def __init__(
        self, ports: Ports, store: LeadHookStore, *, private: bool, within_s: float = WITHIN_S
    ) -> None:
        self._ports, self._store, self._within_s = ports, store, within_s
        self._sender = GuardedSender(ports.clock, private=private)
        self._under_way: dict[VerificationId, asyncio.Task[None]] = {}
        self._unwritten: dict[VerificationId, _Told] = {}
        self._each: Counter[int] = Counter()

    @property
    def in_flight(self) -> int:
        """How many leads are being told now."""
        return len(self._under_way)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of what is under way; it is due at the next start."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def look(self) -> None:
        """Begin to tell what is due; nobody is waited for.

        Nobody is while it cannot be written down what was told: a database that only reads would have us send
        the same lead four times a second.
        """
        if not await self._write_again():
            return
        # As many again as are under way, which are due as well until they end.
        limit = AT_ONCE_MAX + len(self._under_way)
        try:
            due = await self._store.due(self._ports.clock.now(), each=AT_ONCE_EACH_MAX, limit=limit)
        except Overloaded:
            return
        for one in due:
            key, page = one.lead.verification, one.hook.page
            full = len(self._under_way) >= AT_ONCE_MAX or self._each[page] >= AT_ONCE_EACH_MAX
            if full or key in self._under_way:
                continue
            self._each[page] += 1
            self._under_way[key] = asyncio.create_task(self._tell(one))

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(*self._under_way.values())

    async def _tell(self, one: DueLead) -> None:
        try:
            status, delivery = await self._try(one)
            told = _Told(one, delivery, is_gone=status == GONE)
            try:
                await self._write(told)
            except Overloaded:
                self._unwritten[one.lead.verification] = told
                log.warning("what became of a lead's webhook is not written down yet")
        finally:
            del self._under_way[one.lead.verification]
            self._each[one.hook.page] -= 1
            if not self._each[one.hook.page]:
                del self._each[one.hook.page]

    async def _write(self, told: _Told) -> None:
        """Write down what became of a try. Raises: Overloaded."""
        if told.is_gone:
            await self._store.turn_off(told.due.hook)
        await self._store.note(told.due.lead.verification, told.delivery)

    async def _write_again(self) -> bool:
        """Write down what could not be; say whether that is done."""
        for key, told in list(self._unwritten.items()):
            try:
                await self._write(told)
            except Overloaded:
                return False
            del self._unwritten[key]
        return True

    async def _try(self, one: DueLead) -> tuple[int | None, Delivery]:
        status, said, retry_after = None, "", ""
        try:
            async with asyncio.timeout(self._within_s):
                status, retry_after = await self._post(one)
        except TimeoutError:
            said = f"No answer within {self._within_s:g} s."
        except (OSError, httpx.HTTPError, ValueError, InvalidRequest):
            # The same words for what we may not ask and what is not there: nobody maps our network by them.
            said = "It could not be reached."
        except DastakError:
            said = "Its secret cannot be opened; save the webhook again."
        if said:
            log.info("the webhook of page %d failed: %s", one.hook.page, said)
        now, chance = self._ports.clock.now(), self._ports.entropy(1)[0] / 255
        tries = one.tries + 1
        return status, judge(status, said, tries=tries, now=now, chance=chance, retry_after=retry_after)

    async def _post(self, one: DueLead) -> tuple[int, str]:
        hook, bound = one.hook, bound_to(one.hook.page)
        sealed = signing(hook.secret, hook.before, hook.before_until, now=self._ports.clock.now())
        secrets = [self._ports.sealer.unseal(each, bound_to=bound) for each in sealed]
        body = body_of(one.lead, one.slug)
        sent = self._sender.post(hook.url, secrets, message_id(one.lead), body, within_s=self._within_s)
        async with sent as answer:
            return answer.status_code, answer.headers.get("retry-after", "")


def bound_to(page: int) -> bytes:
    """Return what the sealed secret of a page's webhook is bound to."""
    return b"lead-hook/" + page.to_bytes(8)
