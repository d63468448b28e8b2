"""A page on the web where people leave their proved number: its versions, its visits and its leads.

1. A published version never changes; going back publishes the former octets once more, under a new number.
2. A lead is written once for each verification, in the same commit that ends its visit.
3. What a visitor typed before the number was proved is forgotten within hours.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from dastak.core.ids import VerificationId
from dastak.core.msisdn import Msisdn
from dastak.core.tenant import Mode

SLUG_CHARACTERS_MAX: Final = 60
KEEP_DAYS_DEFAULT: Final = 90
KEEP_DAYS_MAX: Final = 730
PAGES_MAX: Final = 200
VERSIONS_SHOWN_MAX: Final = 50
IMAGES_PER_PAGE_MAX: Final = 10
# For so long one that was uploaded waits for its editor to save it, and makes no room for others.
IMAGE_UNSAVED_KEPT: Final = timedelta(hours=1)
LEADS_SHOWN_MAX: Final = 200
LEADS_EXPORTED_MAX: Final = 50_000
# Longer than the longest life of a code; then what was typed is forgotten and only counts stay.
VISIT_KEPT: Final = timedelta(hours=2)
# A server asks for a lead right after its visitor was sent on.
TOKEN_KEPT: Final = timedelta(minutes=5)


class PageState(StrEnum):
    """Whether visitors see a page."""

    DRAFT = "draft"  # never published
    LIVE = "live"
    CLOSED = "closed"


class Variant(StrEnum):
    """Which of two ways to say it a visitor saw."""

    A = "a"
    B = "b"


class Step(StrEnum):
    """How far a visit came; each step has all before it."""

    SEEN = "seen"
    GIVEN = "given"
    SENT = "sent"
    DELIVERED = "delivered"
    ENTERED = "entered"
    APPROVED = "approved"


class LandingPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page as its makers see it.

    Attributes:
        n: Its number in the store; 0 before.
        mode: Whose phones it reaches: the virtual ones, the service's own numbers, or everybody's.
        slug: Its name in the address, unique in this installation.
        host: A host of the customer whose root shows this page; None: there is none.
        live: The version that visitors see; 0: it was never published.
        draft: What the editor has, as JSON; see `web.landing.design`.
        draft_edition: Rises with each save, so that two editors do not undo each other unseen.
        keep_days: For how long its leads are kept.
    """

    n: int
    tenant: int
    service: int
    mode: Mode
    slug: str
    host: str | None
    state: PageState
    live: int
    draft: bytes
    created_at: datetime
    draft_edition: int = 0
    keep_days: int = KEEP_DAYS_DEFAULT


class PageVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What was published once: who did it, when and why, and the exact octets."""

    page: int
    version: int
    at: datetime
    author: str
    reason: str
    body: bytes


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody agreed to.

    Attributes:
        field: The field that was ticked.
        text: The sentence, as it stood on the page.
        text_version: The first digits of its SHA-256.
        ip_digest: A keyed hash of the address it came from: proves a known address, tells no unknown one.
    """

    field: str
    text: str
    text_version: str
    language: str
    at: datetime
    ip_digest: str
    page_version: int


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One form that was sent in and waits for its code.

    Attributes:
        token_digest: SHA-256 of the secret in its address.
        browser: SHA-256 of the browser's cookie; None where a foreign frame keeps cookies away.
        verification: None until the code is asked for.
        values: What was typed, by the fields' names.
        experiment: Which comparison of two variants it counts in; empty: in none.
        lead: The number of the lead it became; 0: none yet.
    """

    token_digest: bytes
    page: int
    version: int
    variant: Variant
    language: str
    at: datetime
    browser: bytes | None
    verification: VerificationId | None
    values: Mapping[str, str]
    consents: tuple[Consent, ...] = ()
    experiment: str = ""
    entered: bool = False
    lead: int = 0


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who proved a number.

    Attributes:
        n: Its number in the store; rises with time, and is 0 before.
        gone_at: When it is deleted.
    """

    page: int
    version: int
    variant: Variant
    language: str
    msisdn: Msisdn
    at: datetime
    gone_at: datetime
    verification: VerificationId
    values: Mapping[str, str]
    consents: tuple[Consent, ...]
    n: int = 0


class PageImage(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of a page, found by the digest of its octets."""

    page: int
    name: str
    kind: str
    width: int
    height: int
    octets: bytes


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many visits of one variant in one language came to one step."""

    variant: Variant
    language: str
    step: Step
    visits: int


class RouteCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many visits one route brought to one step: `sent`, `delivered` or `approved`.

    A visit counts at each route that took a message of it, and as approved at the last of them.
    """

    route: str
    step: Step
    visits: int


class LeadFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which leads of a page to list, newest first.

    Attributes:
        contains: A part of the number or of what was typed.
        before: The number of the last lead of the page before; None begins.
    """

    page: int
    language: str | None = None
    variant: Variant | None = None
    since: datetime | None = None
    until: datetime | None = None
    contains: str = ""
    before: int | None = None
    limit: int = LEADS_SHOWN_MAX
