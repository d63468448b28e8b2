"""Publish a landing page, go back to an earlier version, copy it, close it and show how to embed it."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import Conflict, NotFound
from dastak.core.landing import SLUG_CHARACTERS_MAX, LandingPage, PageImage, PageState, PageVersion, Variant
from dastak.web.landing.console_room import HOME, ONE, Author, ConsoleRoom, pictures_of
from dastak.web.landing.design import decode
from dastak.web.landing.lead_fields import one_line
from dastak.web.page_answers import page, read_form, row_in, see_other

REASON_CHARACTERS_MAX: Final = 200
_COPIES_MAX: Final = 50
_UNPROCESSABLE: Final = 422
_CONFLICT: Final = 409
_SAVED_SINCE: Final = "The draft was saved again since you opened this page. Look at it, then publish."


class PageRelease:
    """The routes of publishing.

    Args:
        room: What all pages of the page builder share.
    """

    def __init__(self, room: ConsoleRoom) -> None:
        self._room, self._store = room, room.store

    def routes(self) -> list[Route]:
        """Return the routes."""
        route = self._room.route
        return [
            route(f"{ONE}/publish", self.ask),
            route(f"{ONE}/publish", self.act, "POST"),
            route(f"{ONE}/versions/{{version:int}}", self.version),
        ]

    async def ask(self, request: Request, author: Author) -> Response:
        """GET what keeps the page from being published, and its versions."""
        found, _ = await self._room.page(request, author)
        return await self._ask(author, found)

    async def act(self, request: Request, author: Author) -> Response:
        """POST a button."""
        form = await read_form(request)
        self._room.check(request, author, form)
        found, _ = await self._room.page(request, author)
        verb, _, place = form.get("do", "").partition(":")
        here = f"{HOME}/{found.n}/publish"
        if verb == "publish":
            return await self._publish(author, found, form)
        if verb == "back" and place.isascii() and place.isdigit():
            former = await self._store.version(found.n, int(place[:9]))
            reason = f"Back to version {former.version}: {former.reason}"
            await self._store.publish(self._version(author, found, former.body, reason), back=True)
            self._room.tell(author, "page_gone_back", found, f"version {former.version}")
            return see_other(f"{here}?done=back")
        if verb in ("close", "open") and found.live:
            state = PageState.CLOSED if verb == "close" else PageState.LIVE
            await self._store.put_page(msgspec.structs.replace(found, state=state))
            self._room.tell(author, "page_closed" if verb == "close" else "page_opened", found)
            return see_other(f"{here}?done={verb}")
        if verb == "copy":
            return see_other(f"{HOME}/{(await self._copy(found)).n}")
        return see_other(here)

    async def version(self, request: Request, author: Author) -> Response:
        """GET a version as it was published."""
        found, _ = await self._room.page(request, author)
        former = await self._store.version(found.n, row_in(request, "version"))
        language = request.query_params.get("lang", "")
        html = self._room.drawn(found, decode(former.body), language, Variant.A, "form")
        return page(html, framed_by=("'self'",))

    async def _publish(self, author: Author, found: LandingPage, form: Mapping[str, str]) -> Response:
        """Publish the draft that the form was shown for, and no later one."""
        design, typed = decode(found.draft), form.get("reason", "")
        reason = one_line(typed)
        complaints = [] if reason else ["Say in a few words what is new."]
        if complaints or await self._room.faults(found, design):
            return await self._ask(author, found, complaints, typed, _UNPROCESSABLE)
        if form.get("edition") != str(found.draft_edition):
            return await self._ask(author, found, [_SAVED_SINCE], typed, _CONFLICT)
        version = self._version(author, found, found.draft, reason)
        try:
            await self._store.publish(version, edition=found.draft_edition)
        except Conflict:
            found = await self._store.page(found.n)
            return await self._ask(author, found, [_SAVED_SINCE], typed, _CONFLICT)
        self._room.tell(author, "page_published", found)
        return see_other(f"{HOME}/{found.n}/publish?done=publish")

    def _version(self, author: Author, found: LandingPage, body: bytes, reason: str) -> PageVersion:
        return PageVersion(
            page=found.n,
            version=0,
            at=self._room.house.ports.clock.now(),
            author=author.name,
            reason=reason[:REASON_CHARACTERS_MAX],
            body=body,
        )

    async def _copy(self, found: LandingPage) -> LandingPage:
        """Make a draft like this page's, with pictures of its own."""
        for n in range(1, _COPIES_MAX):
            ending = "-copy" if n == 1 else f"-copy-{n}"
            slug = found.slug[: SLUG_CHARACTERS_MAX - len(ending)] + ending
            fresh = msgspec.structs.replace(
                found,
                n=0,
                slug=slug,
                host=None,
                live=0,
                state=PageState.DRAFT,
                draft_edition=0,
                created_at=self._room.house.ports.clock.now(),
            )
            try:
                await self._store.page_named(slug)
            except NotFound:
                put = await self._store.put_page(fresh)
                await self._copy_pictures(found, put)
                return put
        raise Conflict("This page has too many copies; rename some.")

    async def _copy_pictures(self, found: LandingPage, put: LandingPage) -> None:
        now = self._room.house.ports.clock.now()
        for name in pictures_of(decode(found.draft)):
            image: PageImage = await self._store.image(found.n, name)
            await self._store.put_image(msgspec.structs.replace(image, page=put.n), now=now)

    async def _ask(
        self,
        author: Author,
        found: LandingPage,
        complaints: list[str] | None = None,
        reason: str = "",
        status: int = 200,
    ) -> Response:
        design = decode(found.draft)
        versions = await self._store.versions(found.n)
        shown = versions[0].body if versions else b""
        values: Mapping[str, Any] = {
            "title": f"{design.brand or found.slug} · Publish",
            "tab": "publish",
            "page": found,
            "design": design,
            "faults": await self._room.faults(found, design),
            "complaints": complaints or [],
            "reason": reason,
            "versions": versions,
            "changed": found.draft != shown,
            "hook": await self._room.webhook.of(found.n),
            "address": f"{self._room.house.public_url}/f/{found.slug}",
        }
        return self._room.show("page_publish.html", author, values, status)
