"""A forgotten password: name the account, type the code of its phone, prove one thing more, choose a new one.

The page of the code is the same in every octet whether there is such an account or not, and comes as late.
It has no button to send once more, for that would be one more text to somebody else's phone: who needs
another one begins again, within the budget of that account.

Who has nothing beside the phone, or not the phone, is given a link by those who run the site. It opens the
last step, and is used up by a button and not by looking, because programs look at links in mails. While the
number is locked, and is all that its person could prove there, it is kept for later.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.codes import Alphabet
from dastak.core.errors import InvalidRequest, NotFound
from dastak.core.ids import digest_of
from dastak.core.lockout import Lock
from dastak.core.person import Person
from dastak.core.policy import FACTORS, Channel
from dastak.core.sign_in_state import BrowserSession, Stage, is_over
from dastak.flows import forgotten
from dastak.flows import sign_in as flow
from dastak.tenancy.console_service import CONSOLE_TENANT
from dastak.web.browser_session import BrowserSessions, form_token
from dastak.web.code.code_view import minutes_left
from dastak.web.code_field import FieldRead, Misread, read_digits, read_letters
from dastak.web.login.even_answers import evenly
from dastak.web.login.login_house import LoginHouse, Place
from dastak.web.login.sign_in_desk import LOGIN_PATH
from dastak.web.page_answers import read_form, see_other

Page = Callable[[Place], Awaitable[Response]]

FORM: Final = "forgotten"
FORGOTTEN: Final = "forgotten"
_PATH: Final = LOGIN_PATH + "/{tenant:str}/{service:str}/" + FORGOTTEN
_UNPROCESSABLE: Final = 422
_NAME_SHOWN_MAX: Final = 64
_TYPED_SHOWN_MAX: Final = 40
_TOKEN_CHARACTERS_MAX: Final = 100


def forgotten_routes(rooms: LoginHouse) -> list[Route]:
    """Return the pages of all steps."""

    def page(path: str, get: Page, post: Page, *, by_link: bool = False) -> Route:
        async def answer(request: Request) -> Response:
            place = _place(await rooms.place(request), by_link=by_link)
            if request.method != "POST":
                return await get(place)
            return await evenly(place.login.ports.clock, lambda: post(place))

        return Route(_PATH + path, rooms.house.for_people(answer), methods=["GET", "POST"])

    return [
        page("", _show_name, _take_name),
        page("/code", _show_code, _take_code),
        page("/link/{token:str}", _show_link, _take_link, by_link=True),
        page("/new", _show_new, _take_new, by_link=True),
    ]


def forgotten_address(place: Place) -> str:
    """Return where somebody goes who forgot a password; empty where the pages cannot help.

    A customer's own system changes its passwords itself, and operators are invited anew.
    """
    helps = _is_ours(place) and Channel.SMS in place.settings.factors
    return place.path(LOGIN_PATH, FORGOTTEN) if helps else ""


def _is_ours(place: Place) -> bool:
    """Say whether passwords are set anew here at all."""
    return place.settings.check_url is None and place.caller.tenant.name != CONSOLE_TENANT


def _place(place: Place, *, by_link: bool) -> Place:
    """Return the place with a cookie of its own. Raises: NotFound (nothing is set anew here)."""
    if not (_is_ours(place) if by_link else forgotten_address(place)):
        raise NotFound("No password is set anew here.")
    house = place.rooms.house
    name = f"forgotten-{place.settings.service}"
    cookies = BrowserSessions(name, public_url=house.public_url, entropy=house.ports.entropy)
    return msgspec.structs.replace(place, cookies=cookies)


async def _session(place: Place, *stages: Stage) -> BrowserSession | None:
    secret = place.secret
    found = None if secret is None else await place.login.people.session_of(digest_of(secret))
    now = place.login.ports.clock.now()
    if found is None or found.service != place.settings.service or is_over(found, now):
        return None
    return found if found.stage in stages else None


async def _show_name(place: Place) -> Response:
    secret = place.secret or place.cookies.new()
    answer = place.show("forgotten.html", {"form": form_token(secret, FORM), "sign_in": place.sign_in()})
    return answer if place.secret else place.cookies.give(answer, secret)


async def _take_name(place: Place) -> Response:
    form = await read_form(place.request)
    place.check(FORM, form)
    secret = place.cookies.new()
    await forgotten.name_account(
        place.login,
        place.caller,
        place.settings,
        place.visitor,
        form.get("username", ""),
        session_digest=digest_of(secret),
        said=place.particulars(Channel.SMS, "reset"),
        lock_of=place.lock,
    )
    return place.cookies.give(see_other(place.path(LOGIN_PATH, FORGOTTEN, "code")), secret)


async def _show_code(place: Place) -> Response:
    session = await _session(place, Stage.FORGOT)
    if session is None:
        return see_other(place.path(LOGIN_PATH, FORGOTTEN))
    return _code_page(place, session)


def _code_page(place: Place, session: BrowserSession, error: str = "", status: int = 200) -> Response:
    policy = place.caller.service.policy
    until = session.created_at + timedelta(seconds=policy.ttl_s)
    letters = policy.alphabet is not Alphabet.NUMERIC
    minutes = minutes_left(until, place.login.ports.clock.now())
    name = "code_hint_letters" if letters else "code_hint"
    values = {
        "form": place.token(FORM),
        "hint": place.words.say(name, length=policy.length, minutes=minutes),
        "input_mode": "text" if letters else "numeric",
        "error": error,
        "again": forgotten_address(place),
        "sign_in": place.sign_in(),
    }
    return place.show("forgotten_code.html", values, status)


async def _take_code(place: Place) -> Response:
    session = await _session(place, Stage.FORGOT)
    if session is None:
        return see_other(place.path(LOGIN_PATH, FORGOTTEN))
    form = await read_form(place.request)
    place.check(FORM, form)
    read = _read(place, form.get("code", ""))
    if read.misread is not None:
        return _code_page(place, session, _misread(place, read), _UNPROCESSABLE)
    secret = place.cookies.new()
    proved = await forgotten.prove_phone(
        place.login, place.caller.tenant.n, session, read.code, session_digest=digest_of(secret)
    )
    if proved is None:
        return _code_page(place, session, place.words.say("forgotten_wrong"), _UNPROCESSABLE)
    return await _go_to_new(place, proved, secret)


async def _go_to_new(place: Place, session: BrowserSession, secret: str) -> Response:
    """Ask for one proof more, and go where it is typed together with the new password."""
    person = await place.login.people.find_person(session.person)
    if person is not None:
        await _ask_more(place, session, person, await _usable(place, session, person))
    return place.cookies.give(see_other(place.path(LOGIN_PATH, FORGOTTEN, "new")), secret)


async def _ask_more(place: Place, session: BrowserSession, person: Person, wanted: Sequence[Channel]) -> None:
    said = place.particulars(Channel.SMS, "reset")
    await forgotten.ask_more(place.login, place.caller, session, person, wanted=wanted, said=said)


async def _show_link(place: Place) -> Response:
    await _linked(place)
    return _link_page(place)


def _link_page(place: Place, error: str = "", status: int = 200) -> Response:
    secret = place.secret or place.cookies.new()
    shared = {"error": error, "field": "", "sign_in": place.sign_in()}
    answer = place.show("forgotten_link.html", {**shared, "form": form_token(secret, FORM)}, status)
    return answer if place.secret else place.cookies.give(answer, secret)


async def _linked(place: Place) -> Person:
    """Return whose link it is. Raises: NotFound (it is not good any more)."""
    found = await forgotten.link_of(place.login, place.settings, _token(place))
    person = None if found is None else await place.login.people.find_person(found.person)
    if person is None:
        raise NotFound("This link was used, or its time is over.")
    return person


async def _take_link(place: Place) -> Response:
    form = await read_form(place.request)
    place.check(FORM, form)
    lock = await _lock_of_all(place, await _linked(place))
    if lock is not None:
        return _link_page(place, place.locked(lock), _UNPROCESSABLE)
    secret = place.cookies.new()
    session = await forgotten.open_link(
        place.login, place.settings, _token(place), session_digest=digest_of(secret)
    )
    if session is None:
        raise NotFound("This link was used, or its time is over.")
    return await _go_to_new(place, session, secret)


async def _lock_of_all(place: Place, person: Person) -> Lock | None:
    """Return the lock of a number when nothing else could be proved behind a link, and that could later."""
    could = _typed_here(place, forgotten.more_ways(place.settings, Stage.VOUCHED, person))
    if not could or any(way in FACTORS for way in could):
        return None
    if await place.login.people.recovery_codes_left(person.id) > 0:
        return None
    return await place.lock(person)


def _token(place: Place) -> str:
    return str(place.request.path_params["token"])[:_TOKEN_CHARACTERS_MAX]


def _read(place: Place, raw: str) -> FieldRead:
    policy = place.caller.service.policy
    read = read_digits if policy.alphabet is Alphabet.NUMERIC else read_letters
    return read(raw, policy.length)


def _misread(place: Place, read: FieldRead) -> str:
    policy = place.caller.service.policy
    if read.misread is Misread.LENGTH:
        return place.words.say("error_length", length=policy.length, count=read.digits)
    letters = policy.alphabet is not Alphabet.NUMERIC
    name = "error_unreadable_letters" if letters else "error_unreadable"
    return place.words.say(name, length=policy.length)


async def _proved(place: Place) -> tuple[BrowserSession, Person] | None:
    """Return the session in which one thing was proved, and its person."""
    session = await _session(place, Stage.PHONE_PROVED, Stage.VOUCHED)
    person = None if session is None else await place.login.people.find_person(session.person)
    if session is None or person is None or person.blocked:
        return None
    return session, person


async def _show_new(place: Place) -> Response:
    found = await _proved(place)
    if found is None:
        return see_other(place.path(LOGIN_PATH, FORGOTTEN))
    session, _ = found
    return await _new_page(place, session, await _look(place, session))


async def _look(place: Place, session: BrowserSession) -> Mapping[str, Any]:
    """Return what is shown of the authenticator that is asked for; nothing where none is."""
    if session.asked is None:
        return {}
    return await place.rooms.step.look(place.caller, session.asked, place.words)


async def _others(place: Place, session: BrowserSession, person: Person) -> Sequence[Channel]:
    """Return the other ways to be asked for a code; a text or a call may be asked for once more."""
    now_asked: Channel | None = None
    if session.asked is not None:
        held = await place.login.ports.store.find(place.caller.tenant.n, session.asked)
        now_asked = held.verification.particulars.channel
    usable = await _usable(place, session, person)
    return [way for way in usable if way not in FACTORS or way is not now_asked]


async def _usable(place: Place, session: BrowserSession, person: Person) -> Sequence[Channel]:
    """Return the ways whose code can be typed here now."""
    found = _typed_here(place, forgotten.more_ways(place.settings, session.stage, person))
    locked = await place.lock(person) is not None
    return [way for way in found if way in FACTORS or not locked]


def _typed_here(place: Place, found: Sequence[Channel]) -> Sequence[Channel]:
    """Return the ways whose code is typed here; a call that speaks none has a page of its own."""
    matches = place.caller.service.policy.match
    return [way for way in found if not (matches and way is Channel.VOICE)]


async def _new_page(
    place: Place,
    session: BrowserSession,
    code: Mapping[str, Any],
    status: int = 200,
    *,
    error: str = "",
    field: str = "",
    recovery: str = "",
) -> Response:
    person = await place.login.people.find_person(session.person)
    shown = {
        **code,
        "form": place.token(FORM),
        "others": () if person is None else await _others(place, session, person),
        "has_code": session.asked is not None,
        "has_recovery": await place.login.people.recovery_codes_left(session.person) > 0,
        "recovery": recovery[:_TYPED_SHOWN_MAX],
        "error": error or code.get("error", ""),
        "field": field,
        "sign_in": place.sign_in(),
    }
    return place.show("forgotten_new.html", shown, status)


async def _take_new(place: Place) -> Response:
    found = await _proved(place)
    if found is None:
        return see_other(place.path(LOGIN_PATH, FORGOTTEN))
    session, person = found
    form = await read_form(place.request)
    place.check(FORM, form)
    if form.get("do", "").startswith("use-"):
        wanted = form["do"].removeprefix("use-")
        ways = [way for way in await _usable(place, session, person) if way.value == wanted]
        await _ask_more(place, session, person, ways)
        return see_other(place.path(LOGIN_PATH, FORGOTTEN, "new"))
    recovery = form.get("recovery", "").strip()
    try:
        # Before the proof, which is good once: what fails now costs none.
        kept = await forgotten.make_password(place.login, person, form.get("new", ""))
    except InvalidRequest:
        bad, seen = place.words.say("sign_up_password_bad"), await _look(place, session)
        return await _new_page(
            place, session, seen, _UNPROCESSABLE, error=bad, field="new", recovery=recovery
        )
    refused = await _prove_more(place, session, form, recovery)
    if refused is not None:
        return refused
    await forgotten.set_password(place.login, place.visitor, person.id, kept)
    done = place.show("forgotten_done.html", {"sign_in": place.sign_in()})
    return place.cookies.take(done)


async def _prove_more(
    place: Place, session: BrowserSession, form: Mapping[str, str], recovery: str
) -> Response | None:
    """Judge what is proved beside the phone; None when it is right."""
    if recovery or session.asked is None:
        if await flow.recover(place.login, session, recovery):
            return None
        wrong, seen = place.words.say("login_recovery_wrong"), await _look(place, session)
        return await _new_page(place, session, seen, _UNPROCESSABLE, error=wrong, field="recovery")
    outcome = await place.rooms.step.act(place.caller, session.asked, {**form, "do": "check"}, place.words)
    if outcome.approved:
        return None
    asked = outcome.verification
    if asked != session.asked:
        await place.login.people.move_session(
            session.digest, lambda one: msgspec.structs.replace(one, asked=asked)
        )
    return await _new_page(place, session, outcome.values, outcome.status, field="code")
