"""The login of a service: step one asks for the password; step two, in the same browser, for the code."""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dastak.core.errors import RateLimited
from dastak.core.ids import digest_of
from dastak.core.lockout import DAY
from dastak.core.person import Person, owned, ways
from dastak.core.policy import FACTORS, Channel
from dastak.core.sign_in_state import BrowserSession, Purpose, Stage
from dastak.core.verification import Reason, Verification
from dastak.flows import sign_in as flow
from dastak.flows.enrol import STEPPING, bring_in_step
from dastak.web.browser_session import form_token
from dastak.web.code_step import CodeOutcome
from dastak.web.login.forgotten_pages import forgotten_address
from dastak.web.login.login_house import (
    DEVICE_MAX_AGE_S,
    LoginHouse,
    Place,
    begin_again,
    is_between,
    on_the_way,
)
from dastak.web.login.next_path import next_path
from dastak.web.login.sign_in_desk import LOGIN_PATH
from dastak.web.page_answers import headers, read_form, see_other

Page = Callable[[Place], Awaitable[Response]]

FORM: Final = "login"
CODE_FORM: Final = "code"
_PATH: Final = LOGIN_PATH + "/{tenant:str}/{service:str}"
# After so many wrong codes in a row the person begins again, and no page says what was wrong.
_OVER: Final = (Reason.EXHAUSTED, Reason.LOCKED)
_MINUTES: Final = re.compile(r"[1-9][0-9]{0,3}")


def sign_in_routes(rooms: LoginHouse) -> list[Route]:
    """Return the pages of both steps."""

    def page(path: str, get: Page, post: Page | None = None) -> Route:
        async def answer(request: Request) -> Response:
            place = await rooms.place(request)
            shown = post if post is not None and request.method == "POST" else get
            return await shown(place)

        methods = ["GET"] if post is None else ["GET", "POST"]
        return Route(_PATH + path, rooms.house.for_people(answer), methods=methods)

    return [
        page("", _first_step, _take_password),
        page("/code", _second_step, _take_code),
        page("/code/watch", _watch),
        page("/on", _go_on),
    ]


async def _first_step(place: Place) -> Response:
    said = place.request.query_params
    wanted, fresh = next_path(said.get("next")), said.get("fresh") == "1"
    if not fresh and await place.rooms.desk.signed_in(place.request, place.settings.service):
        return see_other(on_the_way(place, wanted))
    return _show_first(
        place,
        {
            "next": wanted,
            "fresh": "1" if fresh else "",
            "username": said.get("hint", "")[:64],
            "error": _why_again(place) if said.get("again") == "1" else "",
        },
    )


def _why_again(place: Place) -> str:
    """Return the sentence for who begins again; it names no time but one that a lock may last."""
    wait = place.request.query_params.get("wait", "")
    if _MINUTES.fullmatch(wait) and int(wait) <= DAY / timedelta(minutes=1):
        return place.too_many(int(wait))
    return place.words.say("login_again")


def _show_first(place: Place, values: Mapping[str, Any], status: int = 200) -> Response:
    secret = place.secret or place.cookies.new()
    shown = {
        "form": form_token(secret, FORM),
        "remember_days": place.settings.remember_days,
        "sign_up": place.path(LOGIN_PATH, "sign-up", next=values["next"])
        if place.settings.open_sign_up
        else "",
        "forgotten": forgotten_address(place),
        **values,
    }
    answer = place.show("login.html", shown, status)
    return answer if place.secret else place.cookies.give(answer, secret)


async def _take_password(place: Place) -> Response:
    form = await read_form(place.request)
    place.check(FORM, form)
    visitor, settings = place.visitor, place.settings
    username, password = form.get("username", ""), form.get("password", "")
    passed = await flow.pass_password(place.login, settings, visitor, username, password)
    if passed is None:
        return _wrong(place, form)
    secret, device = place.cookies.new(), place.rooms.devices.new()
    wish = flow.wished(
        place.login,
        settings,
        visitor,
        digest_of(secret),
        next_path=next_path(form.get("next")),
        remember=form.get("remember") == "1",
        fresh=form.get("fresh") == "1",
    )
    session = await flow.begin(place.login, settings, visitor, passed, wish, device_digest=digest_of(device))
    if session is None:
        return _wrong(place, form)
    return place.cookies.give(await _after_password(place, session, passed.person, device), secret)


def _wrong(place: Place, form: Mapping[str, str]) -> Response:
    typed = {
        "next": next_path(form.get("next")),
        "fresh": form.get("fresh", ""),
        "username": form.get("username", "")[:64],
        "error": place.words.say("login_wrong"),
    }
    return _show_first(place, typed, 422)


async def _after_password(place: Place, session: BrowserSession, person: Person, device: str) -> Response:
    if session.stage is Stage.SIGNED_IN:
        answer = see_other(place.home(session))
        return place.rooms.devices.give(answer, device, max_age_s=DEVICE_MAX_AGE_S)
    if not ways(person, place.settings.factors):
        return see_other(place.account())
    await place.ask(session, person)
    return see_other(place.path(LOGIN_PATH, "code"))


async def _between(place: Place) -> tuple[BrowserSession, Person] | None:
    """Return the session whose password was right, and its person."""
    session = await place.session()
    if session is None or not is_between(session):
        return None
    person = await place.login.people.find_person(session.person)
    return None if person is None or person.blocked else (session, person)


async def _second_step(place: Place) -> Response:
    found = await _between(place)
    if found is None:
        return see_other(place.sign_in())
    session, person = found
    if not ways(person, place.settings.factors):
        return see_other(place.account())
    values: Mapping[str, Any] = {}
    if session.asked is not None:
        values = await place.rooms.step.look(place.caller, session.asked, place.words, masked=_masked(person))
    return await _show_second(place, session, person, values)


async def _show_second(
    place: Place,
    session: BrowserSession,
    person: Person,
    values: Mapping[str, Any],
    status: int = 200,
    *,
    error: str = "",
    mended: bool | None = None,
) -> Response:
    now_asked: Channel | None = None
    if session.asked is not None:
        held = await place.login.ports.store.find(place.caller.tenant.n, session.asked)
        now_asked = held.verification.particulars.channel
    back = {"back": place.sign_in(next=session.next_path), "form": place.token(CODE_FORM)}
    # The form of a code that is sent offers the call by itself.
    asked = {now_asked} if now_asked in FACTORS else {now_asked, Channel.SMS, Channel.VOICE}
    lock = await place.lock(person)
    others = [
        way
        for way in ways(person, place.settings.factors)
        if (not values or way not in asked) and (way in FACTORS or lock is None)
    ]
    # What makes codes by itself goes on while the number is locked.
    if lock is not None and now_asked not in FACTORS:
        if values.get("error"):
            values = {**values, "error": place.locked(lock)}
        else:
            error = error or place.locked(lock)
    shown = {
        **values,
        **back,
        "poll": place.path(LOGIN_PATH, "code", "watch") if values else "",
        "asked": bool(values),
        "others": others,
        "steps": now_asked in STEPPING,
        "in_step": mended is True,
        "out_of_step": mended is False,
        "trouble": error or ("" if values else place.words.say("sorry_busy")),
    }
    return place.show("login_code.html", shown, status)


async def _take_code(place: Place) -> Response:
    found = await _between(place)
    if found is None:
        return begin_again(place, None)
    session, person = found
    form = await read_form(place.request)
    place.check(CODE_FORM, form)
    do = form.get("do", "")
    if do == "recover":
        return await _take_recovery(place, session, person, form.get("recovery", ""))
    if do.startswith("use-"):
        return await _use(place, session, person, do.removeprefix("use-"))
    # The page says why nothing is sent.
    sends_in_vain = do in ("resend", "call") and await place.lock(person) is not None
    if session.asked is None or sends_in_vain:
        return see_other(place.path(LOGIN_PATH, "code"))
    if do == "resync":
        return await _resync(place, session, person, form)
    outcome = await place.rooms.step.act(
        place.caller, session.asked, form, place.words, masked=_masked(person)
    )
    return await _after_code(place, session, person, outcome)


async def _after_code(
    place: Place, session: BrowserSession, person: Person, outcome: CodeOutcome
) -> Response:
    """Let somebody in whose code was right; who typed wrong ones too often begins again."""
    judged = outcome.judgement
    if outcome.approved:
        held = await place.login.ports.store.find(place.caller.tenant.n, outcome.verification)
        if _proves(place, person, held.verification):
            return await let_in(place, session, held.verification.particulars.channel)
    if outcome.approved or judged is not None:
        await flow.note(place.login, place.visitor, session, "wrong_code")
    if outcome.approved or (judged is not None and judged.reason in _OVER):
        # A stranger can lock a number: what sites have stays, and this cookie says where the browser goes on.
        await place.login.people.drop_session(session.digest)
        return begin_again(place, session, None if judged is None else judged.lock)
    if outcome.verification != session.asked:
        await place.bind(session, outcome.verification, Purpose.SIGN_IN)
    return await _show_second(place, session, person, outcome.values, outcome.status)


def _proves(place: Place, person: Person, answered: Verification) -> bool:
    """Say whether what was answered is a second factor that a person has and the service wants.

    A session can be asked for a number that is still to be proved, and factors can change while it is asked.
    """
    said = answered.particulars
    if said.channel not in ways(person, place.settings.factors):
        return False
    if said.channel in FACTORS:
        return said.factor == owned(person, said.channel)
    return answered.msisdn == person.msisdn


async def _use(place: Place, session: BrowserSession, person: Person, way: str) -> Response:
    """Ask for another factor."""
    channel = next((one for one in ways(person, place.settings.factors) if one.value == way), None)
    refusal = None if channel is None else await place.ask(session, person, channel)
    if isinstance(refusal, RateLimited):
        raise refusal
    return see_other(place.path(LOGIN_PATH, "code"))


async def _take_recovery(place: Place, session: BrowserSession, person: Person, typed: str) -> Response:
    if await flow.recover(place.login, session, typed):
        return await let_in(place, session, None)
    await flow.note(place.login, place.visitor, session, "wrong_recovery_code")
    values: Mapping[str, Any] = {}
    if session.asked is not None:
        values = await place.rooms.step.look(place.caller, session.asked, place.words, masked=_masked(person))
    error = place.words.say("login_recovery_wrong")
    return await _show_second(place, session, person, values, 422, error=error)


async def _resync(place: Place, session: BrowserSession, person: Person, form: Mapping[str, str]) -> Response:
    """Bring the authenticator that is asked for into step; its next code is asked for as before."""
    assert session.asked is not None
    held = await place.login.ports.store.find(place.caller.tenant.n, session.asked)
    kind, codes = held.verification.particulars.channel, (form.get("first", ""), form.get("second", ""))
    mended = await bring_in_step(place.login, place.caller, person, kind, codes, visitor=place.visitor)
    values = await place.rooms.step.look(place.caller, session.asked, place.words, masked=_masked(person))
    error = "" if mended else place.words.say("resync_wrong")
    status = 200 if mended else 422
    return await _show_second(place, session, person, values, status, error=error, mended=mended)


async def let_in(place: Place, session: BrowserSession, channel: Channel | None) -> Response:
    """Let somebody in whose code was right."""
    entered = await enter(place, session, channel)
    if entered is None:
        return begin_again(place, session)
    session, give = entered
    return give(see_other(place.home(session)))


async def enter(
    place: Place, session: BrowserSession, channel: Channel | None
) -> tuple[BrowserSession, Callable[[Response], Response]] | None:
    """Begin the session that comes after a code, with new secrets for it and for the browser.

    Returns:
        The session, and what gives an answer its cookies; None when somebody was faster.
    """
    secret, device = place.cookies.new(), place.rooms.devices.new()
    entered = await flow.finish(
        place.login,
        place.settings,
        place.visitor,
        session,
        session_digest=digest_of(secret),
        device_digest=digest_of(device),
        channel=channel,
    )
    if entered is None:
        return None

    def give(answer: Response) -> Response:
        place.rooms.devices.give(answer, device, max_age_s=DEVICE_MAX_AGE_S)
        return place.cookies.give(answer, secret)

    return entered, give


async def _watch(place: Place) -> Response:
    """Tell the open page of step two how far its message is; nobody else learns anything."""
    session = await place.session()
    if session is None or session.asked is None:
        return JSONResponse({"state": "", "line": "", "over": True}, headers=headers())
    seen = await place.rooms.step.watch(place.caller, session.asked, place.words)
    return JSONResponse(dict(seen), headers=headers())


async def _go_on(place: Place) -> Response:
    wanted = next_path(place.request.query_params.get("next"))
    if await place.rooms.desk.signed_in(place.request, place.settings.service) is None:
        return see_other(place.sign_in(next=wanted))
    return place.show("login_on.html", {"to": wanted or place.account()})


def _masked(person: Person) -> str:
    return person.msisdn or ""
