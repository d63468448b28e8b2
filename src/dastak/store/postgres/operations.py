"""What can be asked of a batch: open a verification, decide about one, unlock a number."""

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from dastak.core.errors import Conflict, IdempotencyMismatch, NotFound
from dastak.core.lockout import CLEAN
from dastak.core.msisdn import Msisdn
from dastak.core.past_use import Judge
from dastak.core.policy import Policy
from dastak.core.ports import Change, Held, Once, Opening, Replayed
from dastak.core.spend import Spend
from dastak.core.tenant import Mode
from dastak.store import rows
from dastak.store.postgres.sheet import Sheet
from dastak.store.postgres.wanted import Key, Wanted

T = TypeVar("T")


class Operation(Protocol):
    """Something that is done in a batch with others."""

    def want(self, wanted: Wanted) -> None:
        """Say what must be read and locked."""

    def act(self, sheet: Sheet) -> Any:
        """Do it, or raise before anything was changed."""

    def charge_also(self, tenant: int, spend: Spend) -> None:
        """Want accounts as well that its rule turned out to charge."""

    def look_further(self) -> None:
        """Want all that is kept of its number, and not only what is recent."""

    @property
    def policy(self) -> Policy | None:
        """A policy that must have a number in the database."""


class _Once:
    """What operations with an Idempotency-Key have in common."""

    def __init__(self, once: Once | None) -> None:
        self._once = once
        self._spends: list[tuple[int, Spend]] = []
        self._whole = False

    @property
    def policy(self) -> Policy | None:
        """None is needed."""
        return None

    def charge_also(self, tenant: int, spend: Spend) -> None:
        """See `Operation.charge_also`."""
        self._spends.append((tenant, spend))

    def look_further(self) -> None:
        """See `Operation.look_further`."""
        self._whole = True

    def want(self, wanted: Wanted) -> None:
        """See `Operation.want`."""
        if self._once is not None:
            wanted.answer(self._once.key)
        if wanted.careful:
            for tenant, spend in self._spends:
                wanted.spend(tenant, spend)

    def _kept(self, sheet: Sheet) -> Replayed | None:
        if self._once is None or (found := sheet.answers.get(self._once.key)) is None:
            return None
        fingerprint, answer = found
        return replayed(self._once, fingerprint, answer)

    def _keep(self, sheet: Sheet, answer: object) -> None:
        if self._once is not None:
            sheet.keep(self._once, answer)


class Open(_Once, Generic[T]):
    """See `Store.open`.

    Args:
        opening: What is opened.
        once: Makes it idempotent.
        number: Returns a new row number.
    """

    def __init__(self, opening: Opening[T], once: Once | None, number: Callable[[], int]) -> None:
        super().__init__(once)
        self._opening, self._number = opening, number

    @property
    def policy(self) -> Policy | None:
        """The policy of the verification."""
        return self._opening.verification.policy

    def want(self, wanted: Wanted) -> None:
        """See `Operation.want`."""
        super().want(wanted)
        one, spend = self._opening.verification, self._opening.spend
        wanted.number(one.tenant, one.msisdn, one.mode)
        wanted.pending[one.tenant, int(one.msisdn), one.service] = None
        if self._opening.judge is not None:
            wanted.judge(self._opening.judge, whole=self._whole)
        if spend is not None and wanted.careful:
            wanted.spend(one.tenant, spend)

    def act(self, sheet: Sheet) -> T | Replayed:
        """See `Operation.act`."""
        if (kept := self._kept(sheet)) is not None:
            return kept
        opening, one = self._opening, self._opening.verification
        changes = [(entry, opening.supersede(entry.verification)) for entry in sheet.replaced(one)]
        if opening.judge is not None:
            sheet.judge(opening.judge, whole=self._whole)
        if opening.spend is not None:
            sheet.charge(one.tenant, opening.spend)
        if opening.judge is not None:
            sheet.count(opening.judge)
        for entry, change in changes:
            sheet.apply(entry, Held(entry.verification, CLEAN), change)
        n = self._number()
        sheet.insert(n, one, opening.events)
        if opening.message is not None:
            sheet.insert_message(n, opening.message, opening.trace)
        self._keep(sheet, opening.answer)
        return opening.answer


class Decide(_Once, Generic[T]):
    """See `Store.decide`."""

    def __init__(
        self,
        key: Key,
        rule: Callable[[Held], Change[T]],
        tenant: int | None,
        once: Once | None,
        judge: Judge | None = None,
    ) -> None:
        super().__init__(once)
        self._key, self._rule, self._tenant, self._judge = key, rule, tenant, judge

    def want(self, wanted: Wanted) -> None:
        """See `Operation.want`."""
        super().want(wanted)
        wanted.keys[self._key] = None
        if self._judge is not None:
            wanted.judge(self._judge, whole=self._whole)

    def act(self, sheet: Sheet) -> T | Replayed:
        """See `Operation.act`."""
        if (kept := self._kept(sheet)) is not None:
            return kept
        found = sheet.held(self._key)
        if found is None or (self._tenant is not None and found[1].verification.tenant != self._tenant):
            raise NotFound("There is no such verification.")
        entry, held = found
        change = self._rule(held)
        if self._judge is not None:
            sheet.judge(self._judge, whole=self._whole)
        if change.spend is not None:
            sheet.charge(held.verification.tenant, change.spend)
        if self._judge is not None:
            sheet.count(self._judge)
        sheet.apply(entry, held, change)
        self._keep(sheet, change.answer)
        return change.answer


class Unlock(_Once):
    """See `Store.unlock`."""

    def __init__(self, tenant: int, msisdn: Msisdn, once: Once | None) -> None:
        super().__init__(once)
        self._tenant, self._msisdn = tenant, msisdn

    def want(self, wanted: Wanted) -> None:
        """See `Operation.want`."""
        super().want(wanted)
        wanted.number(self._tenant, self._msisdn, *Mode)

    def act(self, sheet: Sheet) -> bool:
        """See `Operation.act`."""
        if self._kept(sheet) is not None:
            raise Conflict("The same request was answered a moment ago; send it again for that answer.")
        numbers = rows.tallies_of(self._tenant, self._msisdn)
        counted = [number for number in numbers if sheet.tallies.get(number, CLEAN) != CLEAN]
        sheet.tallies.update(dict.fromkeys(counted, CLEAN))
        sheet.changed_tallies.update(counted)
        self._keep(sheet, bool(counted))
        return bool(counted)


class Look(_Once):
    """Finds out whether batches can be written, when nobody else asks for one."""

    def __init__(self) -> None:
        super().__init__(None)

    def act(self, sheet: Sheet) -> None:
        """See `Operation.act`."""


def replayed(once: Once, fingerprint: bytes, answer: bytes) -> Replayed:
    """Return a kept answer. Raises: IdempotencyMismatch (it was another request's)."""
    if fingerprint != once.fingerprint:
        raise IdempotencyMismatch("This Idempotency-Key came before with another request; use a new key.")
    return Replayed(answer)
