"""Log in with the phone alone: a person types a number, and the code that it gets.

Where a service's calls match numbers, a person may be called, to type that of the page into the phone.

1. A code is asked for by the browser that typed the number, for the site's request it was typed for.
2. The browser gets another secret when the code was right: one planted before is worth nothing after.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import msgspec
from starlette.responses import Response

from dastak.core.errors import DastakError, InvalidMsisdn, NotFound, Overloaded, RateLimited
from dastak.core.ids import VerificationId, digest_of
from dastak.core.msisdn import parse, region_of
from dastak.core.oidc import SESSION_S, Login, Pending, Visit, amr_of
from dastak.core.policy import FACTORS, Channel
from dastak.core.tenant import Caller
from dastak.core.verification import Particulars
from dastak.flows.start import Ask
from dastak.web.login.login_house import client_address
from dastak.web.oidc.oidc_answers import denial
from dastak.web.oidc.provider import Provider
from dastak.web.oidc.way_in import WayIn
from dastak.web.page_answers import headers, see_other

_NUMBER_SHOWN_MAX = 40
_UNPROCESSABLE = 422


class PhoneLogin:
    """The pages for the number and for its code.

    Args:
        provider: Knows the sites, and the browsers that are logged in.
        go_on: Answers a form with the page at a path, which may lead to the site.
    """

    def __init__(self, provider: Provider, go_on: Callable[[WayIn, str], Awaitable[Response]]) -> None:
        self._provider, self._go_on = provider, go_on

    async def show(self, way: WayIn) -> Response:
        """Show the page that comes next."""
        pending = self._pending(way)
        if pending is None:
            return self._number_page(way, typed=way.asked.login_hint or "")
        caller = self._provider.caller(way.client)
        values = await self._provider.codes.look(
            caller,
            _approving(pending),
            way.words,
            may_change_number=True,
            masked=pending.msisdn,
        )
        return self._code_page(way, values)

    async def news(self, way: WayIn) -> Response:
        """Say how far the message is. Raises: NotFound (this browser is asked for no code)."""
        pending = self._pending(way)
        if pending is None:
            raise NotFound("No code is asked for.")
        caller = self._provider.caller(way.client)
        told = await self._provider.codes.watch(caller, _approving(pending), way.words)
        return Response(msgspec.json.encode(told), headers=headers(), media_type="application/json")

    async def act(self, way: WayIn, form: Mapping[str, str]) -> Response:
        """Do what a form says."""
        if form.get("do") in ("begin", "begin_call"):
            by_call = form["do"] == "begin_call" and _may_match(self._provider.caller(way.client))
            return await self._begin(way, form.get("number", "")[:_NUMBER_SHOWN_MAX], by_call=by_call)
        pending = self._pending(way)
        if pending is None:
            # A press before it may have logged the browser in: what comes next leads to the site then.
            return self._provider.house.lead_on(way.words, way.path, way.words.say("code_continue"))
        if form.get("do") == "number":
            await self._keep(way, None)
            return see_other(way.path)
        caller = self._provider.caller(way.client)
        outcome = await self._provider.codes.act(
            caller,
            _approving(pending),
            form,
            way.words,
            may_change_number=True,
            masked=pending.msisdn,
        )
        if outcome.approved:
            return await self._enter(way, pending)
        if outcome.verification != _approving(pending):
            renewed = msgspec.structs.replace(pending, verification=outcome.verification.hex())
            await self._keep(way, renewed)
        return self._code_page(way, outcome.values, outcome.status)

    async def _begin(self, way: WayIn, typed: str, *, by_call: bool) -> Response:
        """Ask the number for a code, or have the number of the page typed into the phone."""
        caller = self._provider.caller(way.client)
        try:
            msisdn = parse(typed, default_region=region_of(caller.service.countries)).msisdn
            ask = Ask(
                to=msisdn,
                channel=Channel.VOICE if by_call else None,
                client_ip=client_address(way.request, self._provider.proxies) or None,
                particulars=Particulars(
                    locale=way.words.language,
                    domain=self._provider.house.domain_here(caller.service, way.request),
                ),
            )
            verification = await self._provider.codes.begin(caller, ask)
        except (RateLimited, Overloaded):
            raise
        except InvalidMsisdn:
            return self._number_page(way, typed=typed, wrong="code_bad_number")
        except DastakError:
            return self._number_page(way, typed=typed, wrong="oidc_closed")
        asks = Pending(asked=way.name, verification=verification.hex(), msisdn=msisdn)
        await self._keep(way, asks)
        return see_other(way.path)

    async def _enter(self, way: WayIn, pending: Pending) -> Response:
        """Note who is here from now on, and send them on."""
        provider, now = self._provider, self._provider.now()
        store = provider.house.ports.store
        approved = (await store.find(way.client.tenant, _approving(pending))).verification
        login = Login(
            who=f"tel:{pending.msisdn}",
            msisdn=pending.msisdn,
            at=now,
            amr=amr_of(approved.particulars.channel),
        )
        here = await provider.enter(way.here, way.client, login)
        assert here.secret is not None
        # Whether that is whom the site means, and what it may know of them, is seen on the way.
        answer = await self._go_on(msgspec.structs.replace(way, here=here), way.path)
        return here.sessions.give(answer, here.secret)

    async def _keep(self, way: WayIn, pending: Pending | None) -> None:
        """Note which code a browser is asked for; who was logged in is not any more."""
        assert way.here.secret is not None  # its form was checked against it
        visit = self._visit(way, digest_of(way.here.secret))
        await self._provider.store.put_visit(msgspec.structs.replace(visit, pending=pending, login=None))

    def _visit(self, way: WayIn, key: bytes) -> Visit:
        now = self._provider.now()
        return Visit(
            digest=key,
            service=way.client.service,
            mode=way.client.mode,
            seen_at=now,
            ends_at=now + timedelta(seconds=SESSION_S),
        )

    def _pending(self, way: WayIn) -> Pending | None:
        visit = way.here.visit
        pending = None if visit is None else visit.pending
        return pending if pending is not None and pending.asked == way.name else None

    def _number_page(self, way: WayIn, *, typed: str, wrong: str = "") -> Response:
        secret = way.here.secret or way.here.sessions.new()
        caller = self._provider.caller(way.client)
        answer = self._provider.house.show(
            "oidc_number.html",
            way.words,
            {
                "site": way.client.name,
                "typed": typed,
                "wrong": wrong,
                "calls": _calls_first(caller),
                "may_match": _may_match(caller),
                "form": way.form(secret),
                "back": denial(way.asked, self._provider.issuer),
            },
            _UNPROCESSABLE if wrong else 200,
        )
        return answer if way.here.secret else way.here.sessions.give(answer, secret)

    def _code_page(self, way: WayIn, values: Mapping[str, object], status: int = 200) -> Response:
        secret = way.here.secret
        assert secret is not None  # the code is its browser's
        poll = f"{way.request.url.path}/news?{way.request.url.query}"
        site = way.client.name
        around = {
            "form": way.form(secret),
            "poll": poll,
            # They came from the site, and know nothing of the service whose codes it sends.
            "no_phone": way.words.say("code_no_phone", brand=site),
            "back": denial(way.asked, self._provider.issuer),
            "back_label": way.words.say("code_back", brand=site),
        }
        shown = {**values, **around}
        return self._provider.house.show("oidc_code.html", way.words, shown, status)


def _calls_first(caller: Caller) -> bool:
    return next((one for one in caller.service.policy.channels if one not in FACTORS), None) is Channel.VOICE


def _may_match(caller: Caller) -> bool:
    """Say whether a call may be asked for that has the number of the page typed, and does not come anyway."""
    policy = caller.service.policy
    return policy.match and Channel.VOICE in policy.channels and not _calls_first(caller)


def _approving(pending: Pending) -> VerificationId:
    return VerificationId(bytes.fromhex(pending.verification))
