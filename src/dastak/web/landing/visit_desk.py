"""Visits of landing pages: begun with a form, ended with a lead.

1. A form that comes twice is one visit and one message.
2. A lead is written when its code was right, and once, whatever crashes in between.
3. To a number that is locked nothing is sent, for no code of it would make a lead; its visitor is told.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec
from starlette.requests import Request

from dastak.core.errors import Forbidden, NotFound, RateLimited
from dastak.core.ids import digest_of
from dastak.core.landing import TOKEN_KEPT, LandingPage, Lead, Visit
from dastak.core.landing_store import LandingStore
from dastak.core.lockout import Lock
from dastak.core.msisdn import Msisdn
from dastak.core.oidc import Client
from dastak.core.tenant import Caller
from dastak.core.verification import Particulars, State
from dastak.flows.start import Ask
from dastak.web.browser_session import BrowserSessions
from dastak.web.code_step import CodeOutcome, CodeStep
from dastak.web.landing.design import Design, Success, find_block
from dastak.web.landing.lead_fields import Answers, consents_of, kept_values
from dastak.web.landing.page_login import PageLogins
from dastak.web.landing.proof_of_work import Challenge
from dastak.web.landing.visit_ticket import Ticket, Tickets
from dastak.web.landing.work_gate import WorkGate
from dastak.web.login.login_house import client_address
from dastak.web.page_house import PageHouse
from dastak.web.page_words import Words

_TOO_MANY: Final = 429


class Shown(msgspec.Struct, frozen=True):
    """A page of which a version is looked at.

    Attributes:
        client: The site that its visitors are logged in at; see `Design.log_in_at`.
        experiment: In which run of an experiment its visitors count; empty: in none.
    """

    page: LandingPage
    version: int
    design: Design
    words: Words
    client: Client | None = None
    experiment: str = ""

    @property
    def brand(self) -> str:
        """What its visitors know it by."""
        return self.design.brand or self.page.slug


class VisitDesk:
    """Begins visits and makes leads of them.

    Args:
        house: What all pages share.
        store: Where pages, visits and leads are.
        step: Asks for codes.
        tickets: Signs forms.
        logins: Knows which numbers are locked.
        proxies: How many proxies of ours stand before us; each visitor has limits of its own address.
        gate: Says when a browser has to do a sum before a code is sent.
    """

    def __init__(
        self,
        house: PageHouse,
        store: LandingStore,
        step: CodeStep,
        tickets: Tickets,
        logins: PageLogins,
        *,
        proxies: int,
        gate: WorkGate,
    ) -> None:
        self._house, self._store, self._step, self._tickets = house, store, step, tickets
        self._logins, self._proxies, self.gate = logins, proxies, gate

    def cookies(self, page: LandingPage) -> BrowserSessions:
        """Return the cookies of a page's visitors."""
        house = self._house
        return BrowserSessions(f"page-{page.n}", public_url=house.public_url, entropy=house.ports.entropy)

    def tried(self, page: LandingPage) -> BrowserSessions:
        """Return the cookie in which a browser carries the experiment that it was counted in."""
        house = self._house
        return BrowserSessions(f"tried-{page.n}", public_url=house.public_url, entropy=house.ports.entropy)

    async def begin(
        self,
        request: Request,
        shown: Shown,
        ticket: Ticket,
        answers: Answers,
        caller: Caller,
        *,
        brought: str = "",
    ) -> str | Challenge | Lock:
        """Ask for the code of a visit, unless this form did so before.

        Returns:
            The visit's secret; or the sum that the browser has to do before, whose answer is `brought`; or
            what keeps the number from being proved now.
        """
        secret = self._tickets.secret(ticket)
        assert answers.msisdn is not None
        visit = self._visit(request, shown, ticket, answers)
        if await self._asked_before(secret, answers.msisdn, caller, visit):
            return secret
        asked = await self.gate.ask(request, shown.page.n, brought)
        if asked is not None:
            return asked
        lock = await self._logins.lock(caller, answers.msisdn)
        if lock is not None:
            return lock
        client_ip = client_address(request, self._proxies)
        ask = Ask(
            to=answers.msisdn,
            client_ip=client_ip or None,
            particulars=Particulars(
                locale=shown.words.language,
                purpose="signup",
                domain=self._house.code_domain(caller.service, shown.page.host),
            ),
        )
        try:
            verification = await self._step.begin(caller, ask)
        except RateLimited:
            # The same form a moment ago may have asked already: a button was pressed twice.
            if await self._asked_before(secret, answers.msisdn, caller, visit):
                return secret
            raise
        await self._store.put_visit(msgspec.structs.replace(visit, verification=verification))
        return secret

    async def look(self, shown: Shown, visit: Visit) -> Mapping[str, Any]:
        """Return what the code page of a visit shows; see `CodeStep.look`."""
        assert visit.verification is not None
        caller = self._caller(shown)
        masked = await self.number_of(caller, visit)
        return await self._step.look(
            caller, visit.verification, shown.words, may_change_number=True, masked=masked
        )

    async def act(self, shown: Shown, visit: Visit, form: Mapping[str, str]) -> CodeOutcome:
        """Do what a form of the code page asks for; see `CodeStep.act`."""
        assert visit.verification is not None
        caller = self._caller(shown)
        number = await self.number_of(caller, visit)
        told = await self._logins.locked_values(caller, Msisdn(number), form, shown.words, brand=shown.brand)
        if told is not None:
            return CodeOutcome(
                approved=False,
                verification=visit.verification,
                status=_TOO_MANY,
                values={**await self.look(shown, visit), **told.values},
                retry_after_s=told.wait_s,
            )
        return await self._step.act(
            caller, visit.verification, form, shown.words, may_change_number=True, masked=number
        )

    async def settle(self, shown: Shown, visit: Visit) -> str | None:
        """Write the lead of a visit whose code was right; None while it was not.

        A crash between the approval and the lead is made good here, at the next look. The token follows from
        the visit: of two buttons pressed at once, each leads to the customer with the one that is kept.

        Returns:
            A token that the customer's server may exchange for the lead once; empty if it leads nowhere.
        """
        assert visit.verification is not None
        ports, page = self._house.ports, shown.page
        held = await ports.store.find(page.tenant, visit.verification)
        if held.verification.state is not State.APPROVED:
            return None
        now = ports.clock.now()
        token = self._tickets.token(visit.token_digest)
        lead = Lead(
            page=page.n,
            version=visit.version,
            variant=visit.variant,
            language=visit.language,
            msisdn=held.verification.msisdn,
            at=now,
            gone_at=now + timedelta(days=page.keep_days),
            verification=visit.verification,
            values=visit.values,
            consents=visit.consents,
        )
        goes_on = go_to(shown.design) is not None and shown.design.log_in_at is None
        await self._store.win(
            visit.token_digest,
            lead,
            exchange=digest_of(token) if goes_on else None,
            until=now + TOKEN_KEPT,
        )
        return token if goes_on else ""

    async def number_of(self, caller: Caller, visit: Visit) -> str:
        """Return the number that a visit asked for; empty before."""
        if visit.verification is None:
            return ""
        held = await self._house.ports.store.find(caller.tenant.n, visit.verification)
        return held.verification.msisdn

    def _caller(self, shown: Shown) -> Caller:
        return self._house.directory.page_caller(shown.page.service, shown.page.mode)

    def _visit(self, request: Request, shown: Shown, ticket: Ticket, answers: Answers) -> Visit:
        """Return the visit that a form begins, before its code is asked for."""
        now = self._house.ports.clock.now()
        return Visit(
            token_digest=digest_of(self._tickets.secret(ticket)),
            page=shown.page.n,
            version=shown.version,
            variant=ticket.variant,
            language=shown.words.language,
            at=now,
            browser=self._browser(request, shown),
            experiment=shown.experiment,
            verification=None,
            values=kept_values(shown.design, answers.values),
            consents=consents_of(
                shown.design,
                answers.values,
                language=shown.words.language,
                at=now,
                ip_digest=self._tickets.ip_digest(shown.page.n, client_address(request, self._proxies)),
                page_version=shown.version,
            ),
        )

    async def _asked_before(self, secret: str, msisdn: Msisdn, caller: Caller, fresh: Visit) -> bool:
        """Say whether a form's number has its code already; its other answers count from now on.

        Args:
            secret: The visit's.
            msisdn: The number.
            caller: Whose page it is.
            fresh: What the form says now.
        """
        try:
            visit = await self._store.find_visit(digest_of(secret))
        except NotFound:
            return False
        if visit.lead:
            return True
        if await self.number_of(caller, visit) != msisdn:
            return False
        if fresh.browser == visit.browser and _said(fresh) != _said(visit):
            await self._store.put_visit(msgspec.structs.replace(fresh, verification=visit.verification))
        return True

    def _browser(self, request: Request, shown: Shown) -> bytes | None:
        """Return what a visit is bound to."""
        cookie = self.cookies(shown.page).read(request)
        if cookie is not None:
            return digest_of(cookie)
        if shown.design.framed_by:
            return None
        raise Forbidden("This browser keeps no cookies.", reason="no_cookie")


def _said(visit: Visit) -> object:
    """Return what was typed and agreed to, whenever that was."""
    return visit.values, [(one.field, one.text) for one in visit.consents]


def go_to(design: Design) -> str | None:
    """Return where visitors are sent on to, if anywhere."""
    success = find_block(design, Success)
    return success.go_to if isinstance(success, Success) else None
