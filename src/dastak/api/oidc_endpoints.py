"""Clients of OpenID Connect over HTTP, for each tenant's admins; the signing keys for operators."""

from typing import Final

from dastak.api import oidc_schema as schema
from dastak.api.admin_endpoints import audited, tenant_of
from dastak.api.endpoints import Api, Call, Endpoint
from dastak.api.exchange import Response, answer
from dastak.core import oidc_keys
from dastak.core.oidc import Client
from dastak.core.oidc_client_rules import check_client
from dastak.core.tenant import Scope
from dastak.tenancy import oidc_clients, signing_keys
from dastak.tenancy.oidc_clients import WantedClient


async def list_clients(api: Api, call: Call) -> Response:
    """GET /v1/admin/tenants/{tenant}/clients."""
    tenant = await tenant_of(api, call)
    found = await api.oidc.clients(tenant.n)
    return answer(200, schema.ClientsView(clients=tuple(_view(api, client) for client in found)))


@audited
async def create_client(api: Api, call: Call) -> Response:
    """POST /v1/admin/tenants/{tenant}/clients."""
    body: schema.ClientBody = call.body
    tenant = await tenant_of(api, call)
    wanted = WantedClient(**{name: getattr(body, name) for name in body.__struct_fields__})
    return await api.once(
        call,
        act=lambda once: oidc_clients.create(
            api.ports.store,
            api.oidc,
            tenant.n,
            wanted,
            maker=call.caller.key,
            now=api.ports.clock.now(),
            entropy=api.ports.entropy,
            once=once,
        ),
        show=lambda made: _made(api, made.client, made.secret),
        keep=lambda client: _made(api, client, None),
    )


async def show_client(api: Api, call: Call) -> Response:
    """GET /v1/admin/tenants/{tenant}/clients/{client}."""
    return answer(200, _view(api, await _client(api, call)))


@audited
async def change_client(api: Api, call: Call) -> Response:
    """PATCH /v1/admin/tenants/{tenant}/clients/{client}."""
    client = check_client(schema.changed(await _own_client(api, call), call.body))
    return await api.once(
        call,
        act=lambda once: api.oidc.put_client(client, once=once),
        show=lambda changed: answer(200, _view(api, changed)),
    )


@audited
async def rotate_client_secret(api: Api, call: Call) -> Response:
    """POST /v1/admin/tenants/{tenant}/clients/{client}/rotate-secret."""
    client = await _own_client(api, call)
    return await api.once(
        call,
        act=lambda once: oidc_clients.rotate_secret(api.oidc, client, entropy=api.ports.entropy, once=once),
        show=lambda made: _made(api, made.client, made.secret),
        keep=lambda kept: _made(api, kept, None),
    )


@audited
async def remove_client(api: Api, call: Call) -> Response:
    """DELETE /v1/admin/tenants/{tenant}/clients/{client}."""
    client = await _own_client(api, call)
    return await api.once(
        call,
        act=lambda once: api.oidc.remove_client(client, once=once),
        show=lambda gone: answer(200, _view(api, gone)),
    )


async def list_signing_keys(api: Api, _call: Call) -> Response:
    """GET /v1/admin/signing-keys."""
    ports = api.ports
    now = ports.clock.now()
    keys = await signing_keys.ensure(api.oidc, ports.sealer, now=now, entropy=ports.entropy)
    return _keys(oidc_keys.published(keys, now=now))


@audited
async def rotate_signing_keys(api: Api, call: Call) -> Response:
    """POST /v1/admin/signing-keys/rotate."""
    ports = api.ports
    now = ports.clock.now()
    return await api.once(
        call,
        act=lambda once: signing_keys.rotate(
            api.oidc, ports.sealer, now=now, entropy=ports.entropy, once=once
        ),
        show=lambda keys: _keys(oidc_keys.published(keys, now=now)),
    )


async def _client(api: Api, call: Call) -> Client:
    tenant = await tenant_of(api, call)
    return await oidc_clients.find(api.oidc, call.arguments[1], tenant=tenant.n)


async def _own_client(api: Api, call: Call) -> Client:
    """Return a client that this key may change."""
    client = await _client(api, call)
    oidc_clients.check_reach(call.caller.key, client.tenant, client.mode)
    return client


def _view(api: Api, client: Client) -> schema.ClientView:
    return schema.client_view(client, api.directory.service_of(client.service).name)


def _made(api: Api, client: Client, secret: str | None) -> Response:
    service = api.directory.service_of(client.service).name
    return answer(201, schema.new_client_view(client, service, secret))


def _keys(keys: tuple[oidc_keys.SigningKey, ...]) -> Response:
    return answer(200, schema.SigningKeysView(keys=tuple(map(schema.signing_key_view, keys))))


_CLIENTS: Final = "/v1/admin/tenants/{tenant}/clients"
_CLIENT: Final = f"{_CLIENTS}/{{client}}"
_KEYS: Final = "/v1/admin/signing-keys"

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=_CLIENTS,
        scope=Scope.ADMIN,
        handler=list_clients,
        summary="List the sites that log people in through a tenant",
        gives=schema.ClientsView,
    ),
    Endpoint(
        method="POST",
        path=_CLIENTS,
        scope=Scope.ADMIN,
        handler=create_client,
        summary="Register a client of OpenID Connect; its secret is shown this once",
        takes=schema.ClientBody,
        gives=schema.NewClientView,
        status=201,
        refusals=(409,),
    ),
    Endpoint(
        method="GET",
        path=_CLIENT,
        scope=Scope.ADMIN,
        handler=show_client,
        summary="Look at a client",
        gives=schema.ClientView,
    ),
    Endpoint(
        method="PATCH",
        path=_CLIENT,
        scope=Scope.ADMIN,
        handler=change_client,
        summary="Change a client",
        takes=schema.ClientChange,
        gives=schema.ClientView,
        refusals=(409,),
    ),
    Endpoint(
        method="DELETE",
        path=_CLIENT,
        scope=Scope.ADMIN,
        handler=remove_client,
        summary="Remove a client; its tokens open nothing from now on",
        gives=schema.ClientView,
        refusals=(409,),
    ),
    Endpoint(
        method="POST",
        path=f"{_CLIENT}/rotate-secret",
        scope=Scope.ADMIN,
        handler=rotate_client_secret,
        summary="Give a client another secret; the old one opens nothing from now on",
        gives=schema.NewClientView,
        status=201,
        refusals=(409,),
    ),
    Endpoint(
        method="GET",
        path=_KEYS,
        scope=Scope.OPERATOR,
        handler=list_signing_keys,
        summary="List the keys that tokens of OpenID Connect are signed with",
        gives=schema.SigningKeysView,
    ),
    Endpoint(
        method="POST",
        path=f"{_KEYS}/rotate",
        scope=Scope.OPERATOR,
        handler=rotate_signing_keys,
        summary="Sign with the next key from now on, and publish a fresh one",
        gives=schema.SigningKeysView,
        refusals=(409,),
    ),
)
