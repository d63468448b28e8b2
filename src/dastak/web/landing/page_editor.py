"""The editor of landing pages: a list, a beginning, and one form with a preview for a phone and a desktop.

1. Every button works without script; with script the form is kept while one types, and the preview follows.
2. Who saves last does not undo another editor's work unseen: the form knows which draft it was made from, and
   what was written in it, with its pictures, is shown again when it cannot be kept: as it was typed.
3. What is kept while one types changes nothing that visitors of a published page have, nor their leads: its
   address, who gets codes, and for how long leads stay are taken when somebody presses a button.
4. Leads are let go sooner by a button that is called Save alone, and by no number that may be a slip.
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import Conflict, DastakError, InvalidRequest, Overloaded
from dastak.core.landing import (
    KEEP_DAYS_MAX,
    LandingPage,
    PageImage,
    PageState,
    Variant,
)
from dastak.core.tenant import Mode, Service
from dastak.tenancy.console_service import console_service
from dastak.web.landing.console_room import HOME, ONE, PREVIEWS, Author, ConsoleRoom, pictures_of
from dastak.web.landing.design import UTM_NAMES, Corner, Design, Font, checked, encode
from dastak.web.landing.editor_form import (
    KIND_TITLES,
    Edited,
    as_typed,
    edition_of,
    pressed,
    read_design,
    shape_of,
    with_picture,
)
from dastak.web.landing.lead_fields import one_line
from dastak.web.landing.look_alikes import host_fault, slug_fault
from dastak.web.landing.publish_checks import TITLES, offers_of, titled
from dastak.web.landing.raster import read_picture
from dastak.web.landing.starter import begin
from dastak.web.landing.themes import COLOUR_TITLES, COLOURS, THEMES, key_of, palette_of
from dastak.web.landing.visitor_pages import image, look
from dastak.web.page_answers import headers, page, read_form, see_other
from dastak.web.page_words import LANGUAGES
from dastak.web.upload_form import read_upload

_UNPROCESSABLE: Final = 422
_CONFLICT: Final = 409
# The buttons at the top and at the end of the form; each other one does something of its own.
_SAVES: Final = frozenset({"save", "publish"})
_MODES: Final[Mapping[Mode, str]] = {
    Mode.TEST: "Try it: codes go to the virtual phones only",
    Mode.TEAM: "Team: codes go to the numbers that the service lists",
    Mode.LIVE: "Live: codes go to everybody, and cost money",
}


class PageEditor:
    """The routes of the editor.

    Args:
        room: What all pages of the page builder share.
    """

    def __init__(self, room: ConsoleRoom) -> None:
        self._room, self._store = room, room.store

    def routes(self) -> list[Route]:
        """Return the routes."""
        route = self._room.route
        return [
            route("", self.overview),
            route("/new", self.ask_new),
            route("/new", self.begin, "POST"),
            route(ONE, self.edit),
            route(ONE, self.save, "POST"),
            route(f"{ONE}/preview", self.preview),
            # The console may have a host of its own, where there are no pages for visitors.
            route(f"{ONE}/image/{{name:str}}", self.picture),
            Route(f"{HOME}/look/{{name:str}}", self._room.house.for_people(look)),
        ]

    async def overview(self, _request: Request, author: Author) -> Response:
        """GET all pages."""
        found = await self._store.pages(author.tenant)
        counted = [(one, await self._store.lead_count(one.n)) for one in found]
        rows = [{"page": one, "leads": leads, "owner": self._owner(one)} for one, leads in counted]
        return self._room.show("pages_list.html", author, {"rows": rows, "title": "Landing pages"})

    async def ask_new(self, _request: Request, author: Author) -> Response:
        """GET the questions of a new page."""
        return self._ask(author, {}, [])

    async def begin(self, request: Request, author: Author) -> Response:
        """POST the answers: a page that is ready to publish."""
        form = await read_form(request)
        self._room.check(request, author, form)
        brand, slug = one_line(form.get("brand", "")), form.get("slug", "").strip().lower()
        languages = [tag for tag in LANGUAGES if form.get(f"lang.{tag}") == "yes"] or ["en"]
        service = self._service(author, form.get("service", ""))
        slug = slug or re.sub(r"[^a-z0-9]+", "-", brand.lower()).strip("-")
        complaints = [] if brand else ["Write the name of your brand."]
        complaints += [sentence] if (sentence := slug_fault(slug)) is not None else []
        complaints += [] if service else ["Choose a service."]
        if complaints or service is None:
            return self._ask(author, form, complaints, _UNPROCESSABLE)
        theme = form.get("theme", "")
        design = begin(brand[:60], languages, theme=theme if theme in THEMES else next(iter(THEMES)))
        fresh = LandingPage(
            n=0,
            tenant=service.tenant,
            service=service.n,
            mode=_mode(form.get("mode", "")),
            slug=slug,
            host=None,
            state=PageState.DRAFT,
            live=0,
            draft=encode(design),
            created_at=self._room.house.ports.clock.now(),
        )
        try:
            put = await self._store.put_page(fresh)
        except Conflict as error:
            return self._ask(author, form, [error.detail], _UNPROCESSABLE)
        return see_other(f"{HOME}/{put.n}")

    async def edit(self, request: Request, author: Author) -> Response:
        """GET the editor."""
        found, design = await self._room.page(request, author)
        focus = request.query_params.get("at", "")
        return await self._editor(author, found, design, focus=focus)

    async def save(self, request: Request, author: Author) -> Response:
        """POST the form: keep it, and do what its button asks for."""
        upload = await read_upload(request)
        self._room.check(request, author, upload.fields)
        found, design = await self._room.page(request, author)
        form, read = upload.fields, Edited(design, (), "")
        shown = as_typed(form, moved=True)
        try:
            read, shown = read_design(design, form), form
            read = await self._with_pictures(found, read, upload.files)
            edited, put, status = await self._kept(found, read, form)
        except (InvalidRequest, Conflict) as error:
            return await self._refused(author, found, read, shown, error)
        if put.mode is not found.mode:
            self._room.tell(author, "page_codes_given", put, f"to {put.mode} phones")
        if form.get("quiet") == "yes":
            faults = await self._room.faults(put, edited.design)
            waits = self._settings(put, form)[0] != put
            return _told({"edition": put.draft_edition, "faults": len(faults), "waits": waits})
        # Each time, for a walk that was cut off goes on with the next one.
        if put.live > 0 and form.get("do", "save") in _SAVES:
            with suppress(Overloaded):
                await self._store.keep_leads(put.n, put.keep_days)
        if edited.complaints:
            typed = as_typed(form, moved=edited.design.blocks != read.design.blocks)
            told = edited.complaints
            return await self._editor(author, put, edited.design, complaints=told, status=status, typed=typed)
        if form.get("do") == "publish":
            return see_other(f"{HOME}/{put.n}/publish")
        # No fragment: with one, browsers do not look at `autofocus`.
        return see_other(f"{HOME}/{put.n}?at={edited.focus or 'saved'}")

    async def preview(self, request: Request, author: Author) -> Response:
        """GET the draft, or a published version, as visitors see it."""
        found, design = await self._room.page(request, author)
        asked = request.query_params
        stage = asked.get("stage", "")
        stage = stage if stage in PREVIEWS else next(iter(PREVIEWS))
        variant = Variant.B if asked.get("variant") == "b" else Variant.A
        html = self._room.drawn(found, design, asked.get("lang", ""), variant, stage)
        return page(html, framed_by=("'self'",))

    async def picture(self, request: Request, author: Author) -> Response:
        """GET a picture of the page."""
        await self._room.page(request, author)
        return await image(request, store=self._store)

    async def _kept(
        self, found: LandingPage, edited: Edited, form: Mapping[str, str]
    ) -> tuple[Edited, LandingPage, int]:
        """Keep what a form came to; return it with what could not be, and the status that tells of that."""
        # The form names the places that were, and its button may move them.
        edited = pressed(edited, form)
        settings, complaints = self._taken(found, form)
        edited = edited.told(*complaints)
        wanted = msgspec.structs.replace(
            settings, draft=encode(checked(edited.design)), draft_edition=edition_of(form)
        )
        try:
            return edited, await self._store.put_page(wanted), _UNPROCESSABLE
        except Conflict as error:
            if (wanted.slug, wanted.host) == (found.slug, found.host):
                raise
            # Where it was the address, all else is kept; where it was another editor, this raises as well.
            there = msgspec.structs.replace(wanted, slug=found.slug, host=found.host)
            return edited.told(error.detail), await self._store.put_page(there), _CONFLICT

    async def _with_pictures(self, found: LandingPage, edited: Edited, files: Mapping[str, bytes]) -> Edited:
        """Put pictures where they were uploaded. Raises: InvalidRequest."""
        read = {
            field.removeprefix("picture."): await asyncio.to_thread(read_picture, octets)
            for field, octets in files.items()
        }
        names = pictures_of(edited.design) | {picture.name for picture in read.values()}
        now = self._room.house.ports.clock.now()
        for place, picture in read.items():
            shown = with_picture(edited.design, place, picture.name)
            edited = edited._replace(design=shown, focus="look" if place == "logo" else f"b{place}")
            try:
                image_here = PageImage(page=found.n, **picture._asdict())
                await self._store.put_image(image_here, now=now, beside=names)
            except Conflict as error:
                raise InvalidRequest(error.detail) from error
        return edited

    async def _refused(
        self,
        author: Author,
        found: LandingPage,
        edited: Edited,
        form: Mapping[str, str],
        error: DastakError,
    ) -> Response:
        """Show a form again of which nothing was kept."""
        late = isinstance(error, Conflict)
        if form.get("quiet") == "yes":
            more = " Press Save to see it, and to choose what stays." if late else ""
            return _told({"complaint": error.detail + more}, _CONFLICT if late else _UNPROCESSABLE)
        return await self._editor(
            author,
            found,
            edited.design,
            complaints=[error.detail],
            status=_CONFLICT if late else _UNPROCESSABLE,
            typed=form,
            edition=edition_of(form),
            over=found.draft_edition if late else None,
        )

    def _taken(self, found: LandingPage, form: Mapping[str, str]) -> tuple[LandingPage, list[str]]:
        """Return what a button takes over, which of a page that was published is less than its form says."""
        if form.get("quiet") == "yes" and found.live > 0:
            return found, []
        settings, complaints = self._settings(found, form)
        if found.live > 0 and settings.keep_days < found.keep_days and form.get("do", "save") not in _SAVES:
            complaints.append(
                f"Leads are kept for {found.keep_days} days still: fewer are taken by Save alone."
            )
            settings = msgspec.structs.replace(settings, keep_days=found.keep_days)
        return settings, complaints

    def _settings(self, found: LandingPage, form: Mapping[str, str]) -> tuple[LandingPage, list[str]]:
        domains = self._room.house.directory.service_of(found.service).domains
        return _settings(found, form, domains)

    async def _editor(
        self,
        author: Author,
        found: LandingPage,
        design: Design,
        *,
        complaints: Sequence[str] = (),
        focus: str = "",
        status: int = 200,
        typed: Mapping[str, str] | None = None,
        edition: int | None = None,
        over: int | None = None,
    ) -> Response:
        """Show the editor; `typed` is what its form held, that of an `edition`, and `over` another draft."""
        room = self._room
        palette = palette_of(design.look) if design.look.theme in THEMES else THEMES["meadow"].palette
        service = room.house.directory.service_of(found.service)
        faults = await room.faults(found, design)
        values = {
            "title": f"{design.brand or found.slug} · Design",
            "tab": "design",
            "page": found,
            "typed": typed or {},
            "edition": found.draft_edition if edition is None else edition,
            "over": over,
            "design": design,
            "shape": shape_of(design),
            "blocks": [_shown(n, block) for n, block in enumerate(design.blocks)],
            "complaints": complaints,
            "faults": faults,
            "offers": offers_of(faults),
            "focus": focus,
            "tongues": LANGUAGES,
            "themes": THEMES,
            "palette": palette,
            "had": key_of(palette),
            "colours": COLOURS,
            "colour_titles": COLOUR_TITLES,
            "corners": list(Corner),
            "fonts": list(Font),
            "kinds": KIND_TITLES,
            "new_blocks": _new_blocks(),
            "campaign_names": UTM_NAMES,
            "domains": service.domains,
            "clients": await room.logins.offered(found),
            "modes": _MODES,
            "previews": PREVIEWS,
            "keep_days_max": KEEP_DAYS_MAX,
        }
        return room.show("page_editor.html", author, values, status)

    def _ask(
        self, author: Author, form: Mapping[str, str], complaints: Sequence[str], status: int = 200
    ) -> Response:
        directory = self._room.house.directory
        values = {
            "title": "New landing page",
            "typed": form,
            "complaints": complaints,
            "services": [(one, directory.tenant_of(one.tenant)) for one in self._services(author)],
            "tongues": LANGUAGES,
            "themes": THEMES,
            "modes": _MODES,
        }
        return self._room.show("page_new.html", author, values, status)

    def _services(self, author: Author) -> list[Service]:
        """Return whose pages somebody may make; the console's own service has none."""
        directory = self._room.house.directory
        own = console_service(directory)
        found = [one for one in directory.tenancy.services if own is None or one.n != own.n]
        return [one for one in found if author.tenant is None or one.tenant == author.tenant]

    def _service(self, author: Author, n: str) -> Service | None:
        return next((one for one in self._services(author) if str(one.n) == n), None)

    def _owner(self, one: LandingPage) -> str:
        directory = self._room.house.directory
        try:
            return f"{directory.tenant_of(one.tenant).name} / {directory.service_of(one.service).name}"
        except DastakError:
            return "gone"


def _settings(
    found: LandingPage, form: Mapping[str, str], domains: Collection[str]
) -> tuple[LandingPage, list[str]]:
    """Read what is not part of the design; what cannot be taken over is told and left as it was.

    A host is one page's, from its draft on, so nobody may enter one that is another's.
    """
    slug, host = form.get("slug", found.slug).strip().lower(), form.get("host", "").strip().lower()
    days = form.get("keep_days", str(found.keep_days)).strip()
    complaints = []
    if (sentence := slug_fault(slug)) is not None:
        complaints.append(sentence)
        slug = found.slug
    if host and (sentence := host_fault(host)) is not None:
        complaints.append(sentence)
        host = found.host or ""
    elif host and host != found.host and host not in domains:
        complaints.append(f"{host} is not one of the service's domains; add it there first.")
        host = found.host or ""
    kept = int(days[:5]) if days.isascii() and days.isdigit() else 0
    if not 1 <= kept <= KEEP_DAYS_MAX:
        complaints.append(f"A lead is kept for 1 to {KEEP_DAYS_MAX} days; it stays at {found.keep_days}.")
        kept = found.keep_days
    return (
        msgspec.structs.replace(
            found,
            slug=slug,
            host=host or None,
            mode=_mode(form.get("mode", found.mode)),
            keep_days=kept,
        ),
        complaints,
    )


def _mode(text: str) -> Mode:
    return Mode(text) if text in set(Mode) else Mode.TEST


def _shown(n: int, block: Any) -> Mapping[str, Any]:
    return {"n": n, "title": titled(block), "block": block, "kind": type(block).__name__.lower()}


def _new_blocks() -> Sequence[tuple[str, str]]:
    named = [(kind.__name__.lower(), title) for kind, title in TITLES.items()]
    return sorted([*named, ("fields", "Fields")], key=lambda one: one[1])


def _told(said: Mapping[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(said), status, headers(), "application/json")
