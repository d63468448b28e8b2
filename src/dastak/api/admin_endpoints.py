"""Tenants, services, keys and locked numbers over HTTP, for operators and for each tenant's own admins.

1. A tenant stands in the path by its name. To a key that may not reach it, it looks like none.
2. What was changed is seen by this process at once, and by the others within a second.
3. Every change asked for stands in the audit log, with who and what came of it; no secret, no number.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import wraps
from typing import Any, Final

import msgspec

from dastak.api import admin_schema as schema
from dastak.api.endpoints import Api, Call, Endpoint
from dastak.api.exchange import Response, answer
from dastak.api.idempotency import REPLAYED
from dastak.core.errors import DastakError, InvalidMsisdn, NotFound
from dastak.core.msisdn import Msisdn, mask, parse
from dastak.core.policy import Policy
from dastak.core.tenant import ApiKey, Scope, Service, Tenant
from dastak.tenancy import issuance, operators
from dastak.tenancy.keys import NewKey, is_live

Handler = Callable[[Api, Call], Awaitable[Response]]

log = logging.getLogger("dastak.audit")


def audited(handler: Handler) -> Handler:
    """Have a change seen by this process before it is answered, and written to the audit log."""

    @wraps(handler)
    async def change(api: Api, call: Call) -> Response:
        try:
            response = await handler(api, call)
        except DastakError as error:
            _tell(handler.__name__, call, error.code)
            raise
        await api.directory.refresh(api.ports.store)
        await api.fleet.refresh()
        await api.registers.refresh(api.dlt_store)
        _tell(handler.__name__, call, "replayed" if REPLAYED in response.headers else "done")
        return response

    return change


async def list_tenants(api: Api, _call: Call) -> Response:
    """GET /v1/admin/tenants."""
    await api.directory.refresh(api.ports.store)
    shown = tuple(map(schema.tenant_view, api.directory.tenancy.tenants))
    return answer(200, schema.TenantsView(tenants=shown))


@audited
async def create_tenant(api: Api, call: Call) -> Response:
    """POST /v1/admin/tenants."""
    body: schema.TenantBody = call.body
    return await api.once(
        call,
        act=lambda once: operators.create_tenant(
            api.ports.store, body.name, daily_spend_cap_micros=body.daily_spend_cap_micros, once=once
        ),
        show=lambda tenant: answer(201, schema.tenant_view(tenant)),
    )


async def show_tenant(api: Api, call: Call) -> Response:
    """GET /v1/admin/tenants/{tenant}."""
    return answer(200, schema.tenant_view(await tenant_of(api, call)))


@audited
async def change_tenant(api: Api, call: Call) -> Response:
    """PATCH /v1/admin/tenants/{tenant}."""
    body: schema.TenantChange = call.body
    tenant = await tenant_of(api, call)
    return await api.once(
        call,
        act=lambda once: operators.change_tenant(
            api.ports.store,
            tenant.n,
            daily_spend_cap_micros=body.daily_spend_cap_micros,
            suspended=body.suspended,
            once=once,
        ),
        show=lambda changed: answer(200, schema.tenant_view(changed)),
    )


async def list_services(api: Api, call: Call) -> Response:
    """GET /v1/admin/tenants/{tenant}/services."""
    tenant = await tenant_of(api, call)
    found = [service for service in api.directory.tenancy.services if service.tenant == tenant.n]
    return answer(200, schema.ServicesView(services=tuple(map(schema.service_view, found))))


@audited
async def create_service(api: Api, call: Call) -> Response:
    """POST /v1/admin/tenants/{tenant}/services."""
    body: schema.ServiceBody = call.body
    tenant = await tenant_of(api, call)
    fresh = Service(n=0, tenant=tenant.n, name=body.name, brand=body.name, policy=Policy())
    wanted = schema.changed(fresh, body)
    return await api.once(
        call,
        act=lambda once: api.put_service(call, operators.create_service, wanted, once),
        show=lambda service: answer(201, schema.service_view(service)),
    )


async def show_service(api: Api, call: Call) -> Response:
    """GET /v1/admin/tenants/{tenant}/services/{service}."""
    tenant = await tenant_of(api, call)
    return answer(200, schema.service_view(api.directory.service(tenant.n, call.arguments[1])))


@audited
async def change_service(api: Api, call: Call) -> Response:
    """PATCH /v1/admin/tenants/{tenant}/services/{service}."""
    tenant = await tenant_of(api, call)
    wanted = schema.changed(api.directory.service(tenant.n, call.arguments[1]), call.body)
    return await api.once(
        call,
        act=lambda once: api.put_service(call, operators.change_service, wanted, once),
        show=lambda changed: answer(200, schema.service_view(changed)),
    )


async def list_keys(api: Api, call: Call) -> Response:
    """GET /v1/admin/tenants/{tenant}/keys."""
    tenant, now = await tenant_of(api, call), api.ports.clock.now()
    found = [key for key in api.directory.tenancy.keys if key.tenant == tenant.n and is_live(key, now)]
    return answer(200, schema.KeysView(keys=tuple(_key_view(api, key) for key in found)))


@audited
async def create_key(api: Api, call: Call) -> Response:
    """POST /v1/admin/tenants/{tenant}/keys."""
    wanted = issuance.WantedKey(**msgspec.structs.asdict(call.body))
    tenant = await tenant_of(api, call)
    return await api.once(
        call,
        act=lambda once: issuance.create_key(
            api.ports.store,
            tenant.n,
            wanted,
            maker=call.caller.key,
            now=api.ports.clock.now(),
            entropy=api.ports.entropy,
            once=once,
        ),
        show=lambda made: _made(api, made),
        keep=lambda key: _kept(api, key),
    )


@audited
async def rotate_key(api: Api, call: Call) -> Response:
    """POST /v1/admin/tenants/{tenant}/keys/{key}/rotate."""
    body: schema.RotateBody = call.body
    tenant = await tenant_of(api, call)
    return await api.once(
        call,
        act=lambda once: issuance.rotate_key(
            api.ports.store,
            tenant.n,
            call.arguments[1],
            overlap=timedelta(seconds=body.overlap_s),
            maker=call.caller.key,
            now=api.ports.clock.now(),
            entropy=api.ports.entropy,
            once=once,
        ),
        show=lambda made: _made(api, made),
        keep=lambda key: _kept(api, key),
    )


@audited
async def revoke_key(api: Api, call: Call) -> Response:
    """POST /v1/admin/tenants/{tenant}/keys/{key}/revoke."""
    tenant = await tenant_of(api, call)
    return await api.once(
        call,
        act=lambda once: issuance.revoke_key(
            api.ports.store, tenant.n, call.arguments[1], now=api.ports.clock.now(), once=once
        ),
        show=lambda key: answer(200, _key_view(api, key)),
    )


@audited
async def unlock_number(api: Api, call: Call) -> Response:
    """POST /v1/admin/tenants/{tenant}/numbers/{msisdn}/unlock."""
    tenant, msisdn = await tenant_of(api, call), _msisdn(call.arguments[1])
    return await api.once(
        call,
        act=lambda once: api.ports.store.unlock(tenant.n, msisdn, once=once),
        show=lambda unlocked: answer(200, schema.UnlockView(unlocked=unlocked)),
    )


async def tenant_of(api: Api, call: Call) -> Tenant:
    """Return the tenant in the path, as any process left it; a foreign one is none."""
    await api.directory.refresh(api.ports.store)
    own, name = call.caller.key.tenant, call.arguments[0]
    everywhere = Scope.OPERATOR in call.caller.key.scopes
    for tenant in api.directory.tenancy.tenants:
        if tenant.name == name and (everywhere or tenant.n == own):
            return tenant
    raise NotFound("There is no such tenant.")


def _msisdn(text: str) -> Msisdn:
    try:
        return parse(text).msisdn
    except InvalidMsisdn as error:
        raise InvalidMsisdn(error.detail, field="msisdn") from error


def _made(api: Api, made: NewKey) -> Response:
    return answer(201, schema.new_key_view(made.key, _service_name(api, made.key), made.text))


def _kept(api: Api, key: ApiKey) -> Response:
    return answer(201, schema.new_key_view(key, _service_name(api, key), None))


def _key_view(api: Api, key: ApiKey) -> schema.KeyView:
    return schema.key_view(key, _service_name(api, key))


def _service_name(api: Api, key: ApiKey) -> str:
    return api.directory.service_of(key.service).name


def _tell(action: str, call: Call, result: str) -> None:
    """Write a line to the audit log; of what was given only the names of the fields."""
    # Names have letters as a rule. What has none may be a number.
    where = [part if any(map(str.isalpha, part)) else mask(part) for part in call.arguments]
    fields = () if call.body is None else _given_fields(call.body)
    log.info(
        "%s: %s",
        action,
        result,
        extra={
            "action": action,
            "result": result,
            "actor": call.caller.key.id,
            "actor_tenant": call.caller.tenant.name,
            "peer": call.request.peer,
            "on": "/".join(where),
            "fields": ",".join(fields),
        },
    )


def _given_fields(body: Any) -> list[str]:
    return [name for name, value in msgspec.structs.asdict(body).items() if value is not None]


_TENANTS: Final = "/v1/admin/tenants"
_TENANT: Final = f"{_TENANTS}/{{tenant}}"
_KEY: Final = f"{_TENANT}/keys/{{key}}"

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=_TENANTS,
        scope=Scope.OPERATOR,
        handler=list_tenants,
        summary="List all tenants",
        gives=schema.TenantsView,
    ),
    Endpoint(
        method="POST",
        path=_TENANTS,
        scope=Scope.OPERATOR,
        handler=create_tenant,
        summary="Make a tenant, without services and keys",
        takes=schema.TenantBody,
        gives=schema.TenantView,
        status=201,
        refusals=(409,),
    ),
    Endpoint(
        method="GET",
        path=_TENANT,
        scope=Scope.ADMIN,
        handler=show_tenant,
        summary="Look at a tenant",
        gives=schema.TenantView,
    ),
    Endpoint(
        method="PATCH",
        path=_TENANT,
        scope=Scope.OPERATOR,
        handler=change_tenant,
        summary="Change what a tenant may spend, suspend it or let it go on",
        takes=schema.TenantChange,
        gives=schema.TenantView,
        refusals=(409,),
    ),
    Endpoint(
        method="GET",
        path=f"{_TENANT}/services",
        scope=Scope.ADMIN,
        handler=list_services,
        summary="List a tenant's services",
        gives=schema.ServicesView,
    ),
    Endpoint(
        method="POST",
        path=f"{_TENANT}/services",
        scope=Scope.ADMIN,
        handler=create_service,
        summary="Make a service",
        takes=schema.ServiceBody,
        gives=schema.ServiceView,
        status=201,
        refusals=(409,),
    ),
    Endpoint(
        method="GET",
        path=f"{_TENANT}/services/{{service}}",
        scope=Scope.ADMIN,
        handler=show_service,
        summary="Look at a service",
        gives=schema.ServiceView,
    ),
    Endpoint(
        method="PATCH",
        path=f"{_TENANT}/services/{{service}}",
        scope=Scope.ADMIN,
        handler=change_service,
        summary="Change a service; the next start follows it",
        takes=schema.ServiceChange,
        gives=schema.ServiceView,
        refusals=(409,),
    ),
    Endpoint(
        method="GET",
        path=f"{_TENANT}/keys",
        scope=Scope.ADMIN,
        handler=list_keys,
        summary="List a tenant's keys that count now",
        gives=schema.KeysView,
    ),
    Endpoint(
        method="POST",
        path=f"{_TENANT}/keys",
        scope=Scope.ADMIN,
        handler=create_key,
        summary="Make a key; its text is shown this once",
        takes=schema.KeyBody,
        gives=schema.NewKeyView,
        status=201,
        refusals=(409,),
    ),
    Endpoint(
        method="POST",
        path=f"{_KEY}/rotate",
        scope=Scope.ADMIN,
        handler=rotate_key,
        summary="Make a key's successor; the old one counts until the overlap is over",
        takes=schema.RotateBody,
        optional_body=True,
        gives=schema.NewKeyView,
        status=201,
        refusals=(409,),
    ),
    Endpoint(
        method="POST",
        path=f"{_KEY}/revoke",
        scope=Scope.ADMIN,
        handler=revoke_key,
        summary="End a key, everywhere within a second",
        gives=schema.KeyView,
        refusals=(409,),
    ),
    Endpoint(
        method="POST",
        path=f"{_TENANT}/numbers/{{msisdn}}/unlock",
        scope=Scope.ADMIN,
        handler=unlock_number,
        summary="Forget a number's wrong attempts, so that it can be verified again",
        gives=schema.UnlockView,
        refusals=(409,),
    ),
)
