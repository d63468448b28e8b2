"""/console/clients: operators register sites that log people in, renew their secrets and remove them."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import DastakError, InvalidRequest, NotFound, Overloaded
from dastak.core.oidc import Client, LoginWay
from dastak.core.tenant import Mode, Service, Tenant
from dastak.tenancy import oidc_clients
from dastak.tenancy.console_service import CONSOLE_TENANT
from dastak.tenancy.oidc_clients import NewClient, WantedClient
from dastak.web.browser_session import check_form, form_token
from dastak.web.login.sign_in_desk import Operator
from dastak.web.oidc.provider import Provider
from dastak.web.page_answers import read_form, refuse_foreign, see_other
from dastak.web.page_words import words_of

HOME: Final = "/console/clients"
FORM: Final = "clients"
_UNPROCESSABLE: Final = 422
_EMPTY: Final = msgspec.structs.asdict(WantedClient(name="", redirect_uris=()))

Choice = TypeVar("Choice", Mode, LoginWay)

log = logging.getLogger("dastak.audit")


# What a choice means, in the words of the page.
_LOGINS: Final[Mapping[LoginWay, str]] = {
    LoginWay.PHONE: "the phone alone: a number and its code",
    LoginWay.PASSWORD_AND_CODE: "username, password and code",
}
_MODES: Final[Mapping[Mode, str]] = {
    Mode.TEST: "to the virtual phones only",
    Mode.TEAM: "to the numbers that the service lists",
    Mode.LIVE: "to everybody, and cost money",
}
assert (set(_LOGINS), set(_MODES)) == (set(LoginWay), set(Mode))


class ClientPages:
    """The one page, and what its forms do."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def routes(self) -> list[Route]:
        """Return the page."""
        return [Route(HOME, self._provider.house.for_people(self.answer), methods=["GET", "POST"])]

    async def answer(self, request: Request) -> Response:
        """Show the sites to an operator, and do what a form says."""
        desk = self._provider.passwords.desk
        operator = await desk.operator_of(request)
        secret = None if operator is None else desk.cookies(operator.signed_in.session.service).read(request)
        if operator is None or secret is None:
            return see_other(desk.console_address(HOME))
        if request.method == "GET":
            return await self._show(operator, secret)
        refuse_foreign(request, self._provider.house.origin_of(request))
        form = await read_form(request)
        check_form(secret, FORM, form.get("form"))
        return await self._act(operator, secret, form)

    async def _act(self, operator: Operator, secret: str, form: Mapping[str, str]) -> Response:
        do, _, about = form.get("do", "").partition("-")
        try:
            if do == "add":
                made = await self._add(operator, form)
            elif do == "rotate":
                client, entropy = await self._client(operator, about), self._provider.house.ports.entropy
                made = await oidc_clients.rotate_secret(self._provider.store, client, entropy=entropy)
            elif do == "remove":
                gone = await self._provider.store.remove_client(await self._client(operator, about))
                _tell(operator, "client_removed", gone)
                return see_other(HOME)
            else:
                raise InvalidRequest("There is no such form.")
        except Overloaded:
            raise
        except DastakError as error:
            return await self._show(operator, secret, error=error.detail, typed=form)
        _tell(operator, "client_added" if do == "add" else "client_secret_rotated", made.client)
        return await self._show(operator, secret, made=made)

    async def _add(self, operator: Operator, form: Mapping[str, str]) -> NewClient:
        provider, ports = self._provider, self._provider.house.ports
        tenant, service = self._place(operator, form.get("service", ""))
        wanted = WantedClient(
            name=form.get("name", "").strip(),
            redirect_uris=tuple(form.get("redirect_uris", "").split()),
            logout_uris=tuple(form.get("logout_uris", "").split()),
            service=service.name,
            mode=_one_of(Mode, form.get("mode", ""), "mode"),
            login=_one_of(LoginWay, form.get("login", ""), "login"),
            sector=form.get("sector", "").strip(),
            ask_consent="own" not in form,
            public="public" in form,
        )
        return await oidc_clients.create(
            ports.store,
            provider.store,
            tenant.n,
            wanted,
            maker=None,
            now=provider.now(),
            entropy=ports.entropy,
        )

    async def _client(self, operator: Operator, client_id: str) -> Client:
        """Return a client that an operator looks after. Raises: NotFound."""
        return await oidc_clients.find(self._provider.store, client_id, tenant=operator.tenant)

    def _tenants(self, operator: Operator) -> Sequence[Tenant]:
        tenancy = self._provider.house.directory.tenancy
        seen = (one for one in tenancy.tenants if one.name != CONSOLE_TENANT)
        return [one for one in seen if operator.tenant in (None, one.n)]

    def _place(self, operator: Operator, named: str) -> tuple[Tenant, Service]:
        """Return the service that a form names, such as `shop/web`. Raises: NotFound."""
        for tenant in self._tenants(operator):
            for service in self._services(tenant):
                if named == f"{tenant.name}/{service.name}":
                    return tenant, service
        raise NotFound("There is no such service.")

    def _services(self, tenant: Tenant) -> Sequence[Service]:
        return [one for one in self._provider.house.directory.tenancy.services if one.tenant == tenant.n]

    async def _show(
        self,
        operator: Operator,
        secret: str,
        *,
        error: str = "",
        typed: Mapping[str, str] | None = None,
        made: NewClient | None = None,
    ) -> Response:
        tenants = self._tenants(operator)
        places = [f"{tenant.name}/{service.name}" for tenant in tenants for service in self._services(tenant)]
        known = [
            {"tenant": tenant.name, "clients": await self._provider.store.clients(tenant.n)}
            for tenant in tenants
        ]
        values: dict[str, Any] = {
            "form": form_token(secret, FORM),
            "here": HOME,
            "issuer": self._provider.issuer,
            "error": error,
            "typed": {**dict.fromkeys(_EMPTY, ""), "own": "", **(typed or {})},
            "made": made,
            "known": known,
            "places": places,
            "modes": _MODES,
            "logins": _LOGINS,
        }
        status = _UNPROCESSABLE if error else 200
        return self._provider.house.show("console_clients.html", words_of("en"), values, status)


def _one_of(kind: type[Choice], text: str, field: str) -> Choice:
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidRequest(f"`{field}` is one of {', '.join(map(str, kind))}.", field=field) from error


def _tell(operator: Operator, action: str, client: Client) -> None:
    log.info("%s: done", action, extra={"action": action, "actor": operator.name, "on": client.id})
