"""The code page at an address of its own: `/v/...`, made by the API for one verification and one browser.

1. Whoever has not the page gets the answer of an address that never was, whatever its state.
2. Opening it sends nothing, and shows at most the last two digits of a number, at sign-up alone.
3. It leads back to the one address that was checked when it was made, right code or not.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from itertools import takewhile
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.code_page import NUMBER_CHANGES_MAX, CodePage, CodePageStore, way_back
from dastak.core.errors import Conflict, DastakError, InvalidMsisdn, NotFound, Overloaded
from dastak.core.events import PageOpened
from dastak.core.ids import VerificationId, digest_of
from dastak.core.msisdn import parse
from dastak.core.policy import FACTORS
from dastak.core.ports import Change
from dastak.core.tenant import Caller
from dastak.core.verification import State, Verification, asks_factor
from dastak.flows.cancel import cancel
from dastak.web.browser_session import FORM_FIELD, BrowserSessions, check_form, form_token
from dastak.web.code.asked_once import ask_again
from dastak.web.code_step import CodeStep
from dastak.web.page_answers import headers, read_form, refuse_foreign, see_other
from dastak.web.page_house import PageHouse
from dastak.web.page_words import LANGUAGE_DEFAULT, LANGUAGES, Words, choose_language, home_language, words_of

_OK: Final = 200
_UNPROCESSABLE: Final = 422
# So long a browser that goes back or reloads is still told that the code was used, and led on.
_DONE_KEPT_S: Final = 120
_NO_PAGE: Final = NotFound("There is no such page.")


class _Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One request of the browser that has the page."""

    request: Request
    page: CodePage
    sessions: BrowserSessions
    secret: str
    caller: Caller
    words: Words
    fresh: bool

    @property
    def form(self) -> str:
        """Which form is meant: that of this page."""
        return self.page.token_digest.hex()


class HostedPages:
    """All pages under `/v`."""

    def __init__(self, house: PageHouse, pages: CodePageStore) -> None:
        self._house, self._pages = house, pages
        self._step = CodeStep(house)

    async def open(self, request: Request) -> Response:
        """Show the page, and give it to the first browser that opens it."""
        visit = await self._visit(request, claims=_is_opened(request))
        values = await self._step.look(
            visit.caller,
            visit.page.asks_for,
            visit.words,
            **_shown(visit.page, await self._asked(visit.page)),
        )
        return self._show(visit, values)

    async def submit(self, request: Request) -> Response:
        """Take what the person typed, or send once more."""
        visit = await self._visit(request)
        refuse_foreign(request, self._house.public_url)
        form = await read_form(request)
        check_form(visit.secret, visit.form, form.get(FORM_FIELD))
        if form.get("do") in ("number", "new_number"):
            return await self._number(visit, form)
        asked = await self._asked(visit.page)
        outcome = await self._step.act(visit.caller, asked.id, form, visit.words, **_shown(visit.page, asked))
        await self._turn(visit.page, outcome.verification)
        if outcome.approved:
            await self._pages.finish_page(visit.page.token_digest, self._house.ports.clock.now())
            heading = visit.words.say("code_back", brand=visit.caller.service.brand)
            on = self._house.lead_on(visit.words, way_back(visit.page), heading)
            return visit.sessions.give(on, visit.secret, max_age_s=_DONE_KEPT_S)
        return self._show(visit, outcome.values, outcome.status)

    async def state(self, request: Request) -> Response:
        """Say how far the message is, to the page that stays open."""
        visit = await self._visit(request)
        news = await self._step.watch(visit.caller, visit.page.asks_for, visit.words)
        return Response(msgspec.json.encode(news), headers=headers(), media_type="application/json")

    async def _visit(self, request: Request, *, claims: bool = False) -> _Visit:
        """Find the page of a request's browser. Raises: NotFound (whatever the reason)."""
        token_digest = digest_of(request.path_params["token"])
        page = await self._pages.find_page(token_digest)
        if self._house.ports.clock.now() >= page.expires_at:
            raise _NO_PAGE
        self._house.refuse_elsewhere(request, page.service)
        # A cookie for each page: two pages in one browser do not know of one another.
        sessions = BrowserSessions(
            f"page-{token_digest.hex()[:8]}",
            public_url=self._house.public_url,
            entropy=self._house.ports.entropy,
        )
        secret, fresh = sessions.read(request), False
        if page.browser is None and claims:
            # Never one that the browser brought: somebody may have put it there.
            secret, fresh = sessions.new(), True
            if not await self._pages.claim_page(token_digest, digest_of(secret)):
                raise _NO_PAGE
            await self._tell_opened(page)
        elif secret is None or digest_of(secret) != page.browser:
            raise _NO_PAGE
        caller = self._house.directory.page_caller(page.service, page.mode)
        return _Visit(
            request=request,
            page=page,
            sessions=sessions,
            secret=secret,
            caller=caller,
            words=await self._words(request, page, caller),
            fresh=fresh,
        )

    async def _tell_opened(self, page: CodePage) -> None:
        ports = self._house.ports
        events = (PageOpened(int(ports.clock.now().timestamp() * 1000)),)
        told = await ports.store.decide(
            page.asks_for, lambda held: Change(answer=held.verification, events=events), tenant=page.tenant
        )
        assert isinstance(told, Verification)
        ports.publish(told, events)

    async def _words(self, request: Request, page: CodePage, caller: Caller) -> Words:
        """Return the language chosen here or by the maker; else the browser's, number's, service's."""
        chosen = request.query_params.get("lang")
        asked = chosen if chosen in LANGUAGES else page.language
        language = choose_language(asked, request.headers.get("accept-language"), fallback="")
        if language:
            return words_of(language)
        own = caller.service.locale.partition("-")[0].lower()
        fallback = own if own in LANGUAGES else LANGUAGE_DEFAULT
        return words_of(home_language((await self._asked(page)).msisdn, fallback=fallback))

    async def _asked(self, page: CodePage) -> Verification:
        return (await self._house.ports.store.find(page.tenant, page.asks_for)).verification

    async def _turn(self, page: CodePage, now_asks: VerificationId) -> bool:
        return now_asks == page.asks_for or await self._pages.turn_page(
            page.token_digest, asks=page.asks_for, now_asks=now_asks
        )

    async def _number(self, visit: _Visit, form: Mapping[str, str]) -> Response:
        """Let the person take another number, a few times at most and never after the end."""
        asked = await self._asked(visit.page)
        if not _may_change(visit.page, asked):
            raise _NO_PAGE
        typed = form.get("to", "")
        if form["do"] == "number":
            return self._show_number(visit, typed)
        try:
            to = parse(typed.replace(" ", "").replace("-", "")).msisdn
            # Counted before it is sent, so that no crowd of forms writes to a crowd of numbers.
            if not await self._pages.count_change(visit.page.token_digest, most=NUMBER_CHANGES_MAX):
                raise _NO_PAGE
            begun = await self._step.begin(visit.caller, ask_again(visit.caller.service.policy, asked, to=to))
        except (NotFound, Overloaded):
            raise
        except InvalidMsisdn:
            return self._show_number(visit, typed, visit.words.say("code_bad_number"))
        except DastakError:
            brand = visit.caller.service.brand
            return self._show_number(visit, typed, visit.words.say("error_no_more", brand=brand))
        turned = await self._turn(visit.page, begun)
        with suppress(Conflict):  # it is over already
            await cancel(self._house.ports, asked.tenant, asked.id if turned else begun)
        return see_other(f"{visit.request.url.path}?lang={visit.words.language}")

    def _show_number(self, visit: _Visit, typed: str, error: str = "") -> Response:
        values = {
            "form": form_token(visit.secret, visit.form),
            "typed": typed,
            "error": error,
            "code_for": visit.words.say("code_for", brand=visit.caller.service.brand),
        }
        status = _UNPROCESSABLE if error else _OK
        return self._house.show("code_number.html", visit.words, values, status)

    def _show(self, visit: _Visit, values: Mapping[str, Any], status: int = _OK) -> Response:
        shown = {
            **values,
            "form": form_token(visit.secret, visit.form),
            "back": way_back(visit.page),
            "poll": f"{visit.request.url.path}/state?lang={visit.words.language}",
        }
        answer = self._house.show("code_page.html", visit.words, shown, status)
        if visit.fresh:
            left = visit.page.expires_at - self._house.ports.clock.now()
            visit.sessions.give(answer, visit.secret, max_age_s=math.ceil(left.total_seconds()))
        return answer


def hosted_routes(house: PageHouse, pages: CodePageStore) -> list[Route]:
    """Return the routes of the hosted code page."""
    hosted = HostedPages(house, pages)
    return [
        Route("/v/{token:str}", house.for_people(hosted.open), methods=["GET"]),
        Route("/v/{token:str}", house.for_people(hosted.submit), methods=["POST"]),
        Route("/v/{token:str}/state", house.for_people(hosted.state), methods=["GET"]),
    ]


def _is_opened(request: Request) -> bool:
    """Say whether somebody opens the page, and no browser looks ahead without its cookies.

    Source: Fetch, section 3.5 (Sec-Purpose); the older `Purpose` says the same.
    """
    ahead = request.headers.get("sec-purpose", "") + request.headers.get("purpose", "")
    return request.method == "GET" and "prefetch" not in ahead.lower()


def _may_change(page: CodePage, asked: Verification) -> bool:
    over = asked.state is State.APPROVED or page.finished_at is not None
    changes = page.may_change_number and page.number_changes < NUMBER_CHANGES_MAX
    return changes and not over and (not asks_factor(asked) or _met_factor(asked))


def _met_factor(asked: Verification) -> bool:
    """Say whether an authenticator is asked for because the number that somebody signs up with has one.

    It may be mistyped and be another person's. Where a caller signs somebody in, a text to another number
    would stand in for the authenticator; at a sign-up the answer says that the number is another one.
    """
    said = asked.particulars
    first = takewhile(FACTORS.__contains__, asked.policy.channels)
    return said.purpose == "signup" and said.channel in first


def _shown(page: CodePage, asked: Verification) -> Mapping[str, Any]:
    """At sign-up the person has just given the number, and may have mistyped it."""
    return {
        "may_change_number": _may_change(page, asked),
        "masked": asked.msisdn if page.may_change_number else "",
    }
