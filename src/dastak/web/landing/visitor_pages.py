"""Landing pages as visitors see them: the form, the code, the thanks.

1. Looking sends nothing; a form that comes twice is one visit and one message.
2. A visit's address is a secret of 256 bits. Where cookies come through it opens only in the browser that
   began it; in a frame of another site, where they do not, the address alone is the session.
3. A lead is written when its code was right, and once.
4. Who is sent on to a site sees the thanks first, which go on by themselves: browsers hold redirects after a
   form to the policy of its page, and where a site leads next is known to the site alone.
"""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import DastakError, Forbidden, InvalidRequest, NotFound, Overloaded, RateLimited
from dastak.core.ids import digest_of
from dastak.core.landing import LandingPage, PageState, Variant, Visit
from dastak.core.landing_store import LandingStore
from dastak.core.lockout import Lock
from dastak.core.msisdn import region_of
from dastak.core.people_store import PeopleStore
from dastak.web.browser_session import check_form, form_token
from dastak.web.code.code_view import locked_line
from dastak.web.code_step import CodeStep
from dastak.web.landing.comparison import ExperimentRuns
from dastak.web.landing.design import Design, decode
from dastak.web.landing.lead_fields import (
    Answers,
    campaign,
    campaign_tail,
    is_trapped,
    read_answers,
    typed_again,
)
from dastak.web.landing.page_drawing import LOOK_PATH, TEMPLATE, Showing, sheet, values_of
from dastak.web.landing.page_login import PageLogins, with_query
from dastak.web.landing.proof_of_work import FIELD, Challenge, written
from dastak.web.landing.visit_desk import Shown, VisitDesk, go_to
from dastak.web.landing.visit_ticket import Ticket, Tickets
from dastak.web.landing.work_gate import WAIT_S, WorkGate
from dastak.web.oidc.phone_login import wait_s_of
from dastak.web.page_answers import headers, read_form, refuse_foreign, retry_after, row_in, see_other
from dastak.web.page_house import PageHouse, told_of
from dastak.web.page_words import Words, choose_language, words_of

BROWSER_KNOWN_S: Final = 30 * 24 * 3600
_GONE: Final = 410
_UNPROCESSABLE: Final = 422
_TOO_MANY: Final = 429
_FOR_EVER: Final = {
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
}


class VisitorPages:
    """All of `/f/`.

    Args:
        house: What all pages share.
        store: Where pages, visits and leads are.
        people: Counts what is sent and not proved.
        logins: Logs visitors in at other sites.
        proxies: How many proxies of ours stand before us.
    """

    def __init__(
        self,
        house: PageHouse,
        store: LandingStore,
        people: PeopleStore,
        logins: PageLogins,
        proxies: int = 0,
    ) -> None:
        self._house, self._store, self._logins = house, store, logins
        self._step, self._runs = CodeStep(house), ExperimentRuns(store)
        self._tickets = Tickets(house.ports.keys, house.ports.entropy)
        gate = WorkGate(house.ports, people, proxies)
        self._desk = VisitDesk(house, store, self._step, self._tickets, logins, proxies=proxies, gate=gate)

    def routes(self) -> list[Route]:
        """Return the routes; what is ours stands before what customers name."""
        answered = self._house.for_people
        return [
            Route(f"{LOOK_PATH}/{{name:str}}", answered(look)),
            Route("/f/image/{page:int}/{name:str}", answered(self.picture)),
            Route("/f/embed.js", embed),
            Route("/f/{slug:str}", answered(self.form)),
            Route("/f/{slug:str}", answered(self.send_in), methods=["POST"]),
            Route("/f/{slug:str}/{secret:str}", answered(self.visit)),
            Route("/f/{slug:str}/{secret:str}", answered(self.act), methods=["POST"]),
            Route("/f/{slug:str}/{secret:str}/watch", answered(self.watch)),
        ]

    async def form(self, request: Request) -> Response:
        """GET the page."""
        shown = await self._shown(request)
        if shown.page.state is PageState.CLOSED:
            return self._draw(shown, self._showing(shown, Variant.A, "closed"), _GONE)
        cookies = self._desk.cookies(shown.page)
        secret = cookies.read(request)
        known = secret is not None
        secret = secret or cookies.new()
        variant = _variant_of(shown.design, secret)
        showing = self._fresh(shown, variant, typed=campaign(request.query_params))
        answer = cookies.give(self._draw(shown, showing), secret, max_age_s=BROWSER_KNOWN_S)
        if request.method == "GET" and "sec-purpose" not in request.headers:
            await self._count(request, answer, shown, variant, known=known)
        return answer

    async def _count(
        self, request: Request, answer: Response, shown: Shown, variant: Variant, *, known: bool
    ) -> None:
        """Count a browser that is new to the page, and one that is new to its experiment."""
        page, language, experiment = shown.page, shown.words.language, shown.experiment
        if not known:
            await self._store.count_seen(page.n, variant, language)
        if experiment:
            tried = self._desk.tried(page)
            if tried.read(request) != experiment:
                await self._store.count_seen(page.n, variant, language, experiment=experiment)
            tried.give(answer, experiment, max_age_s=BROWSER_KNOWN_S)

    async def send_in(self, request: Request) -> Response:
        """POST the form: begin a visit and ask for its code."""
        form, now = await read_form(request), self._house.ports.clock.now()
        ticket = self._tickets.read(form.get("form", ""), now)
        # What was agreed to is what stood on the page that was shown, be it still the newest or not.
        shown = await self._shown(request, ticket.version)
        self._refuse_foreign(request, shown.page)
        if ticket.page != shown.page.n or shown.page.state is not PageState.LIVE:
            raise Forbidden("This page is too old; open it again.", reason="stale_form")
        caller = self._house.directory.page_caller(shown.page.service, shown.page.mode)
        region = region_of(caller.service.countries)
        answers = read_answers(shown.design, form, language=shown.words.language, region=region)
        if is_trapped(form):
            # No person sees the field, but what fills in forms for one may have found it: nothing is lost.
            unread = InvalidRequest("A field that nobody sees was filled in.")
            return self._not_begun(shown, ticket, answers, unread)
        if answers.flaws or answers.msisdn is None:
            showing = self._fresh(shown, ticket.variant, typed=answers.values)
            showing = msgspec.structs.replace(showing, flaws=answers.flaws)
            return self._draw(shown, showing, _UNPROCESSABLE)
        try:
            begun = await self._desk.begin(
                request, shown, ticket, answers, caller, brought=form.get(FIELD, "")
            )
        except DastakError as error:
            return self._not_begun(shown, ticket, answers, error)
        if isinstance(begun, Challenge):
            return self._ask_work(shown, ticket, answers, begun, form)
        if isinstance(begun, Lock):
            told = locked_line(shown.words, begun, now=now, brand=shown.brand)
            refused = self._refused(shown, ticket, answers, told, _TOO_MANY)
            return retry_after(refused, wait_s_of(begun, now=now))
        return see_other(f"/f/{shown.page.slug}/{begun}?lang={shown.words.language}")

    async def visit(self, request: Request) -> Response:
        """GET the code page of a visit, or its thanks."""
        shown, visit = await self._visiting(request)
        if visit.lead:
            return self._draw(shown, self._done(shown, visit))
        token = await self._desk.settle(shown, visit)
        if token is not None:
            out = await self._send_on(request, shown, visit, token)
            return out or self._draw(shown, self._done(shown, visit))
        return self._draw(shown, self._coding(request, shown, visit, await self._desk.look(shown, visit)))

    async def act(self, request: Request) -> Response:
        """POST what was typed on the code page."""
        shown, visit = await self._visiting(request)
        self._refuse_foreign(request, shown.page)
        form, secret = await read_form(request), request.path_params["secret"]
        check_form(secret, "code", form.get("form"))
        here = f"/f/{shown.page.slug}/{secret}?lang={shown.words.language}"
        if form.get("do") == "number":
            showing = self._fresh(shown, visit.variant, typed=typed_again(shown.design, visit.values))
            return self._draw(shown, showing)
        if visit.lead:
            # The button was pressed twice, and the browser follows the second answer.
            kept = self._tickets.token(visit.token_digest)
            return await self._send_on(request, shown, visit, kept) or see_other(here)
        if form.get("do", "check") == "check" and form.get("code", "").strip():
            await self._store.note_entered(visit.token_digest)
        outcome = await self._desk.act(shown, visit, form)
        if outcome.verification != visit.verification:
            visit = msgspec.structs.replace(visit, verification=outcome.verification)
            await self._store.put_visit(visit)
        if outcome.approved:
            await self._desk.gate.give_back(request, shown.page.n)
        token = await self._desk.settle(shown, visit)
        if token is not None:
            return await self._send_on(request, shown, visit, token) or see_other(here)
        drawn = self._draw(shown, self._coding(request, shown, visit, outcome.values), outcome.status)
        return retry_after(drawn, outcome.retry_after_s)

    async def watch(self, request: Request) -> Response:
        """GET how far the message is, as an open page asks again and again."""
        shown, visit = await self._visiting(request)
        assert visit.verification is not None
        caller = self._house.directory.page_caller(shown.page.service, shown.page.mode)
        told = await self._step.watch(caller, visit.verification, shown.words)
        return Response(msgspec.json.encode(told), media_type="application/json", headers=headers())

    async def picture(self, request: Request) -> Response:
        """GET a picture of a page."""
        page = await self._store.page(row_in(request, "page"))
        self._house.refuse_elsewhere(request, page.service)
        return await image(request, store=self._store)

    async def _shown(self, request: Request, version: int = 0) -> Shown:
        page = await self._store.page_named(request.path_params["slug"])
        self._house.refuse_elsewhere(request, page.service)
        if page.state is PageState.DRAFT or page.live == 0:
            raise NotFound("There is no such page.")
        version = version or page.live
        design = decode((await self._store.version(page.n, version)).body)
        words = _words(request, design)
        client = await self._logins.client(page, design.log_in_at)
        return Shown(page, version, design, words, client, await self._runs.of(page.n, version, design))

    async def _visiting(self, request: Request) -> tuple[Shown, Visit]:
        """Return the visit of an address, if it may be seen in this browser."""
        secret = request.path_params["secret"]
        visit = await self._store.find_visit(digest_of(secret))
        shown = await self._shown(request, visit.version)
        cookie = self._desk.cookies(shown.page).read(request)
        own = visit.browser is None or (cookie is not None and digest_of(cookie) == visit.browser)
        if visit.page != shown.page.n or visit.verification is None or not own:
            raise NotFound("There is no such page.")
        return shown, visit

    def _refuse_foreign(self, request: Request, page: LandingPage) -> None:
        origin = request.headers.get("origin")
        at_home = page.host is not None and origin == f"https://{page.host}"
        refuse_foreign(request, origin if at_home and origin else self._house.public_url)

    def _showing(self, shown: Shown, variant: Variant, stage: str) -> Showing:
        return Showing(
            words=shown.words,
            variant=variant,
            stage=stage,
            here=f"/f/{shown.page.slug}",
            images=f"/f/image/{shown.page.n}",
            framed=bool(shown.design.framed_by),
        )

    def _fresh(self, shown: Shown, variant: Variant, *, typed: Mapping[str, str]) -> Showing:
        """Show the form, with a hidden field of its own."""
        now = self._house.ports.clock.now()
        return msgspec.structs.replace(
            self._showing(shown, variant, "form"),
            typed=typed,
            ticket=self._tickets.new(shown.page.n, shown.version, variant, now),
        )

    def _coding(self, request: Request, shown: Shown, visit: Visit, lines: Mapping[str, Any]) -> Showing:
        secret = request.path_params["secret"]
        begin = f"/f/{shown.page.slug}"
        over = lines["kind"] == "over"
        return msgspec.structs.replace(
            self._showing(shown, visit.variant, "code"),
            lines={
                **lines,
                "form": form_token(secret, "code"),
                "poll": f"{begin}/{secret}/watch?lang={shown.words.language}",
                # Nobody came from anywhere else; whoever can go no further here begins again.
                "no_phone": "",
                "back": f"{begin}?lang={shown.words.language}{campaign_tail(visit.values)}" if over else "",
                "back_label": shown.words.say("code_back", brand=shown.brand),
            },
        )

    def _done(self, shown: Shown, visit: Visit, leads_to: str = "") -> Showing:
        """Show the thanks, which go on by themselves where they lead to an address."""
        address = leads_to or go_to(shown.design)
        lines = {"back": address, "back_label": urlsplit(address).hostname if address else ""}
        if leads_to:
            lines["leads_to"] = leads_to
        return msgspec.structs.replace(self._showing(shown, visit.variant, "done"), lines=lines)

    async def _send_on(self, request: Request, shown: Shown, visit: Visit, token: str) -> Response | None:
        """Send a visitor on: to an address that was registered, and still is; None leads nowhere."""
        address = go_to(shown.design)
        if address is None:
            return None

        def thanks(leads_to: str) -> Response:
            return self._draw(shown, self._done(shown, visit, leads_to))

        if shown.design.log_in_at is not None:
            return await self._log_in(request, shown, visit, address, thanks)
        domains = self._house.directory.service_of(shown.page.service).domains
        if not token or urlsplit(address).hostname not in domains:
            return None
        return thanks(with_query(address, "dastak_token", token))

    async def _log_in(
        self, request: Request, shown: Shown, visit: Visit, address: str, thanks: Callable[[str], Response]
    ) -> Response | None:
        """Log a visitor in at the site of the page; in a frame, where no cookie comes through, nobody is."""
        if shown.client is None or visit.browser is None or visit.verification is None:
            return None
        lead = await self._store.lead_of(visit.verification)
        if lead is None:
            return None
        return await self._logins.send_on(request, shown.client, address, lead, thanks)

    def _not_begun(self, shown: Shown, ticket: Ticket, answers: Answers, error: DastakError) -> Response:
        """Show the form again with what a person should know of a refusal; what was typed is kept."""
        status, sentence = told_of(error)
        drawn = self._refused(shown, ticket, answers, shown.words.say(sentence), status)
        return retry_after(
            drawn, error.retry_after_s if isinstance(error, RateLimited | Overloaded) else None
        )

    def _refused(self, shown: Shown, ticket: Ticket, answers: Answers, notice: str, status: int) -> Response:
        fresh = self._fresh(shown, ticket.variant, typed=answers.values)
        return self._draw(shown, msgspec.structs.replace(fresh, notice=notice), status)

    def _ask_work(
        self, shown: Shown, ticket: Ticket, answers: Answers, asked: Challenge, form: Mapping[str, str]
    ) -> Response:
        """Show the form again with a sum to do; it keeps its hidden field, for it is the same visit."""
        showing = msgspec.structs.replace(
            self._showing(shown, ticket.variant, "form"),
            typed=answers.values,
            ticket=form["form"],
            work=written(asked),
            lines={"work_goes": FIELD not in form, "work_field": FIELD, "wait_s": WAIT_S},
        )
        return retry_after(self._draw(shown, showing, _TOO_MANY), WAIT_S)

    def _draw(self, shown: Shown, showing: Showing, status: int = 200) -> Response:
        values = values_of(shown.design, showing)
        return self._house.show(TEMPLATE, showing.words, values, status, framed_by=shown.design.framed_by)


async def look(request: Request) -> Response:
    """GET a style sheet."""
    text = sheet(request.path_params["name"])
    return Response(text, media_type="text/css", headers=_FOR_EVER)


async def image(request: Request, *, store: LandingStore) -> Response:
    """GET a picture; its name is the digest of what it shows."""
    found = await store.image(row_in(request, "page"), request.path_params["name"])
    safe = {**_FOR_EVER, "content-security-policy": "default-src 'none'; sandbox"}
    return Response(found.octets, media_type=found.kind, headers=safe)


async def embed(_request: Request) -> Response:
    """GET the script that other sites embed a page with."""
    text = files("dastak.web.landing").joinpath("embed.js").read_text(encoding="utf-8")
    shared = {
        "cache-control": "public, max-age=3600",
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
    }
    return Response(text, media_type="text/javascript", headers=shared)


def _words(request: Request, design: Design) -> Words:
    asked, accepted = request.query_params.get("lang"), request.headers.get("accept-language")
    own = design.languages
    return words_of(choose_language(asked, accepted, offered=own, fallback=own[0]))


def _variant_of(design: Design, secret: str) -> Variant:
    """Return the variant of a browser: the same at each visit, and by chance between browsers."""
    if design.experiment is None:
        return Variant.A
    return Variant.B if digest_of(secret)[-1] & 1 else Variant.A
