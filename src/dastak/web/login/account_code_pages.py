"""Prove a number or an authenticator that is to become a factor of one's own account."""

import base64
from collections.abc import Mapping
from typing import Any

import segno
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dastak.core.ids import FactorId, VerificationId
from dastak.core.person import Person, ways
from dastak.core.sign_in_state import BrowserSession, Purpose
from dastak.core.verification import Verification, asks_factor
from dastak.flows import enrol
from dastak.flows.factors import Enrolled, link
from dastak.web.login.login_house import ACCOUNT_PATH, LoginHouse, Place, begin_again
from dastak.web.login.own_account_pages import CODE_FORM, around_code, show_codes, whose
from dastak.web.login.sign_in_pages import enter
from dastak.web.page_answers import headers, read_form, see_other


def account_code_routes(rooms: LoginHouse) -> list[Route]:
    """Return the page for the code."""

    async def answer(request: Request) -> Response:
        place = await rooms.place(request)
        found = await whose(place)
        if isinstance(found, Response):
            return found
        session, person = found
        if session.asked is None or session.purpose not in (Purpose.NUMBER, Purpose.AUTHENTICATOR):
            return see_other(place.account())
        if request.method != "POST":
            values = await rooms.step.look(place.caller, session.asked, place.words)
            return await _show(place, person, session.asked, values)
        form = await read_form(request)
        place.check(CODE_FORM, form)
        return await _take(place, session, person, form)

    async def watch(request: Request) -> Response:
        place = await rooms.place(request)
        session = await place.session()
        if session is None or session.asked is None:
            return JSONResponse({"state": "", "line": "", "over": True}, headers=headers())
        seen = await rooms.step.watch(place.caller, session.asked, place.words)
        return JSONResponse(dict(seen), headers=headers())

    path = ACCOUNT_PATH + "/{tenant:str}/{service:str}/code"
    return [
        Route(path, rooms.house.for_people(answer), methods=["GET", "POST"]),
        Route(path + "/watch", rooms.house.for_people(watch), methods=["GET"]),
    ]


async def _show(
    place: Place, person: Person, asked: VerificationId, values: Mapping[str, Any], status: int = 200
) -> Response:
    held = await place.login.ports.store.find(place.caller.tenant.n, asked)
    said = held.verification.particulars
    shown: dict[str, Any] = {"printed": (), "seed": "", "qr": "", "factor_kind": said.channel.value}
    if said.factor is not None:
        waiting = await enrol.seed_of(place.login, place.caller, FactorId(bytes.fromhex(said.factor)))
        if waiting is not None and waiting.seed is not None:
            shown |= _drawn(place, person, waiting, waiting.seed)
    return place.show("account_code.html", {**values, **around_code(place), **shown}, status)


def _drawn(place: Place, person: Person, waiting: Enrolled, seed: bytes) -> dict[str, str]:
    secret = base64.b32encode(seed).decode("ascii").rstrip("=")
    address = link(waiting.factor, secret, issuer=place.caller.service.brand, account=person.username)
    grouped = " ".join(secret[n : n + 4] for n in range(0, len(secret), 4))
    # As PNG it has a sixth of the octets that SVG would have.
    drawn = segno.make(address, error="m", micro=False).png_data_uri(scale=4, border=4)
    return {"seed": grouped, "qr": str(drawn)}


async def _take(place: Place, session: BrowserSession, person: Person, form: Mapping[str, str]) -> Response:
    assert session.asked is not None
    outcome = await place.rooms.step.act(place.caller, session.asked, form, place.words)
    if not outcome.approved:
        if outcome.verification != session.asked:
            assert session.purpose is not None
            await place.bind(session, outcome.verification, session.purpose)
        return await _show(place, person, outcome.verification, outcome.values, outcome.status)
    held = await place.login.ports.store.find(place.caller.tenant.n, outcome.verification)
    return await _proved(place, session, person, held.verification)


async def _proved(place: Place, session: BrowserSession, person: Person, proved: Verification) -> Response:
    """Take over what was proved; whoever had to prove something to be let in is in now.

    A number alone lets nobody in where the service counts no text and no call as a factor.
    """
    if asks_factor(proved) is not (session.purpose is Purpose.AUTHENTICATOR):
        return see_other(place.account())
    if ways(person, place.settings.factors) and session.second_at is None:
        # A factor was set up by another session since this one was asked: it comes first.
        return begin_again(place, session)
    if session.purpose is Purpose.NUMBER:
        person = await enrol.set_number(
            place.login, place.caller, place.settings, person, proved.msisdn, visitor=place.visitor
        )
    else:
        person = await enrol.own_factor(place.login, place.caller, person, proved, place.visitor)
    if proved.particulars.channel not in ways(person, place.settings.factors):
        return see_other(place.account())
    has_codes = await place.login.people.recovery_codes_left(person.id)
    entered = await enter(place, session, proved.particulars.channel)
    if entered is None:
        return begin_again(place, session)
    session, give = entered
    return give(see_other(place.account()) if has_codes else await show_codes(place, session, person))
