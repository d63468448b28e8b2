"""The webhook of a landing page: what it is told of a lead, when it is told again, and when that ends.

1. A lead waits for its webhook from the commit that makes it, and its message has the same id each time.
2. Whatever is no 2xx is a failure, also a redirect; 410 turns the webhook off until it is saved again.
3. No body has a code; the number is whole, because it is what the page's owner asked for.

Source: Standard Webhooks, "Payload structure" and "Operational considerations".
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, Protocol

import msgspec

from dastak.core import ids
from dastak.core.ids import VerificationId
from dastak.core.landing import Lead

EVENT: Final = "lead.verified"
BODY_OCTETS_MAX: Final = 20_000
# After the first try, which is made at once; three days in all.
WAITS_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
TRIES_MAX: Final = len(WAITS_S) + 1
RETRY_AFTER_S_MAX: Final = 86_400
JITTER: Final = 0.15
GONE: Final = 410
_BUSY: Final = (429, 502, 503, 504)


class HookState(StrEnum):
    """What became of telling a lead."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class LeadHook(msgspec.Struct, frozen=True, kw_only=True):
    """Where the leads of a page are told.

    Attributes:
        secret: Sealed: what requests are signed with.
        off: Whether its server said that the address is gone.
        before: The secret before this one, sealed.
        before_until: Until when requests are signed with that one as well.
    """

    page: int
    url: str
    secret: bytes
    off: bool = False
    before: bytes | None = None
    before_until: datetime | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How far one lead is told.

    Attributes:
        due_at: When it is tried next, while it waits.
        error: Why the last try failed; empty if it did not.
    """

    state: HookState
    tries: int
    due_at: datetime
    error: str = ""


class DueLead(msgspec.Struct, frozen=True, kw_only=True):
    """A lead to tell now. `slug` is the page's name in its address, `tries` how often it was told in vain."""

    hook: LeadHook
    slug: str
    lead: Lead
    tries: int


class LeadHookStore(Protocol):
    """The webhooks in the database; it raises `Overloaded` as `Store` does."""

    async def put_hook(self, hook: LeadHook, *, now: datetime) -> None:
        """Set the webhook of a page; what waits is due now, and has all its tries again."""

    async def hook(self, page: int) -> LeadHook | None:
        """Return the webhook of a page, or None."""

    async def rotate_hook(self, page: int, secret: bytes, *, before_until: datetime) -> bool:
        """Give a webhook a new secret beside the one it has; False if there is no webhook."""

    async def remove_hook(self, page: int) -> None:
        """Take the webhook of a page away; what waits is given up."""

    async def turn_off(self, hook: LeadHook) -> None:
        """Stop telling leads to a webhook, unless it was set anew since."""

    async def due(self, now: datetime, *, each: int, limit: int) -> Sequence[DueLead]:
        """List what is to be told now, the longest due first, and of each page so many at most."""

    async def note(self, verification: VerificationId, delivery: Delivery) -> None:
        """Write down what became of a try."""

    async def again(self, page: int, *, now: datetime) -> None:
        """Have all that was given up of a page tried again."""

    async def deliveries(self, of: Sequence[VerificationId]) -> Mapping[VerificationId, Delivery]:
        """Return how far leads are told; those that never were to be told are left out."""


def message_id(lead: Lead) -> str:
    """Return the id of a lead's message, the same one each time it is sent."""
    return f"msg_{sha256(b'lead/' + lead.verification).hexdigest()[:32]}"


def body_of(lead: Lead, slug: str) -> bytes:
    """Write down what a webhook is told; `cut` says that the longest values did not fit and were left out."""
    values = dict(lead.values)
    body = _body(lead, slug, values, cut=False)
    while len(body) > BODY_OCTETS_MAX and values:
        del values[max(values, key=lambda name: len(values[name]))]
        body = _body(lead, slug, values, cut=True)
    return body


def _body(lead: Lead, slug: str, values: Mapping[str, str], *, cut: bool) -> bytes:
    data: Mapping[str, Any] = {
        "page": slug,
        "page_version": lead.version,
        "variant": lead.variant.value,
        "language": lead.language,
        "verification": ids.show(lead.verification),
        "msisdn": lead.msisdn,
        "at": lead.at,
        "deleted_at": lead.gone_at,
        "values": values,
        "cut": cut,
        "consents": [
            {"field": one.field, "text_version": one.text_version, "language": one.language, "at": one.at}
            for one in lead.consents
        ],
    }
    return msgspec.json.encode({"type": EVENT, "timestamp": lead.at, "data": data})


def judge(
    status: int | None, error: str, *, tries: int, now: datetime, chance: float, retry_after: str = ""
) -> Delivery:
    """Say what follows from a try.

    Args:
        status: What the server answered; None: it did not.
        error: Why not.
        tries: How many were made, with this one.
        now: The present instant.
        chance: 0 to 1, so that not all come again at one moment.
        retry_after: What the server said of when to come again.
    """
    if status is not None and 200 <= status <= 299:
        return Delivery(state=HookState.SENT, tries=tries, due_at=now)
    said = error if status is None else f"It answered {status}."
    if tries >= TRIES_MAX:
        return Delivery(state=HookState.FAILED, tries=tries, due_at=now, error=said)
    wait_s = WAITS_S[tries - 1] * (1 + JITTER * (2 * chance - 1))
    if status in _BUSY:
        wait_s = max(wait_s, _asked_s(retry_after, now))
    return Delivery(state=HookState.WAITING, tries=tries, due_at=now + timedelta(seconds=wait_s), error=said)


def _asked_s(retry_after: str, now: datetime) -> float:
    """Read `Retry-After`: seconds or a date; what cannot be read asks for nothing."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(int(retry_after[:9]), RETRY_AFTER_S_MAX)
    try:
        until = parsedate_to_datetime(retry_after)
        return min((until - now).total_seconds(), RETRY_AFTER_S_MAX)
    except (ValueError, TypeError):
        return 0.0
