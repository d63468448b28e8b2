"""Rows of landing pages, read back into records."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from dastak.core.errors import NotFound
from dastak.core.events import MessageSubmitted, from_lines
from dastak.core.ids import VerificationId
from dastak.core.landing import Consent, LandingPage, Lead, PageState, PageVersion, Variant, Visit
from dastak.core.msisdn import Msisdn
from dastak.core.tenant import Mode
from dastak.store import rows


class PageRecord(msgspec.Struct, frozen=True):
    """What stands in the column `record` of a page."""

    service: int
    mode: Mode
    state: PageState
    created_at: datetime
    keep_days: int


class VisitRecord(msgspec.Struct, frozen=True):
    """What stands in the column `record` of a visit."""

    version: int
    browser: bytes | None
    values: Mapping[str, str]
    consents: tuple[Consent, ...]


class LeadRecord(msgspec.Struct, frozen=True):
    """What stands in the column `record` of a lead."""

    version: int
    values: Mapping[str, str]
    consents: tuple[Consent, ...]


_BETWEEN_DIGITS: Final = str.maketrans("", "", "-()")
_OF_NUMBERS: Final = "+0123456789"
_PAGE: Final = msgspec.json.Decoder(PageRecord)
_VISIT: Final = msgspec.json.Decoder(VisitRecord)
_LEAD: Final = msgspec.json.Decoder(LeadRecord)


def found(row: rows.Row | None) -> rows.Row:
    """Let a row pass. Raises: NotFound (there is none)."""
    if row is None:
        raise NotFound("There is no such page, version or visit.")
    return row


def page_of(row: rows.Row) -> LandingPage:
    """Read a row of `page_by_n`."""
    n, tenant, slug, host, edition, live, record, draft = row
    said = _PAGE.decode(record)
    return LandingPage(
        n=n,
        tenant=tenant,
        slug=slug,
        host=host,
        draft_edition=edition,
        live=live,
        draft=draft,
        **msgspec.structs.asdict(said),
    )


def number_in(text: str) -> str:
    """Return a part of a number as numbers are kept, without what people write between their digits.

    It is empty where the text is none.
    """
    number = "".join(text.translate(_BETWEEN_DIGITS).split())
    return "" if number.strip(_OF_NUMBERS) else number


def as_recorded(text: str) -> str:
    """Return a text as it stands in the column `record`, which is JSON, within what was typed."""
    return msgspec.json.encode(text).decode()[1:-1]


def version_of(row: rows.Row) -> PageVersion:
    """Read a row of `version`."""
    page, version, at, author, reason, body = row
    return PageVersion(
        page=page, version=version, at=rows.from_ms(at), author=author, reason=reason, body=body
    )


def visit_of(row: rows.Row) -> Visit:
    """Read a row of `visit`."""
    token_digest, page, at, variant, language, experiment, verification, entered, lead, record = row
    return Visit(
        token_digest=token_digest,
        page=page,
        at=rows.from_ms(at),
        variant=Variant(variant),
        language=language,
        experiment=experiment,
        verification=None if verification is None else VerificationId(verification),
        entered=bool(entered),
        lead=lead,
        **msgspec.structs.asdict(_VISIT.decode(record)),
    )


def lead_of(row: rows.Row) -> Lead:
    """Read a row of `leads`."""
    n, page, at, gone_at, variant, language, msisdn, verification, record = row
    return Lead(
        n=n,
        page=page,
        at=rows.from_ms(at),
        gone_at=rows.from_ms(gone_at),
        variant=Variant(variant),
        language=language,
        msisdn=Msisdn(f"+{msisdn}"),
        verification=VerificationId(verification),
        **msgspec.structs.asdict(_LEAD.decode(record)),
    )


class Carried(NamedTuple):
    """A message of a visit that a route took."""

    visit: bytes
    approved: bool
    ordinal: int
    route: str
    delivered: bool


def carried_of(row: rows.Row) -> Carried | None:
    """Read a row of `landing_carried`; None where no route said that it took the message."""
    visit, approved, ordinal, route, trace, delivered = row
    if route is None:
        took = [event.route for event in from_lines(trace) if isinstance(event, MessageSubmitted)]
        route = took[-1] if took else None
    return None if route is None else Carried(visit, bool(approved), ordinal, route, bool(delivered))
