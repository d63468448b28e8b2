"""Log in with username, password and code: by the login of the service, whose session counts here as well."""

import msgspec
from starlette.requests import Request

from dastak.core.ids import digest_of
from dastak.core.oidc import Client, Login
from dastak.core.oidc_acr import who_by_password
from dastak.core.people_store import PeopleStore
from dastak.core.person import PersonId
from dastak.core.tenant import Service
from dastak.web.login.sign_in_desk import SignInDesk


class PasswordLogin(msgspec.Struct, frozen=True):
    """The login of services, as the provider sees it."""

    desk: SignInDesk
    people: PeopleStore

    async def login(self, request: Request, client: Client) -> Login | None:
        """Return who a browser is signed in as; who was made in another mode is nobody here."""
        found = await self.desk.signed_in(request, client.service)
        if found is None or found.person.mode is not client.mode:
            return None
        account = found.person.id.hex()
        who = who_by_password(client.login, account, found.msisdn, found.amr)
        return Login(who=who, msisdn=found.msisdn, at=found.auth_time, amr=found.amr, account=account)

    async def is_there(self, client: Client) -> bool:
        """Say whether a client's people can have accounts at all."""
        settings = await self.people.login_of(client.service)
        return settings is not None and settings.mode is client.mode

    def address(self, service: Service, next_path: str, *, hint: str | None) -> str:
        """Return where a browser signs in with all factors: one that is remembered is asked all the same."""
        return self.desk.address(service, next_path, fresh=True, hint=hint)

    async def is_open(self, login: Login) -> bool:
        """Say whether the account of a login is still there and not blocked."""
        if login.account is None:
            return True
        person = await self.people.find_person(PersonId(bytes.fromhex(login.account)))
        return person is not None and not person.blocked

    def session(self, request: Request, client: Client) -> bytes | None:
        """Return the digest of a browser's session at a client's service."""
        secret = self.desk.cookies(client.service).read(request)
        return None if secret is None else digest_of(secret)
