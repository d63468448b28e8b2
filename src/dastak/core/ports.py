"""The outside world as the flows see it: clock, entropy, store, limits, routes and keys, in one argument.

1. A rule is run by the store while it holds what the rule is about: two rules never see the same past.
2. A `Change` is written whole or not at all, and awaited until it is durable.
3. A rule that raises changes nothing, and only its own caller hears of it.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from dastak.core.call_price import CallPrice
from dastak.core.call_report import CallReport, ReportPage
from dastak.core.call_rules import CallRules
from dastak.core.call_terms import FREE, CallTerms
from dastak.core.codes import KeyRing
from dastak.core.errors import RateLimited, TooLate
from dastak.core.events import AnyEvent, Event
from dastak.core.factor import Factor
from dastak.core.ids import FactorId, VerificationId
from dastak.core.lockout import Tally
from dastak.core.message import CarrierRef, Message, MessageKey, RecordedText
from dastak.core.msisdn import Msisdn
from dastak.core.node import Lease, in_hand
from dastak.core.past_use import Judge, PastCall, PastSend
from dastak.core.scrubbing import Dlt
from dastak.core.sealer import Sealer
from dastak.core.spend import Correction, Spend
from dastak.core.tenant import ApiKey, Caller, Mode, Service, Tenant
from dastak.core.verification import State, Verification
from dastak.core.way_out import Routes

T = TypeVar("T")
# Looks at all services there are, while nobody else can change one.
ServiceRule = Callable[[tuple[Service, ...]], None]


class Held(msgspec.Struct, frozen=True):
    """What the store holds while a rule decides.

    Attributes:
        tally: The wrong attempts of the verification's number, those of test keys apart. What asks for a
            message does not judge codes, and may find it clean.
        message: The message that was asked for, where one was.
        factor: What the verification asks for, where it is a code of the person's own.
    """

    verification: Verification
    tally: Tally
    message: Message | None = None
    factor: Factor | None = None


class Change(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What the store writes, whole or not at all.

    Attributes:
        answer: What the flow wants to know of it.
        verification: As it shall stand; None leaves it.
        events: Appended to its timeline.
        tally: As it shall stand; None leaves it.
        message: A message as it shall stand, new or known; None leaves all.
        trace: Appended to that message's events.
        follow_up: A new message that comes after that one, because it did not arrive.
        follow_up_trace: The events it begins with.
        spend: Charged in the same commit; over a cap refuses the change.
        correction: Of what was set aside for a call, in the same commit; no cap refuses it.
        factor: As it shall stand; None leaves it.
    """

    answer: T
    verification: Verification | None = None
    events: tuple[Event, ...] = ()
    tally: Tally | None = None
    message: Message | None = None
    trace: tuple[Event, ...] = ()
    follow_up: Message | None = None
    follow_up_trace: tuple[Event, ...] = ()
    spend: Spend | None = None
    factor: Factor | None = None
    correction: Correction | None = None


class Opening(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A new verification, with its first message if it asks for a code that is sent.

    Attributes:
        answer: What the flow wants back, as in `Change`.
        supersede: Ends a pending one that this one replaces; see `core.verification.replaces`.
        judge: Says whether its number may be sent it, where the database counts that.
    """

    answer: T
    verification: Verification
    message: Message | None
    events: tuple[Event, ...]
    trace: tuple[Event, ...]
    supersede: Callable[[Verification], Change[None]]
    spend: Spend | None = None
    judge: Judge | None = None


class Once(msgspec.Struct, frozen=True):
    """An Idempotency-Key: the same request again gets the first answer, and changes nothing.

    Attributes:
        key: 32 octets: a digest of tenant, endpoint and Idempotency-Key.
        fingerprint: 16 octets: a digest of the request; another one under the same key is refused.
        asked_at: When the request came; its answer is kept a day from then.
        render: Makes the answer that is kept from what the operation returns.
    """

    key: bytes
    fingerprint: bytes
    asked_at: datetime
    render: Callable[[Any], bytes]


class Replayed(msgspec.Struct, frozen=True):
    """The kept answer of an earlier request with the same Idempotency-Key."""

    answer: bytes


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which verifications to list, newest first.

    Attributes:
        before: The cursor of the page before; None begins.
    """

    tenant: int
    service: int | None = None
    msisdn: Msisdn | None = None
    state: State | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    before: int | None = None
    limit: int = 50


class Page(msgspec.Struct, frozen=True):
    """One page of a list; `cursor` asks for the next one and is None at the end."""

    verifications: tuple[Verification, ...]
    cursor: int | None


class Swept(msgspec.Struct, frozen=True):
    """What one sweep did: the verifications whose time ran out, and how many old ones it deleted."""

    expired: tuple[tuple[Verification, tuple[Event, ...]], ...]
    deleted: int


class Tenancy(msgspec.Struct, frozen=True):
    """All tenants, services and keys, as of one revision."""

    revision: int
    tenants: tuple[Tenant, ...]
    services: tuple[Service, ...]
    keys: tuple[ApiKey, ...]


class FactorStore(Protocol):
    """The factors in the database; it raises `Overloaded` as `Store` does."""

    async def put_factor(self, factor: Factor, *, once: Once | None = None) -> Factor:
        """Insert a factor; of as many as a number may have, the oldest that nobody proved gives way to it.

        Raises:
            Conflict: The number has as many proved ones as it may have, or had a printed list with this seed;
                or `once` was answered since it was last looked for.
        """

    async def find_factor(self, tenant: int, factor_id: FactorId) -> Factor:
        """Return a factor. Raises: NotFound (the tenant has none such)."""

    async def factors_of(self, tenant: int, mode: Mode, msisdn: Msisdn) -> Sequence[Factor]:
        """Return the factors of a number that are not removed, newest first."""

    async def move_factor(
        self,
        tenant: int,
        factor_id: FactorId,
        rule: Callable[[Factor], Factor],
        *,
        once: Once | None = None,
    ) -> Factor:
        """Run a rule on a factor while nobody else can change it, and return what was written.

        Raises:
            NotFound: The tenant has no such factor.
            Conflict: `once` was answered since it was last looked for.
            DastakError: Whatever the rule raises; nothing was written.
        """


class Store(Protocol):
    """The database. Every awaited change is durable when it returns.

    All of it raises `Overloaded` when the database cannot write now (full disk, full queue).
    """

    @property
    def factors(self) -> FactorStore:
        """The factors in it."""

    def open(self, opening: Opening[T], *, once: Once | None = None) -> Awaitable[T | Replayed]:
        """Write a new verification and return the opening's answer.

        Raises: IdempotencyMismatch (`once` was of another request), Refused (the spend cap, or by the judge).
        """

    def decide(
        self,
        key: VerificationId | MessageKey | CarrierRef,
        rule: Callable[[Held], Change[T]],
        *,
        tenant: int | None = None,
        once: Once | None = None,
        judge: Judge | None = None,
    ) -> Awaitable[T | Replayed]:
        """Run a rule on one verification and write what it decides.

        Args:
            key: The verification, or one of its messages (then `Held.message` is that one).
            rule: Pure; run while nobody else can change what it sees.
            tenant: When given, a verification of another tenant is not found.
            once: Makes the request idempotent.
            judge: Asked after the rule whether the number may have what is about to be written.

        Raises:
            NotFound: There is no such thing.
            IdempotencyMismatch: `once` was used for another request.
            DastakError: Whatever the rule or the judge raises; nothing was written.
        """

    async def kept(self, once: Once) -> Replayed | None:
        """Return the kept answer of a request with this Idempotency-Key, if there is one.

        Raises:
            IdempotencyMismatch: It was another request.
        """

    async def find(self, tenant: int, verification_id: VerificationId) -> Held:
        """Return one verification as last committed. Raises: NotFound."""

    async def timeline(self, tenant: int, verification_id: VerificationId) -> Sequence[AnyEvent]:
        """Return all its events and those of its messages, in order of time. Raises: NotFound."""

    async def list(self, wanted: Filter) -> Page:
        """Return one page of verifications, newest first."""

    async def due(self, now: datetime, *, lease_until: datetime, limit: int) -> Sequence[Held]:
        """Take messages due, to be offered or for want of a receipt; nobody else gets them for a while."""

    async def recover(self, now: datetime) -> int:
        """Make every queued message due; those that were in the hands of an earlier process get an event."""

    async def sweep(self, now: datetime, *, keep_after: datetime, limit: int) -> Swept:
        """Expire what is over, delete what was created before `keep_after`; `limit` of each at most."""

    async def sends_since(self, since: datetime) -> Sequence[PastSend]:
        """Return the sends of all verifications created since then, so that limits outlive a restart."""

    async def calls_since(self, since: datetime) -> Sequence[PastCall]:
        """Return the calls of all verifications created since then, so that limits outlive a restart."""

    async def reports(self, tenant: int, *, before: int | None = None, limit: int = 50) -> ReportPage:
        """List the calls of a tenant that their persons did not ask for, newest first."""

    async def reports_since(self, since: datetime) -> Sequence[CallReport]:
        """Return those of all tenants since then."""

    async def recorded_texts(self, since: datetime, *, limit: int) -> Sequence[RecordedText]:
        """Return the texts to carriers of all verifications created since then, the newest first."""

    async def latest_at(self) -> datetime | None:
        """Return the newest instant the database knows, so that a clock set back can be seen."""

    async def tenancy(self) -> Tenancy:
        """Return all tenants, services and keys."""

    async def tenancy_revision(self) -> int:
        """Return a number that rises with every change of tenancy, by any process."""

    async def put_tenant(self, tenant: Tenant, *, once: Once | None = None) -> Tenant:
        """Insert (n=0) or replace a tenant.

        Raises:
            Conflict: The name is taken, or `once` was answered since it was last looked for (see `kept`);
                so too in the three operations below.
        """

    async def put_service(
        self, service: Service, *, rule: ServiceRule | None = None, once: Once | None = None
    ) -> Service:
        """Insert (n=0) or replace a service, if `rule` finds nothing against it.

        Raises: Conflict (the name is taken), or what `rule` raises; nothing was written.
        """

    async def put_key(
        self, key: ApiKey, *, predecessor: ApiKey | None = None, once: Once | None = None
    ) -> ApiKey:
        """Insert or replace a key, and the one it comes after in the same commit."""

    async def unlock(self, tenant: int, msisdn: Msisdn, *, once: Once | None = None) -> bool:
        """Forget a number's wrong attempts, of every mode; False when there were none."""


class Clock(Protocol):
    """The time, aware UTC; never runs backwards and never slower than the monotonic clock."""

    def now(self) -> datetime:
        """Return the present instant."""

    def ring(self, after_s: float, bell: Callable[[], None]) -> Callable[[], None]:
        """Call `bell` once after so many seconds, unless the answer is called before."""


class Limits(Protocol):
    """How often somebody may ask."""

    async def take(self, caller: Caller, msisdn: Msisdn, client_ip: str | None, *, now: datetime) -> None:
        """Count one send against every limit. Raises: RateLimited (one is met; nothing was counted)."""

    def judge(self, caller: Caller, msisdn: Msisdn, *, now: datetime) -> Judge | None:
        """Return who judges what a number had, where the database counts that; None: `take` did."""

    def give_back(self, caller: Caller, msisdn: Msisdn, client_ip: str | None) -> None:
        """Uncount one send that was counted and that nobody got."""


class Calls(Protocol):
    """How often a number may be called."""

    def refusal(self, mode: Mode, msisdn: Msisdn, *, now: datetime) -> RateLimited | None:
        """Return why a number may not be called now, as far as this node knows; count nothing."""

    def rest_s(self, mode: Mode, msisdn: Msisdn, *, now: datetime) -> int:
        """Return for how many seconds a number that reported a call is not called unasked; 0 is none."""

    def take(self, mode: Mode, msisdn: Msisdn, *, now: datetime) -> None:
        """Count one call. Raises: RateLimited (the number was called too often; nothing was counted)."""

    def judge(self, mode: Mode, msisdn: Msisdn, key: MessageKey, *, now: datetime) -> Judge | None:
        """Return who judges a call instead of `take`, where the database counts."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a flow may touch.

    Attributes:
        entropy: Returns that many random octets.
        publish: Tells the listeners what was committed.
        hand_over: Gives the worker a message that was just committed.
        look_for: Names the worker one of which nobody knows whether it was committed.
        service_of, tenant_of: Return a service, and a tenant, by its number in the store.
        is_stopped: Says whether a number asked a tenant for no more, which binds keys of one mode.
        receipt_within_s: How long a route may take for the receipt of a message to a number.
        deadline_is_learned: Whether that comes from receipts, or is only where the route begins.
        price_micros: Returns what one segment of a text costs at most, for the spend cap.
        call_price: Returns what a trunk takes for calls to a number, be it in use or not; None if unknown.
        call_terms: Says whether a tenant's service may call a number by any trunk, and at which price.
        believes: Whether a receipt of a route that says delivered is believed.
        may_hedge: Whether one more text of a route may be followed before it answers; that is counted.
        learn_network: Told the MCC and MNC of a number, where a receipt names them.
        lease: Says who has a message in hand that is committed now, and when it is due for others.
        too_late: Says why the first message of one could not leave in time, if so; that is counted.
    """

    clock: Clock
    entropy: Callable[[int], bytes]
    store: Store
    limits: Limits
    calls: Calls
    routes: Routes
    keys: KeyRing
    sealer: Sealer
    dlt: Dlt
    publish: Callable[[Verification, Sequence[Event]], None]
    hand_over: Callable[[Verification, Message], None]
    look_for: Callable[[Message], None]
    service_of: Callable[[int], Service]
    tenant_of: Callable[[int], Tenant]
    is_stopped: Callable[[int, Mode, Msisdn], Awaitable[bool]]
    receipt_within_s: Callable[[str, Msisdn], float]
    deadline_is_learned: Callable[[str, Msisdn], bool]
    price_micros: Callable[[], int]
    call_price: Callable[[str, Msisdn], CallPrice | None] = lambda _route, _msisdn: None
    call_terms: Callable[[Mode, int, CallRules, Msisdn], CallTerms] = lambda *_: FREE
    believes: Callable[[str], bool] = lambda _route: True
    may_hedge: Callable[[str], bool] = lambda _route: True
    learn_network: Callable[[Msisdn, str], None] = lambda _msisdn, _operator: None
    lease: Callable[[datetime], Lease] = in_hand
    too_late: Callable[[Verification], TooLate | None] = lambda _verification: None
