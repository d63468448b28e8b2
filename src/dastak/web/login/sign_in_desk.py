"""Who is signed in: what other pages ask before they show something, and where they send everybody else."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from dastak.core.errors import NotFound
from dastak.core.ids import digest_of
from dastak.core.login_settings import LoginSettings
from dastak.core.msisdn import Msisdn
from dastak.core.people_store import PeopleStore
from dastak.core.person import Person, ways
from dastak.core.sign_in_state import FORGETTING, SEEN_EVERY, BrowserSession, Stage, is_over
from dastak.core.tenant import Service
from dastak.tenancy.console_service import console_service
from dastak.web.browser_session import BrowserSessions
from dastak.web.page_house import PageHouse

LOGIN_PATH: Final = "/login"


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A person that a browser is signed in as.

    Attributes:
        msisdn: Proved; None if there is none.
        auth_time: When it signed in.
        amr: What was proved then, in the words of RFC 8176.
    """

    person: Person
    msisdn: Msisdn | None
    auth_time: datetime
    amr: tuple[str, ...]
    session: BrowserSession


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who runs things.

    Attributes:
        tenant: The number of the one tenant to look after; None is all.
    """

    name: str
    tenant: int | None
    signed_in: SignedIn


class SignInDesk:
    """Reads the cookies of browsers.

    Args:
        house: What all pages share.
        people: Where sessions are written down.
    """

    def __init__(self, house: PageHouse, people: PeopleStore) -> None:
        self._house, self._people = house, people

    def cookies(self, service_n: int) -> BrowserSessions:
        """Return the cookies of a service's sessions; a browser may be signed in to several."""
        house = self._house
        return BrowserSessions(f"login-{service_n}", public_url=house.public_url, entropy=house.ports.entropy)

    async def session(self, request: Request, service_n: int) -> BrowserSession | None:
        """Return the session of a browser at a service, of whichever stage, if it still counts."""
        secret = self.cookies(service_n).read(request)
        found = None if secret is None else await self._people.session_of(digest_of(secret))
        now = self._house.ports.clock.now()
        if found is None or found.service != service_n or is_over(found, now) or found.stage in FORGETTING:
            return None
        if now - found.seen_at >= SEEN_EVERY:
            await self._people.move_session(
                found.digest, lambda one: msgspec.structs.replace(one, seen_at=now)
            )
        return found

    async def settings_of(self, service_n: int) -> LoginSettings | None:
        """Return how people sign in to a service; to the console with both factors, whatever is written down.

        It lets nobody in by less: who came by the password alone would go between it and the login for ever.
        """
        found, console = await self._people.login_of(service_n), console_service(self._house.directory)
        if found is None or console is None or service_n != console.n:
            return found
        return msgspec.structs.replace(found, required=True, remember_days=0)

    async def signed_in(self, request: Request, service_n: int) -> SignedIn | None:
        """Return who is signed in to a service, with all that the service wants; None is nobody."""
        session = await self.session(request, service_n)
        if session is None or session.stage is not Stage.SIGNED_IN:
            return None
        person = await self._people.find_person(session.person)
        settings = await self.settings_of(service_n)
        if person is None or person.blocked or settings is None or person.mode is not settings.mode:
            return None
        if not is_enough(session, person, settings):
            return None
        return SignedIn(
            person=person,
            msisdn=person.msisdn if person.proved_at is not None else None,
            auth_time=session.auth_at,
            amr=session.amr,
            session=session,
        )

    async def operator_of(self, request: Request) -> Operator | None:
        """Return the operator who is signed in to the console; None is nobody."""
        service = console_service(self._house.directory)
        found = None if service is None else await self.signed_in(request, service.n)
        if found is None or "mfa" not in found.amr:
            return None
        return Operator(name=found.person.username, tenant=found.person.tenant, signed_in=found)

    def address(
        self, service: Service, next_path: str = "", *, fresh: bool = False, hint: str | None = None
    ) -> str:
        """Return where a browser signs in to a service.

        Args:
            service: The one.
            next_path: Where it comes back to; a path of ours.
            fresh: Ask for password and second factor even if it is signed in.
            hint: A username to fill in.

        Raises:
            NotFound: The service has no tenant any more.
        """
        tenant = self._house.directory.tenant_of(service.tenant)
        said: Mapping[str, str] = {"next": next_path, "fresh": "1" if fresh else "", "hint": hint or ""}
        query = urlencode({name: value for name, value in said.items() if value})
        return f"{LOGIN_PATH}/{tenant.name}/{service.name}" + (f"?{query}" if query else "")

    def console_address(self, next_path: str = "/console") -> str:
        """Return where an operator signs in. Raises: NotFound (nobody was ever invited)."""
        service = console_service(self._house.directory)
        if service is None:
            raise NotFound("No operator was invited yet.")
        return self.address(service, next_path)


def is_enough(session: BrowserSession, person: Person, settings: LoginSettings) -> bool:
    """Say whether a sign-in proved what the service wants now.

    It may have been by the password alone, before the service wanted more: then it counts no more, whether
    its person still has to set a second factor up or did so in another browser. Where the browser was
    remembered, as browsers may be, and there is a factor to be remembered for, the password is enough.
    """
    if not settings.required or "mfa" in session.amr:
        return True
    return session.trusted and settings.remember_days > 0 and bool(ways(person, settings.factors))
