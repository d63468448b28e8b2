"""What all parts of the OpenID Connect provider share: clients, keys, visits and a person's lock."""

from datetime import datetime, timedelta
from typing import Final

import msgspec
from starlette.requests import Request

from dastak.core import lockout, oidc, oidc_keys
from dastak.core.errors import DastakError
from dastak.core.ids import digest_of
from dastak.core.lockout import Lock
from dastak.core.oidc import SESSION_S, Client, Login, Visit
from dastak.core.oidc_acr import is_by_number
from dastak.core.oidc_store import Keys, OidcStore
from dastak.core.tenant import Caller, Mode
from dastak.tenancy import signing_keys
from dastak.web.browser_session import BrowserSessions
from dastak.web.code_step import CodeStep
from dastak.web.oidc.password_login import PasswordLogin
from dastak.web.oidc.way_in import Here
from dastak.web.page_house import PageHouse

TOKEN: Final = "/token"  # noqa: S105 - a path
USERINFO: Final = "/userinfo"
LOGOUT: Final = "/logout"
KEYS: Final = "/.well-known/jwks.json"
COOKIE: Final = "oidc"
# Each look at a page would be a commit; a minute is precise enough for a quarter of an hour.
SEEN_EVERY: Final = timedelta(minutes=1)


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's parts.

    Attributes:
        codes: Asks people for codes.
        passwords: Logs people in with username and password.
        proxies: How many proxies of ours stand before us and name the address of who asks.
    """

    house: PageHouse
    store: OidcStore
    codes: CodeStep
    passwords: PasswordLogin
    proxies: int = 0

    @property
    def issuer(self) -> str:
        """The name tokens are signed in."""
        return self.house.public_url

    def now(self) -> datetime:
        """Return the time."""
        return self.house.ports.clock.now()

    async def keys(self) -> Keys:
        """Return the signing keys; the first call of all makes two."""
        ports = self.house.ports
        return await signing_keys.ensure(self.store, ports.sealer, now=self.now(), entropy=ports.entropy)

    async def published(self) -> Keys:
        """Return the keys that clients shall know."""
        return oidc_keys.published(await self.keys(), now=self.now())

    async def subject(self, client: Client, login: Login) -> str:
        """Return a person's name at a client."""
        ports = self.house.ports
        seed = await signing_keys.subject_seed(self.store, ports.sealer, entropy=ports.entropy)
        return oidc.subject_of(seed, client, login.who)

    def caller(self, client: Client) -> Caller:
        """Return who asks for codes in a client's name.

        Raises:
            NotFound: Its service is gone.
            Forbidden: Its tenant is suspended.
        """
        return self.house.directory.page_caller(client.service, client.mode)

    def sessions(self, service: int, mode: Mode) -> BrowserSessions:
        """Return the cookies of one service and mode."""
        name, entropy = f"{COOKIE}-{service}-{mode}", self.house.ports.entropy
        return BrowserSessions(name, public_url=self.house.public_url, entropy=entropy)

    async def here(self, request: Request, client: Client) -> Here:
        """Say what a browser carries for a client's service. Raises: NotFound (at another's host)."""
        self.house.refuse_elsewhere(request, client.service)
        sessions = self.sessions(client.service, client.mode)
        secret = sessions.read(request)
        visit = None if secret is None else await self.store.visit(digest_of(secret))
        now = self.now()
        if visit is not None and not oidc.is_open(visit, now=now):
            visit = None
        if visit is not None and visit.login is not None and now - visit.seen_at >= SEEN_EVERY:
            visit = msgspec.structs.replace(visit, seen_at=now)
            await self.store.put_visit(visit)
        return Here(sessions, secret, visit)

    async def enter(self, here: Here, client: Client, login: Login) -> Here:
        """Note who is in a browser from now on; it is to be given another secret than it had."""
        secret, now = here.sessions.new(), self.now()
        visit = Visit(
            digest=digest_of(secret),
            service=client.service,
            mode=client.mode,
            seen_at=now,
            ends_at=now + timedelta(seconds=SESSION_S),
            login=login,
        )
        before = None if here.secret is None else digest_of(here.secret)
        await self.store.put_visit(visit, instead_of=before)
        return Here(here.sessions, secret, visit)

    async def may_enter(self, client: Client, login: Login) -> bool:
        """Say whether a person may be let in now: a lock since the code was typed holds for what follows."""
        return await self.is_served(client, login) and await self.lock(client, login) is None

    async def is_served(self, client: Client, login: Login) -> bool:
        """Say whether the client's service is there, and the account of a login there and not blocked."""
        try:
            self.caller(client)
        except DastakError:
            return False
        return await self.passwords.is_open(login)

    async def lock(self, client: Client, login: Login) -> Lock | None:
        """Return what locks the number that proved a login; what proved it without the number has no lock.

        Raises:
            NotFound: The client's service is gone.
            Forbidden: Its tenant is suspended.
        """
        if login.msisdn is None or not is_by_number(login.amr):
            return None
        tally = await self.store.tally(client.tenant, client.mode, login.msisdn)
        legacy = self.caller(client).service.policy.legacy
        return lockout.lock(tally, now=self.now(), legacy=legacy)
