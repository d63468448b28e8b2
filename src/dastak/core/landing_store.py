"""Where landing pages, their visits and their leads are written down, as who makes and shows them sees it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from dastak.core.ids import VerificationId
from dastak.core.landing import (
    Count,
    LandingPage,
    Lead,
    LeadFilter,
    PageImage,
    PageVersion,
    RouteCount,
    Variant,
    Visit,
)


class LandingStore(Protocol):
    """The pages in the database; it raises `Overloaded` as `Store` does."""

    async def put_page(self, page: LandingPage) -> LandingPage:
        """Insert (n=0) or replace a page; what it replaces has the draft edition before.

        A page whose service has not got the host among its domains gives it up to one whose service has.

        Raises:
            Conflict: The slug or the host is another page's, there are too many, or somebody saved since.
        """

    async def page(self, n: int) -> LandingPage:
        """Return a page. Raises: NotFound."""

    async def page_named(self, slug: str) -> LandingPage:
        """Return the page of a slug. Raises: NotFound."""

    async def page_at(self, host: str) -> LandingPage | None:
        """Return the page that a customer's host shows, or None."""

    async def pages(self, tenant: int | None) -> Sequence[LandingPage]:
        """List a tenant's pages, newest first; with None those of all tenants."""

    async def publish(
        self, version: PageVersion, *, edition: int | None = None, back: bool = False
    ) -> LandingPage:
        """Append a version, whose number is given here, and show it to visitors from now on.

        Args:
            version: Its body is the draft from now on.
            edition: The draft's that was published; None asks for none.
            back: The body is an earlier version's: a draft that was not published stays as it is, and a page
                that is closed stays closed.

        Raises:
            NotFound: There is no such page.
            Conflict: The draft was saved since that edition.
        """

    async def version(self, page: int, n: int) -> PageVersion:
        """Return a version as it was published. Raises: NotFound."""

    async def versions(self, page: int) -> Sequence[PageVersion]:
        """List the versions of a page, newest first."""

    async def put_image(self, image: PageImage, *, now: datetime, beside: Collection[str] = ()) -> None:
        """Keep a picture; where there are too many, those go that neither the draft nor a version names.

        One that no draft has named yet stays for `IMAGE_UNSAVED_KEPT`: its editor may be about to save it.

        Args:
            image: The picture.
            now: The present instant.
            beside: The names of those that come with it, which the draft will name as well.

        Raises:
            Conflict: The page has as many as it may have.
        """

    async def image(self, page: int, name: str) -> PageImage:
        """Return a picture. Raises: NotFound."""

    async def count_seen(self, page: int, variant: Variant, language: str, *, experiment: str = "") -> None:
        """Count that somebody new saw a page; or, of an experiment, that somebody new to that saw it."""

    async def put_visit(self, visit: Visit) -> None:
        """Write a visit down; one with the same token is replaced, but never undone."""

    async def find_visit(self, token_digest: bytes) -> Visit:
        """Return a visit. Raises: NotFound (unknown, or over)."""

    async def note_entered(self, token_digest: bytes) -> None:
        """Note that a code was typed."""

    async def win(self, token_digest: bytes, lead: Lead, *, exchange: bytes | None, until: datetime) -> int:
        """Make a visit's lead, once however often it is asked for.

        Args:
            token_digest: The visit.
            lead: What is kept; not for longer than its page says then.
            exchange: SHA-256 of the token that a server may exchange for it; None: there is none.
            until: When that token is worth nothing any more.

        Returns:
            The lead's number; the first one's when there is one already.

        Raises:
            NotFound: There is no such visit, or no such page.
        """

    async def exchange(self, tenant: int, token_digest: bytes, *, now: datetime) -> tuple[LandingPage, Lead]:
        """Return the lead of a one-time token, which is then used up. Raises: NotFound."""

    async def leads(self, wanted: LeadFilter) -> Sequence[Lead]:
        """List leads, newest first."""

    async def lead_count(self, page: int) -> int:
        """Say how many leads a page has."""

    async def keep_leads(self, page: int, days: int) -> None:
        """Have no lead of a page stay for longer than so many days after it came."""

    async def delete_lead(self, page: int, n: int) -> bool:
        """Forget a lead, as its person may ask; False when there is none."""

    async def funnel(self, page: int, experiment: str = "") -> Sequence[Count]:
        """Return how far the visits of a page came; with an experiment those alone that are part of it."""

    async def funnel_by_route(self, page: int) -> Sequence[RouteCount]:
        """Return how far visits came by each route, as long as any of its messages was taken."""

    async def lead_of(self, verification: VerificationId) -> Lead | None:
        """Return what a verification became."""
