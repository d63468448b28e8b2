"""Where a person looks after its account: number, factors, recovery codes, browsers, and what happened."""

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import Conflict, InvalidMsisdn, InvalidRequest, NotFound, NumberStopped, Refused
from dastak.core.hash_chain import SEQUENCE_LOW
from dastak.core.ids import VerificationId
from dastak.core.msisdn import parse, region_of
from dastak.core.person import Person, owned, ways
from dastak.core.policy import FACTORS, Channel
from dastak.core.sign_in_state import BrowserSession, Purpose, SignInLine, trusted_until
from dastak.flows import enrol
from dastak.flows.factors import Enrolled
from dastak.flows.sign_in import line_of
from dastak.flows.sign_up import change_password
from dastak.flows.start import Ask
from dastak.tenancy.console_service import CONSOLE_TENANT
from dastak.web.login.browser_name import browser_name
from dastak.web.login.login_house import ACCOUNT_PATH, LoginHouse, Place, is_between, on_the_way
from dastak.web.login.sign_in_desk import LOGIN_PATH, is_enough
from dastak.web.page_answers import read_form, see_other

FORM: Final = "account"
CODE_FORM: Final = "account-code"
LINES_SHOWN: Final = 10

Act = Callable[[Place, BrowserSession, Person, Mapping[str, str], str], Awaitable[Response]]
# What a log says in a person's own language; the exact word is for operators.
_KINDS: Final[Mapping[str, str]] = {
    "signed_in": "signed_in",
    "recovery_code_used": "signed_in",
    "wrong_code": "wrong",
    "wrong_recovery_code": "wrong",
    "password_forgotten": "forgotten",
    "password_reset": "reset",
}


def account_routes(rooms: LoginHouse) -> list[Route]:
    """Return the page of an account."""

    async def answer(request: Request) -> Response:
        place = await rooms.place(request)
        found = await whose(place)
        if isinstance(found, Response):
            return found
        session, person = found
        if request.method != "POST":
            return await show_account(place, session, person)
        form = await read_form(request)
        place.check(FORM, form)
        do, _, about = form.get("do", "").partition("-")
        act = _ACTS.get(do)
        if act is None or (is_between(session) and do not in _BETWEEN):
            raise Refused("There is no such act.", reason="unknown_act")
        if do in _AFTER_PROOF and not enrol.may_change(place.login, place.settings, person, session):
            return see_other(place.sign_in(next=place.account(), fresh="1"))
        return await act(place, session, person, form, about)

    path = ACCOUNT_PATH + "/{tenant:str}/{service:str}"
    return [Route(path, rooms.house.for_people(answer), methods=["GET", "POST"])]


async def whose(place: Place) -> tuple[BrowserSession, Person] | Response:
    """Return who looks after an account, or where to go first.

    Somebody who came by the password alone, has no second factor yet and needs one, may set one up.
    """
    session = await place.session()
    person = None if session is None else await place.login.people.find_person(session.person)
    if session is None or person is None or person.blocked:
        return see_other(place.sign_in(next=place.account()))
    if ways(person, place.settings.factors):
        if is_between(session):
            return see_other(place.path(LOGIN_PATH, "code"))
        if not is_enough(session, person, place.settings):
            return see_other(place.sign_in(next=place.account()))
    return session, person


async def show_account(
    place: Place, session: BrowserSession, person: Person, status: int = 200, **said: str
) -> Response:
    """Show an account; `said` may have a `notice`, an `error`, its `field` and what was `typed`."""
    has = ways(person, place.settings.factors)
    people = place.login.people
    between = is_between(session)
    values: dict[str, Any] = {
        "form": place.token(FORM),
        "notice": "",
        "error": "",
        "field": "",
        "typed": "",
        "username": person.username,
        "masked": _masked(person),
        "between": between,
        "invited": not has,
        "ways": has,
        "authenticators": await _authenticators(place, person),
        "low": SEQUENCE_LOW,
        "stepping": () if between else [kind for kind in has if kind in enrol.STEPPING],
        "codes_left": await people.recovery_codes_left(person.id),
        "devices": () if between else await _devices(place, person),
        "password": not between and place.settings.check_url is None,
        "lines": [] if between else await _lines(place, person),
        "on": on_the_way(place, session.next_path) if session.next_path and not between else "",
    }
    return place.show("account.html", {**values, **said}, status)


async def _authenticators(place: Place, person: Person) -> list[tuple[Channel, bool, int | None]]:
    """Return the kinds that may be set up, whether the person has one, and the codes left of a list."""
    if person.msisdn is None and not _may_begin_with_authenticator(place):
        return []
    left = await enrol.list_left(place.login, place.caller, person)
    return [
        (kind, owned(person, kind) is not None, left if kind is Channel.HASH_CHAIN else None)
        for kind in place.settings.factors
        if kind in FACTORS
    ]


async def _devices(place: Place, person: Person) -> list[dict[str, Any]]:
    now, days = place.login.ports.clock.now(), place.settings.remember_days
    known = [one for one in await place.login.people.devices_of(person.id) if now < one.expires_at]
    return [
        {
            "id": one.digest.hex(),
            "since": one.created_at,
            "name": browser_name(one.agent),
            "until": until,
            "days": _days_left(until, now),
        }
        for one, until in ((one, trusted_until(one, now, days=days)) for one in known)
    ]


def _days_left(until: datetime | None, now: datetime) -> int:
    """Return for how many days more no second factor is asked for; begun days count."""
    return 0 if until is None else max(0, math.ceil((until - now) / timedelta(days=1)))


async def _lines(place: Place, person: Person) -> list[dict[str, Any]]:
    return [_shown(line) for line in await place.login.people.lines_of(person.id, limit=LINES_SHOWN)]


def _shown(line: SignInLine) -> dict[str, Any]:
    return {"at": line.at, "network": line.network, "kind": _KINDS.get(line.what, "changed")}


def _masked(person: Person) -> str:
    """Show whose number it is: the person itself looks, and yet somebody may stand behind."""
    if person.msisdn is None or person.proved_at is None:
        return ""
    return f"•••• {person.msisdn[-2:]}"


def _may_begin_with_authenticator(place: Place) -> bool:
    """Say whether an authenticator may come before a proved number.

    That of an operator may, for there may be no carrier yet. Elsewhere it would be filed under a number that
    somebody else holds.
    """
    return place.caller.tenant.name == CONSOLE_TENANT


async def _number(
    place: Place, session: BrowserSession, person: Person, form: Mapping[str, str], _about: str
) -> Response:
    typed = form.get("msisdn", "")[:64]
    try:
        number = parse(typed, default_region=region_of(place.caller.service.countries)).msisdn
        enrol.check_number(place.login, place.settings, person, number)
        said = place.particulars(Channel.SMS, "signup")
        wanted = Ask(to=number, channel=None, client_ip=place.visitor.address, particulars=said)
        asked = await place.rooms.step.begin(place.caller, wanted)
    except InvalidMsisdn:
        error = place.words.say("code_bad_number")
        return await show_account(place, session, person, 422, error=error, field="msisdn", typed=typed)
    except NumberStopped:
        error = place.words.say("sorry_refused")
        return await show_account(place, session, person, 422, error=error, field="msisdn", typed=typed)
    await place.bind(session, asked, Purpose.NUMBER)
    return see_other(place.path(ACCOUNT_PATH, "code"))


async def _add(
    place: Place, session: BrowserSession, person: Person, form: Mapping[str, str], about: str
) -> Response:
    if not (person.msisdn or _may_begin_with_authenticator(place)):
        raise Refused("A number comes first.", reason="number_first")
    try:
        made = await enrol.begin_factor(
            place.login,
            place.caller,
            person,
            _channel(about),
            allowed=place.settings.factors,
            to=form.get("msisdn", ""),
        )
    except InvalidMsisdn:
        error = place.words.say("code_bad_number")
        return await show_account(place, session, person, 422, error=error, field="msisdn")
    except Conflict:
        return await show_account(place, session, person, 422, error=place.words.say("sorry_refused"))
    asked = await place.rooms.step.begin(place.caller, Ask(factor=made.factor.id))
    await place.bind(session, asked, Purpose.AUTHENTICATOR)
    if made.printed:
        return await show_printed(place, asked, made)
    return see_other(place.path(ACCOUNT_PATH, "code"))


async def show_printed(place: Place, asked: VerificationId, made: Enrolled) -> Response:
    """Show a printed list, this once, and ask for its first code."""
    values = await place.rooms.step.look(place.caller, asked, place.words)
    shown = {"printed": made.printed, "seed": "", "qr": "", "factor_kind": Channel.HASH_CHAIN.value}
    return place.show("account_code.html", {**values, **around_code(place), **shown})


def around_code(place: Place) -> dict[str, str]:
    """Return what the form for a code needs on the page of an account."""
    code = place.path(ACCOUNT_PATH, "code")
    watch = place.path(ACCOUNT_PATH, "code", "watch")
    return {"form": place.token(CODE_FORM), "back": place.account(), "poll": watch, "to": code}


async def _drop(
    place: Place, _session: BrowserSession, person: Person, _form: Mapping[str, str], about: str
) -> Response:
    kind = _channel(about)
    await enrol.drop_factor(place.login, place.caller, place.settings, person, kind, visitor=place.visitor)
    return see_other(place.account())


async def _step(
    place: Place, session: BrowserSession, person: Person, form: Mapping[str, str], about: str
) -> Response:
    """Bring an authenticator into step; two codes in a row are proof enough of having it."""
    codes = (form.get("first", ""), form.get("second", ""))
    kind = _channel(about)
    if await enrol.bring_in_step(place.login, place.caller, person, kind, codes, visitor=place.visitor):
        return await show_account(place, session, person, notice=place.words.say("resync_done"))
    error = place.words.say("resync_wrong")
    return await show_account(place, session, person, 422, error=error, field=f"first-{kind}")


async def _prefer(
    place: Place, _session: BrowserSession, person: Person, _form: Mapping[str, str], about: str
) -> Response:
    await enrol.prefer(place.login, place.settings, person, _channel(about))
    return see_other(place.account())


async def _codes(
    place: Place, session: BrowserSession, person: Person, _form: Mapping[str, str], _about: str
) -> Response:
    return await show_codes(place, session, person)


async def show_codes(place: Place, session: BrowserSession, person: Person) -> Response:
    """Make recovery codes and show them, this once."""
    codes = await enrol.new_recovery_codes(place.login, person, place.visitor)
    on = on_the_way(place, session.next_path)
    return place.show("account_codes.html", {"codes": codes, "on": on})


async def _password(
    place: Place, session: BrowserSession, person: Person, form: Mapping[str, str], _about: str
) -> Response:
    """Change the password; every other browser has to sign in again."""
    if place.settings.check_url is not None:
        raise Refused("The password is changed where it is known.", reason="password_elsewhere")
    old, new = form.get("old", ""), form.get("new", "")
    try:
        changed = await change_password(place.login, place.visitor, person, old=old, new=new)
    except InvalidRequest:
        error = place.words.say("sign_up_password_bad")
        return await show_account(place, session, person, 422, error=error, field="new")
    if not changed:
        error = place.words.say("login_wrong")
        return await show_account(place, session, person, 422, error=error, field="old")
    return see_other(place.account())


async def _forget(
    place: Place, _session: BrowserSession, person: Person, _form: Mapping[str, str], about: str
) -> Response:
    try:
        digest = bytes.fromhex(about)
    except ValueError as error:
        raise NotFound("There is no such browser.") from error
    await place.login.people.forget_device(person.id, digest)
    return see_other(place.account())


async def _out(
    place: Place, session: BrowserSession, person: Person, _form: Mapping[str, str], about: str
) -> Response:
    if about == "everywhere":
        line = line_of(place.login, place.visitor, "signed_out_everywhere")
        await place.login.people.end_sessions(person.id, but=None, line=line)
    else:
        await place.login.people.end_session(session.digest, now=place.login.ports.clock.now())
    return place.cookies.take(see_other(place.sign_in()))


def _channel(text: str) -> Channel:
    for channel in Channel:
        if channel.value == text:
            return channel
    raise Refused("There is no such factor.", reason="no_factor")


_ACTS: Final[Mapping[str, Act]] = {
    "number": _number,
    "add": _add,
    "drop": _drop,
    "prefer": _prefer,
    "step": _step,
    "password": _password,
    "codes": _codes,
    "forget": _forget,
    "out": _out,
}
# What changes factors: who did not prove any just now signs in anew first.
_AFTER_PROOF: Final = ("number", "add", "drop", "codes")
# What somebody may do who still has to set a second factor up.
_BETWEEN: Final = ("number", "add", "out")
