"""What the login's pages share: whose page it is, who stands before it, and how a code is asked for."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from dastak.core import lockout
from dastak.core.errors import DastakError, NotFound, Overloaded
from dastak.core.ids import VerificationId, digest_of
from dastak.core.lockout import Lock, Tally
from dastak.core.login_settings import LoginSettings
from dastak.core.msisdn import Msisdn
from dastak.core.people_store import LoginPorts
from dastak.core.person import Person, ways
from dastak.core.policy import FACTORS, Channel
from dastak.core.sign_in_state import BrowserSession, Purpose, Stage
from dastak.core.tenant import Caller, Mode
from dastak.core.verification import Particulars
from dastak.flows.sign_in import Visitor, asking, bind
from dastak.tenancy.console_service import CONSOLE_TENANT, service_named
from dastak.web.browser_session import BrowserSessions, check_form, form_token
from dastak.web.code.code_view import locked_line, minutes_left
from dastak.web.code_step import CodeStep
from dastak.web.login.next_path import next_path
from dastak.web.login.sign_in_desk import LOGIN_PATH, SignInDesk
from dastak.web.page_answers import refuse_foreign, see_other
from dastak.web.page_house import PageHouse
from dastak.web.page_words import Words

ACCOUNT_PATH: Final = "/account"
DEVICE_MAX_AGE_S: Final = 365 * 86_400
_ADDRESSES_MAX: Final = 20


class LoginHouse(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the login's pages.

    Attributes:
        tally: Returns the wrong codes of a tenant's number in a mode, which may lock it.
        proxies: How many proxies of ours stand before us and name the address of who asks.
    """

    house: PageHouse
    login: LoginPorts
    desk: SignInDesk
    step: CodeStep
    tally: Callable[[int, Mode, Msisdn], Awaitable[Tally]]
    proxies: int = 0

    async def place(self, request: Request) -> "Place":
        """Return which service a request is about. Raises: NotFound (nobody signs in there)."""
        said = request.path_params
        return await self.place_of(request, said["tenant"], said["service"])

    async def place_of(self, request: Request, tenant: str, name: str) -> "Place":
        """Return a request to the pages of a service that its path does not name. Raises: NotFound."""
        service = service_named(self.house.directory, tenant, name)
        self.house.refuse_elsewhere(request, service.n)
        settings = await self.desk.settings_of(service.n)
        if settings is None:
            raise NotFound("Nobody signs in to this service.")
        caller = self.house.directory.page_caller(service.n, settings.mode)
        # What is sent is chosen from what is sent alone: an authenticator is asked for by its own id.
        sent = tuple(channel for channel in settings.factors if channel not in FACTORS)
        policy = replace(caller.service.policy, channels=sent or (Channel.SMS,))
        caller = Caller(caller.key, caller.tenant, replace(caller.service, policy=policy))
        return Place(
            rooms=self,
            request=request,
            caller=caller,
            settings=settings,
            cookies=self.desk.cookies(service.n),
            words=self.house.words(request, fallback=service.locale),
        )

    @property
    def devices(self) -> BrowserSessions:
        """The cookie by which a browser is known again."""
        return BrowserSessions("device", public_url=self.house.public_url, entropy=self.house.ports.entropy)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One request to one service's pages."""

    rooms: LoginHouse
    request: Request
    caller: Caller
    settings: LoginSettings
    cookies: BrowserSessions
    words: Words

    @property
    def login(self) -> LoginPorts:
        """What the flows may touch."""
        return self.rooms.login

    @property
    def secret(self) -> str | None:
        """What the browser carries."""
        return self.cookies.read(self.request)

    @property
    def visitor(self) -> Visitor:
        """The browser."""
        device = self.rooms.devices.read(self.request)
        return Visitor(
            address=client_address(self.request, self.rooms.proxies),
            agent=self.request.headers.get("user-agent", ""),
            device=None if device is None else digest_of(device),
            session=None if self.secret is None else digest_of(self.secret),
            console=self.caller.tenant.name == CONSOLE_TENANT,
        )

    async def session(self) -> BrowserSession | None:
        """Return its session, if that still counts."""
        return await self.rooms.desk.session(self.request, self.settings.service)

    def path(self, under: str, *rest: str, **said: str) -> str:
        """Return a path of this service, in the language that was asked for."""
        parts = (under, self.caller.tenant.name, self.caller.service.name, *rest)
        lang = self.request.query_params.get("lang", "")
        query = {**said, **({"lang": self.words.language} if lang else {})}
        shown = urlencode({name: value for name, value in query.items() if value})
        return "/".join(parts) + (f"?{shown}" if shown else "")

    def account(self) -> str:
        """Return where a person looks after its account."""
        return self.path(ACCOUNT_PATH)

    def sign_in(self, **said: str) -> str:
        """Return where a person begins."""
        return self.path(LOGIN_PATH, **said)

    def token(self, form: str) -> str:
        """Return the hidden field of a form of this session."""
        return form_token(self.secret or "", form)

    def check(self, form: str, said: Mapping[str, str]) -> None:
        """Refuse a form of another site, or of another session. Raises: Forbidden."""
        refuse_foreign(self.request, self.rooms.house.origin_of(self.request))
        check_form(self.secret, form, said.get("form"))

    def show(self, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
        """Answer with a page."""
        lang = "lang=" + self.words.language if "lang" in self.request.query_params else ""
        path = self.request.url.path
        shared = {
            "brand": self.caller.service.brand,
            "here": f"{path}?{lang}" if lang else path,
            "site": self.settings.site_url or "",
        }
        return self.rooms.house.show(template, self.words, {**shared, **values}, status)

    async def ask(
        self, session: BrowserSession, person: Person, channel: Channel | None = None
    ) -> DastakError | None:
        """Ask a person for a code, by one way or by the first that works; return why none does.

        To a number that is locked nothing is sent, for no code of it would let its person in.

        Raises:
            Overloaded: It cannot be asked for now.
        """
        refusal: DastakError | None = None
        wanted = ways(person, self.settings.factors) if channel is None else (channel,)
        locked = await self.lock(person) is not None
        for way in (one for one in wanted if one in FACTORS or not locked):
            try:
                asked = asking(person, way, self.particulars(way, "login"))
                verification = await self.rooms.step.begin(self.caller, asked)
            except Overloaded:
                raise
            except DastakError as error:
                refusal = refusal or error
                continue
            await bind(self.login, session, verification, Purpose.SIGN_IN)
            return None
        return refusal

    async def lock(self, person: Person) -> Lock | None:
        """Return what keeps a text or a call from letting a person in now."""
        if person.msisdn is None:
            return None
        tally = await self.rooms.tally(self.caller.tenant.n, self.settings.mode, person.msisdn)
        legacy = self.caller.service.policy.legacy
        return lockout.lock(tally, now=self.login.ports.clock.now(), legacy=legacy)

    def wait_min(self, lock: Lock) -> int | None:
        """Return for how many minutes a lock holds; None is until somebody takes it away."""
        return None if lock.until is None else minutes_left(lock.until, self.login.ports.clock.now())

    def too_many(self, minutes: int) -> str:
        """Return the sentence for a number that is locked for so long."""
        return self.words.say("error_locked", minutes=minutes, brand=self.caller.service.brand)

    def locked(self, lock: Lock) -> str:
        """Return the sentence for a number that is locked, whether or not it opens by itself."""
        now, brand = self.login.ports.clock.now(), self.caller.service.brand
        return locked_line(self.words, lock, now=now, brand=brand)

    def particulars(self, channel: Channel, purpose: str) -> Particulars:
        """Return how a code is asked for: in the reader's language, for our pages alone where that may be."""
        # What is not sent as a text has no line for browsers.
        house, service = self.rooms.house, self.caller.service
        domain = house.domain_here(service, self.request) if channel is Channel.SMS else None
        return Particulars(channel=channel, locale=self.words.language, purpose=purpose, domain=domain)

    async def bind(self, session: BrowserSession, verification: VerificationId, purpose: Purpose) -> None:
        """Bind a code to the session that asked for it."""
        await bind(self.login, session, verification, purpose)

    def home(self, session: BrowserSession) -> str:
        """Return where a session that is signed in goes."""
        return on_the_way(self, session.next_path)


def on_the_way(place: Place, to: str) -> str:
    """Return the address after a sign-in.

    A page in between ends the redirects of the form: what comes after may lead to another site, and browsers
    hold the whole chain to this page's `form-action`.
    """
    kept = next_path(to)
    if not kept:
        return place.account()
    return place.path(LOGIN_PATH, "on", next=kept)


def begin_again(place: Place, session: BrowserSession | None, lock: Lock | None = None) -> Response:
    """Send somebody back to the beginning, without saying what went wrong but for how long a lock holds.

    A lock is no secret: the right code and a wrong one meet it alike.
    """
    kept = "" if session is None else session.next_path
    minutes = None if lock is None else place.wait_min(lock)
    return see_other(place.sign_in(next=kept, again="1", wait="" if minutes is None else str(minutes)))


def client_address(request: Request, proxies: int) -> str:
    """Return the address of who asks: the peer's, or what the outermost of our proxies saw.

    What stands further left in the header was written by who asks, and is not believed.
    """
    peer = request.client.host if request.client else ""
    if not proxies:
        return peer
    seen = ",".join(request.headers.getlist("x-forwarded-for")).split(",")[-_ADDRESSES_MAX:]
    named = [one.strip() for one in seen if one.strip()]
    return named[-proxies] if len(named) >= proxies else peer


def is_between(session: BrowserSession | None) -> bool:
    """Say whether the password was right and nothing more."""
    return session is not None and session.stage is Stage.PASSWORD_PASSED
