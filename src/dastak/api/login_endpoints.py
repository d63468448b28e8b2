"""The login of a service over HTTP: show it, open it, change it."""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from dastak.api.admin_endpoints import audited, tenant_of
from dastak.api.endpoints import Api, Call, Endpoint
from dastak.api.exchange import Response, answer
from dastak.core.errors import NotFound
from dastak.core.login_settings import REMEMBER_DAYS_MAX, LoginSettings
from dastak.core.policy import Channel
from dastak.core.tenant import Mode, Scope
from dastak.tenancy.login_changes import FIELDS, change_login

_PATH: Final = "/v1/admin/tenants/{tenant}/services/{service}/login"


class LoginBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a login; what is absent stays."""

    mode: Annotated[Mode, Meta(description="`test` or `live`.")] | UnsetType = UNSET
    open_sign_up: Annotated[bool, Meta(description="Whether anybody may make an account.")] | UnsetType = (
        UNSET
    )
    required: (
        Annotated[bool, Meta(description="Whether nobody is in without a second factor.")] | UnsetType
    ) = UNSET
    factors: (
        Annotated[
            tuple[Channel, ...], Meta(description="What counts as one, in the order of asking.", max_length=5)
        ]
        | UnsetType
    ) = UNSET
    remember_days: Annotated[int, Meta(ge=0, le=REMEMBER_DAYS_MAX)] | UnsetType = UNSET
    check_url: (
        Annotated[
            str,
            Meta(description="Your own check of passwords, https; empty is our directory.", max_length=500),
        ]
        | UnsetType
    ) = UNSET


class LoginView(msgspec.Struct, frozen=True, kw_only=True):
    """How people sign in to a service."""

    mode: Mode
    open_sign_up: bool
    required: bool
    factors: tuple[Channel, ...]
    remember_days: int
    check_url: str | None
    path: Annotated[str, Meta(description="Where people sign in.")]
    check_secret: Annotated[str, Meta(description="Of a new `check_url`, this once.")] | None = None


async def show_login(api: Api, call: Call) -> Response:
    """GET /v1/admin/tenants/{tenant}/services/{service}/login."""
    found = await api.people.login_of(await _service(api, call))
    if found is None:
        raise NotFound("Nobody signs in to this service yet; open its login by PATCH.")
    return answer(200, _view(call, found))


@audited
async def change_login_of(api: Api, call: Call) -> Response:
    """PATCH /v1/admin/tenants/{tenant}/services/{service}/login."""
    said = {name: getattr(call.body, name) for name in FIELDS}
    service = await _service(api, call)
    return await api.once(
        call,
        act=lambda once: change_login(
            api.people,
            service,
            {name: value for name, value in said.items() if value is not UNSET},
            sealer=api.ports.sealer,
            entropy=api.ports.entropy,
            private=api.private_checks,
            once=once,
        ),
        show=lambda changed: answer(200, _view(call, changed.settings, changed.secret)),
        keep=lambda settings: answer(200, _view(call, settings)),
    )


async def _service(api: Api, call: Call) -> int:
    tenant = await tenant_of(api, call)
    return api.directory.service(tenant.n, call.arguments[1]).n


def _view(call: Call, settings: LoginSettings, secret: str | None = None) -> LoginView:
    tenant, service = call.arguments[:2]
    return LoginView(
        mode=settings.mode,
        open_sign_up=settings.open_sign_up,
        required=settings.required,
        factors=settings.factors,
        remember_days=settings.remember_days,
        check_url=settings.check_url,
        path=f"/login/{tenant}/{service}",
        check_secret=secret,
    )


ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=_PATH,
        scope=Scope.ADMIN,
        handler=show_login,
        summary="Show how people sign in to a service",
        gives=LoginView,
        refusals=(404,),
    ),
    Endpoint(
        method="PATCH",
        path=_PATH,
        scope=Scope.ADMIN,
        handler=change_login_of,
        summary="Open the login of a service, or change it",
        takes=LoginBody,
        gives=LoginView,
        refusals=(404,),
    ),
)
