"""Log in with the phone alone: a person types a number, and the code that it gets.

Where a service's calls match numbers, a person may be called, to type that of the page into the phone.

1. A code is asked for by the browser that typed the number, for the site's request it was typed for.
2. The browser gets another secret when the code was right: one planted before is worth nothing after.
3. To a number that is locked nothing is sent, for no code of it would let its person in; the page says so,
   and for how long only so often to one source.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec
from starlette.responses import Response

from dastak.core import lockout
from dastak.core.errors import DastakError, InvalidMsisdn, NotFound, Overloaded, RateLimited
from dastak.core.ids import VerificationId, digest_of
from dastak.core.lockout import Lock
from dastak.core.msisdn import Msisdn, parse, region_of
from dastak.core.oidc import SESSION_S, Login, Pending, Visit, amr_of
from dastak.core.policy import FACTORS, Channel
from dastak.core.sign_in_limits import BUDGETS, Budget, Claim, key_of, network_of
from dastak.core.tenant import Caller
from dastak.core.verification import Particulars
from dastak.flows import factors
from dastak.flows.sign_in import refuse_source
from dastak.flows.start import Ask
from dastak.web.code.code_view import locked_line
from dastak.web.login.login_house import client_address
from dastak.web.oidc.oidc_answers import denial
from dastak.web.oidc.provider import Provider
from dastak.web.oidc.way_in import WayIn
from dastak.web.page_answers import headers, retry_after, see_other
from dastak.web.page_words import Words

_NUMBER_SHOWN_MAX = 40
_CODE_SHOWN_MAX = 100
_UNPROCESSABLE = 422
_TOO_MANY = 429
# What a form of the code page has sent once more.
_SENDING = {"resend": Channel.SMS, "call": Channel.VOICE}
# Where nothing is sent, no limit of what is sent holds.
LOCKS_OF_ADDRESS: Final = Budget("locks_address", 20, 3600)
LOCKS_OF_NETWORK: Final = Budget("locks_network", 60, 3600)
assert not {LOCKS_OF_ADDRESS.name, LOCKS_OF_NETWORK.name} & {one.name for one in BUDGETS}


class LockTold(msgspec.Struct, frozen=True):
    """What the code page says to a form that would send in vain.

    Attributes:
        values: Beside those of the page; see `CodeStep.look`.
        wait_s: After how many seconds the number is open again; None is when somebody has opened it.
    """

    values: Mapping[str, str]
    wait_s: int | None


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
        return self._code_page(way, await self._values(way, pending))

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
        told = await locked_values(
            self._provider, caller, pending.msisdn, form, way.words, brand=way.client.name
        )
        if told is not None:
            values = {**await self._values(way, pending), **told.values}
            return retry_after(self._code_page(way, values, _TOO_MANY), told.wait_s)
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
            channel = Channel.VOICE if by_call else None
            lock = await lock_of(self._provider, caller, msisdn, channel)
            if lock is not None:
                await self._refuse_source(client_address(way.request, self._provider.proxies))
                now = self._provider.now()
                told = locked_line(way.words, lock, now=now, brand=way.client.name)
                refused = self._number_page(way, typed=typed, wrong=told, status=_TOO_MANY)
                return retry_after(refused, wait_s_of(lock, now=now))
            ask = Ask(
                to=msisdn,
                channel=channel,
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
            return self._number_page(way, typed=typed, wrong=way.words.say("code_bad_number"))
        except DastakError:
            return self._number_page(way, typed=typed, wrong=way.words.say("oidc_closed"))
        asks = Pending(asked=way.name, verification=verification.hex(), msisdn=msisdn)
        await self._keep(way, asks)
        return see_other(way.path)

    async def _refuse_source(self, address: str) -> None:
        """Count a lock that is told to an address. Raises: RateLimited (there were too many)."""
        provider = self._provider
        counted = ((LOCKS_OF_ADDRESS, address), (LOCKS_OF_NETWORK, network_of(address)))
        ring = provider.house.ports.keys
        claims = tuple(Claim(key_of(ring, budget, whose.encode()), budget) for budget, whose in counted)
        people, why = provider.passwords.people, "Too many locks were told to this address."
        await refuse_source(people, claims, now=provider.now(), why=why)

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

    async def _values(self, way: WayIn, pending: Pending) -> Mapping[str, object]:
        return await self._provider.codes.look(
            self._provider.caller(way.client),
            _approving(pending),
            way.words,
            may_change_number=True,
            masked=pending.msisdn,
        )

    def _number_page(
        self, way: WayIn, *, typed: str, wrong: str = "", status: int = _UNPROCESSABLE
    ) -> Response:
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
            status if wrong else 200,
        )
        return answer if way.here.secret else way.here.sessions.give(answer, secret)

    def _code_page(self, way: WayIn, values: Mapping[str, object], status: int = 200) -> Response:
        secret = way.here.secret
        assert secret is not None  # the code is its browser's
        site = way.client.name
        around = {
            "form": way.form(secret),
            # Its script adds what the site has asked for, which would stand here once more.
            "poll": f"{way.request.url.path}/news?",
            # They came from the site, and know nothing of the service whose codes it sends.
            "no_phone": way.words.say("code_no_phone", brand=site),
            "back": denial(way.asked, self._provider.issuer),
            "back_label": way.words.say("code_back", brand=site),
        }
        shown = {**values, **around}
        return self._provider.house.show("oidc_code.html", way.words, shown, status)


async def lock_of(provider: Provider, caller: Caller, msisdn: Msisdn, channel: Channel | None) -> Lock | None:
    """Return what keeps a code that would be sent to a number from letting its person in now.

    What its person has already, such as an authenticator, counts for itself and has no lock here.

    Args:
        provider: Knows the wrong attempts.
        caller: Who asks.
        msisdn: The number.
        channel: By which the code is asked for; None leaves that to the policy.
    """
    if await factors.choose(provider.house.ports, caller, msisdn, channel) is not None:
        return None
    tally = await provider.store.tally(caller.tenant.n, caller.key.mode, msisdn)
    return lockout.lock(tally, now=provider.now(), legacy=caller.service.policy.legacy)


async def locked_values(
    provider: Provider, caller: Caller, msisdn: Msisdn, form: Mapping[str, str], words: Words, *, brand: str
) -> LockTold | None:
    """Return what the code page says to a form that would send in vain; None to all others."""
    channel = _SENDING.get(form.get("do", ""))
    lock = None if channel is None else await lock_of(provider, caller, msisdn, channel)
    if lock is None:
        return None
    now = provider.now()
    told = locked_line(words, lock, now=now, brand=brand)
    values = {"error": told, "typed": form.get("code", "")[:_CODE_SHOWN_MAX]}
    return LockTold(values, wait_s_of(lock, now=now))


def wait_s_of(lock: Lock, *, now: datetime) -> int | None:
    """Return after how many seconds a lock opens by itself; None where somebody has to open it."""
    return None if lock.until is None else max(1, math.ceil((lock.until - now).total_seconds()))


def _calls_first(caller: Caller) -> bool:
    return next((one for one in caller.service.policy.channels if one not in FACTORS), None) is Channel.VOICE


def _may_match(caller: Caller) -> bool:
    """Say whether a call may be asked for that has the number of the page typed, and does not come anyway."""
    policy = caller.service.policy
    return policy.match and Channel.VOICE in policy.channels and not _calls_first(caller)


def _approving(pending: Pending) -> VerificationId:
    return VerificationId(bytes.fromhex(pending.verification))
