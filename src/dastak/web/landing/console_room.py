"""What all pages of the page builder share: who is signed in, which page it is, and that a form is ours."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import NotFound
from dastak.core.landing import LandingPage, Variant
from dastak.core.landing_store import LandingStore
from dastak.web.browser_session import check_form, form_token
from dastak.web.landing.code_preview import code_lines
from dastak.web.landing.design import Design, Image, decode
from dastak.web.landing.lead_webhook import LeadWebhook
from dastak.web.landing.page_drawing import TEMPLATE, Showing, sheet, sheet_name, values_of
from dastak.web.landing.page_login import PageLogins
from dastak.web.landing.publish_checks import Fault, Surroundings, faults
from dastak.web.page_answers import refuse_foreign, row_in, see_other
from dastak.web.page_house import Handler, PageHouse
from dastak.web.page_words import LANGUAGES, words_of

HOME: Final = "/console/pages"
# What stands below it about one page.
ONE: Final = "/{page:int}"
FORM: Final = "landing"
# What of a page is previewed.
PREVIEWS: Final[Mapping[str, str]] = {
    "form": "The form",
    "code": "The code page",
    "done": "The thanks",
}


class Author(msgspec.Struct, frozen=True):
    """Who builds pages.

    Attributes:
        tenant: The one tenant whose pages these are; None is all.
        secret: What only this browser's session knows; forms are signed with it.
    """

    name: str
    tenant: int | None
    secret: str


log = logging.getLogger("dastak.audit")

Who = Callable[[Request], Awaitable[Author | None]]
SignIn = Callable[[str], str]


class ConsoleRoom(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that the pages of the page builder are made with.

    Attributes:
        webhook: Where leads are told to.
        logins: The sites that pages may log their visitors in at.
        who: Says who is signed in.
        sign_in: Returns where one signs in to come back to a path.
    """

    house: PageHouse
    store: LandingStore
    webhook: LeadWebhook
    logins: PageLogins
    who: Who
    sign_in: SignIn

    def guarded(self, handler: "Guarded") -> Handler:
        """Let only those in who are signed in; all others are sent to sign in and come back."""

        async def answered(request: Request) -> Response:
            author = await self.who(request)
            if author is None:
                return see_other(self.sign_in(request.url.path))
            return await handler(request, author)

        return self.house.for_people(answered)

    def route(self, path: str, handler: "Guarded", method: str = "GET") -> Route:
        """Return the route of a path below `HOME`, for those who are signed in."""
        return Route(HOME + path, self.guarded(handler), methods=[method])

    async def page(self, request: Request, author: Author) -> tuple[LandingPage, Design]:
        """Return the page of an address, and its draft. Raises: NotFound (none of this author's)."""
        page = await self.store.page(row_in(request, "page"))
        if author.tenant is not None and page.tenant != author.tenant:
            raise NotFound("There is no such page.")
        return page, decode(page.draft)

    def check(self, request: Request, author: Author, form: Mapping[str, str]) -> None:
        """Refuse a form that this session was not shown. Raises: Forbidden."""
        refuse_foreign(request, self.house.origin_of(request))
        check_form(author.secret, FORM, form.get("form"))

    def tell(self, author: Author, action: str, page: LandingPage, what: str = "") -> None:
        """Tell the audit log what somebody did to a page, and to what of it."""
        on = f"page {page.n} {page.slug} {what}".rstrip()
        log.info("%s: done", action, extra={"action": action, "actor": author.name, "on": on})

    def show(self, template: str, author: Author, values: Mapping[str, Any], status: int = 200) -> Response:
        """Answer with a page of the page builder."""
        shared = {
            "home": HOME,
            "form": form_token(author.secret, FORM),
            "author": author.name,
            "public_url": self.house.public_url,
        }
        return self.house.show(template, words_of("en"), {**shared, **values}, status, frames=("'self'",))

    async def faults(self, page: LandingPage, design: Design) -> tuple[Fault, ...]:
        """Return what keeps a draft from being published."""
        pictures = {}
        for name in pictures_of(design):
            try:
                pictures[name] = len((await self.store.image(page.n, name)).octets)
            except NotFound:
                continue
        around = Surroundings(
            slug=page.slug,
            host=page.host,
            domains=self.house.directory.service_of(page.service).domains,
            languages=LANGUAGES,
            pictures=pictures,
            page_octets=self._octets(page, design),
            client=await self.logins.client(page, design.log_in_at),
        )
        return faults(design, around)

    def _octets(self, page: LandingPage, design: Design) -> int:
        """Return how large a page is in its largest language, with its style sheet."""
        try:
            css = len(sheet(sheet_name(design)))
        except NotFound:
            return 0  # the theme is at fault, which is said elsewhere
        return css + max(
            len(self.drawn(page, design, tag, Variant.A, "form").encode())
            for tag in design.languages
            if tag in LANGUAGES
        )

    def drawn(self, page: LandingPage, design: Design, language: str, variant: Variant, stage: str) -> str:
        """Draw a page as its visitors see it."""
        words = words_of(language if language in design.languages else design.languages[0])
        lines = code_lines(self.house, page, words) if stage == "code" else {"back": None, "back_label": ""}
        showing = Showing(
            words=words,
            variant=variant,
            stage=stage,
            here=f"{HOME}/{page.n}/preview",
            images=f"{HOME}/{page.n}/image",
            looks=f"{HOME}/look",
            lines=lines,
        )
        return self.house.templates.render(TEMPLATE, words, values_of(design, showing))


Guarded = Callable[[Request, Author], Awaitable[Response]]


def pictures_of(design: Design) -> set[str]:
    """Return the names of all pictures of a design."""
    shown = (block.image for block in design.blocks if isinstance(block, Image))
    return {name for name in (*shown, design.logo) if name is not None}
