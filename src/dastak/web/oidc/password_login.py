"""Log in with username, password and code: by the login of the service, whose session counts here as well."""

import msgspec
from starlette.requests import Request

from dastak.core.ids import digest_of
from dastak.core.oidc import Client, Login
from dastak.core.people_store import PeopleStore
from dastak.core.person import PersonId
from dastak.core.tenant import Service
from dastak.web.login.sign_in_desk import SignInDesk

_PERSON = "person:"


class PasswordLogin(msgspec.Struct, frozen=True):
    """The login of services, as the provider sees it."""

    desk: SignInDesk
    people: PeopleStore

    async def login(self, request: Request, client: Client) -> Login | None:
        """Return who a browser is signed in as; who was made in another mode is nobody here."""
        found = await self.desk.signed_in(request, client.service)
        if found is None or found.person.mode is not client.mode:
            return None
        return Login(
            who=_PERSON + found.person.id.hex(), msisdn=found.msisdn, at=found.auth_time, amr=found.amr
        )

    async def address(self, service: Service, next_path: str, *, fresh: bool, hint: str | None) -> str | None:
        """Return where a browser signs in; None where nobody does."""
        if await self.people.login_of(service.n) is None:
            return None
        return self.desk.address(service, next_path, fresh=fresh, hint=hint)

    async def is_open(self, login: Login) -> bool:
        """Say whether the account of a login is still there and not blocked."""
        if not login.who.startswith(_PERSON):
            return True
        person = await self.people.find_person(PersonId(bytes.fromhex(login.who.removeprefix(_PERSON))))
        return person is not None and not person.blocked

    def session(self, request: Request, client: Client) -> bytes | None:
        """Return the digest of a browser's session at a client's service."""
        secret = self.desk.cookies(client.service).read(request)
        return None if secret is None else digest_of(secret)
