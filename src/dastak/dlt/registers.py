"""The DLT registers of all tenants in memory, as the database last had them, and what they say of a text.

1. A tenant without a register is asked nothing: it does not send to India, or its carriers hold the register.
2. A text is held against the register before anything is sent or paid, and again for each route that is to
   carry it: a chain is approved for one route.
3. Where an entity has no chain at all its carriers know it; where it has some, a route without one is passed
   by.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Final

import msgspec

from dastak.core.dlt_store import DltRecord, DltStore
from dastak.core.errors import CarrierRejected, NotFound, TemplateMismatch
from dastak.core.outcome import Outcome
from dastak.core.ports import Once
from dastak.core.tenant import Mode
from dastak.core.verification import Verification
from dastak.dlt.choice import Chosen, Reason, Unmatched, choose
from dastak.dlt.register import Register

# Days of the register are days in India.
INDIA: Final = timezone(timedelta(hours=5, minutes=30))
CALLING_CODE: Final = "+91"

_REGISTER: Final = msgspec.json.Decoder(Register)
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
# What a route's refusal says where our own register, and not the operator, refuses.
_STATUS: Final[Mapping[str, Outcome]] = {
    Reason.HEADER_UNKNOWN: Outcome.DLT_HEADER,
    Reason.HEADER_NOT_VALID: Outcome.DLT_HEADER,
    Reason.ENTITY_NOT_VALID: Outcome.DLT_ENTITY,
}


class Kept(msgspec.Struct, frozen=True):
    """A register with its revision."""

    register: Register
    revision: int


class Registers:
    """Answers from memory; empty until the first `refresh`."""

    def __init__(self) -> None:
        self._revision = -1
        self._kept: dict[int, Kept] = {}

    async def refresh(self, store: DltStore) -> bool:
        """Take over what the database has now; False when that is nothing new."""
        revision = await store.dlt_revision()
        if revision == self._revision:
            return False
        records = await store.dlt_records()
        self._kept = {
            tenant: Kept(_REGISTER.decode(record.body), record.revision) for tenant, record in records.items()
        }
        self._revision = revision
        return True

    def of(self, tenant: int) -> Kept:
        """Return a tenant's register.

        Raises:
            NotFound: It has none.
        """
        if tenant not in self._kept:
            raise NotFound("This tenant has no DLT register.")
        return self._kept[tenant]

    def known(self, tenant: int) -> Kept:
        """Return a tenant's register; an empty one of revision 0 where it has none."""
        return self._kept.get(tenant) or Kept(Register(), 0)

    def applies(self, verification: Verification) -> bool:
        """Say whether its texts must be registered, as far as the tenant told us."""
        live = verification.mode is not Mode.TEST
        return live and verification.tenant in self._kept and verification.msisdn.startswith(CALLING_CODE)

    def check(self, verification: Verification, header: str, text: str, code: str) -> None:
        """Refuse a text that no registered template carries, before it costs anything.

        Raises:
            TemplateMismatch: With the first character that differs and what should stand there.
        """
        if not self.applies(verification):
            return
        chosen = self._chosen(verification.tenant, header, text, code, verification.created_at)
        if isinstance(chosen, Unmatched):
            differs = chosen.mismatch
            raise TemplateMismatch(
                f"India's DLT register of this tenant: {chosen.words}",
                field="text",
                place=None if differs is None else differs.place,
                expected=None if differs is None else differs.expected,
                found=None if differs is None else differs.found,
            )

    def fields(
        self, verification: Verification, header: str, text: str, route: str, now: datetime
    ) -> Mapping[str, str]:
        """Return what a scrubber behind a route wants to know of a text.

        Raises:
            CarrierRejected: The text has no template, or the entity's chain is not approved on this route.
        """
        if not self.applies(verification):
            return _NOTHING
        tenant = verification.tenant
        chosen = self._chosen(tenant, header, text, "", now)
        if isinstance(chosen, Unmatched):
            outcome = _STATUS.get(chosen.reason, Outcome.DLT_TEMPLATE)
            raise CarrierRejected(
                "The text has no registered template.", status=chosen.reason, outcome=outcome
            )
        register, pe_id = self._kept[tenant].register, chosen.template.pe_id
        told = any(chain.pe_id == pe_id for chain in register.chains)
        if told and not register.may_use(pe_id, route):
            raise CarrierRejected(
                f"The chain of entity {pe_id} is not approved on route {route}.",
                status="chain_not_approved",
                outcome=Outcome.DLT_CHAIN,
            )
        return chosen.fields(register.chain_by_route.get((pe_id, route)))

    def _chosen(self, tenant: int, header: str, text: str, code: str, now: datetime) -> Chosen | Unmatched:
        today = now.astimezone(INDIA).date()
        return choose(self._kept[tenant].register, header=header, text=text, today=today, code=code)


async def put_register(
    store: DltStore, tenant: int, register: Register, *, revision: int, once: Once | None = None
) -> DltRecord:
    """Write a register down; the answer has its new revision.

    Raises:
        Conflict: It was changed since `revision` was read; 0 is for a tenant that has none.
    """
    return await store.put_dlt_record(tenant, DltRecord(msgspec.json.encode(register), revision), once=once)
