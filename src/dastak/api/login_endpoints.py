"""The login of a service over HTTP: show it, open it, change it."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from dastak.api.admin_endpoints import audited, tenant_of
from dastak.api.endpoints import Api, Call, Endpoint
from dastak.api.exchange import Response, answer
from dastak.core.errors import NotFound
from dastak.core.login_settings import REMEMBER_DAYS_MAX, LoginSettings
from dastak.core.person import NAME_CHARACTERS_MAX
from dastak.core.policy import Channel
from dastak.core.signing_secret import OVERLAP_S, OVERLAP_S_MAX
from dastak.core.tenant import Mode, Scope
from dastak.tenancy.login_changes import FIELDS, change_login, rotate_check_secret
from dastak.tenancy.password_links import LIFE_S, LIFE_S_MAX, LIFE_S_MIN, address_of, make_password_link

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
    site_url: (
        Annotated[
            str,
            Meta(description="Where the pages lead back to, https; empty is nowhere.", max_length=500),
        ]
        | UnsetType
    ) = UNSET


class CheckSecretBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a new secret takes the place of the one before it."""

    overlap_s: Annotated[
        int,
        Meta(
            ge=0,
            le=OVERLAP_S_MAX,
            description="For how long both sign; 0 where the old one is in wrong hands.",
        ),
    ] = OVERLAP_S


class LinkBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose password is set anew. Look first at who asks for it."""

    username: Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
    life_s: Annotated[
        int, Meta(ge=LIFE_S_MIN, le=LIFE_S_MAX, description="For how long the link is good.")
    ] = LIFE_S


class LinkView(msgspec.Struct, frozen=True, kw_only=True):
    """A link that you hand to the person, who proves one thing more there."""

    expires_at: datetime
    link: Annotated[str, Meta(description="This once; it is good once.")] | None = None


class LoginView(msgspec.Struct, frozen=True, kw_only=True):
    """How people sign in to a service."""

    mode: Mode
    open_sign_up: bool
    required: bool
    factors: tuple[Channel, ...]
    remember_days: int
    check_url: str | None
    site_url: str | None
    path: Annotated[str, Meta(description="Where people sign in.")]
    check_secret: Annotated[str, Meta(description="A new one, this once.")] | None = None
    check_before_until: (
        Annotated[datetime, Meta(description="Until when requests have two signatures.")] | None
    ) = None


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
            call.arguments[0],
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


@audited
async def rotate_check_secret_of(api: Api, call: Call) -> Response:
    """POST /v1/admin/tenants/{tenant}/services/{service}/login/rotate-check-secret."""
    body = call.body or CheckSecretBody()
    service = await _service(api, call)
    return await api.once(
        call,
        act=lambda once: rotate_check_secret(
            api.people,
            service,
            sealer=api.ports.sealer,
            entropy=api.ports.entropy,
            now=api.ports.clock.now(),
            overlap_s=body.overlap_s,
            once=once,
        ),
        show=lambda changed: answer(200, _view(call, changed.settings, changed.secret)),
        keep=lambda settings: answer(200, _view(call, settings)),
    )


@audited
async def make_password_link_for(api: Api, call: Call) -> Response:
    """POST /v1/admin/tenants/{tenant}/services/{service}/login/password-links."""
    body: LinkBody = call.body
    settings = await api.people.login_of(await _service(api, call))
    tenant, service = call.arguments[:2]
    return await api.once(
        call,
        act=lambda once: make_password_link(
            api.people,
            settings,
            tenant,
            body.username,
            now=api.ports.clock.now(),
            entropy=api.ports.entropy,
            life_s=body.life_s,
            once=once,
        ),
        show=lambda made: answer(
            201,
            LinkView(
                expires_at=made.link.expires_at,
                link=address_of(api.public_url, tenant, service, made.token),
            ),
        ),
        keep=lambda link: answer(201, LinkView(expires_at=link.expires_at)),
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
        site_url=settings.site_url,
        path=f"/login/{tenant}/{service}",
        check_secret=secret,
        check_before_until=settings.check_before_until,
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
    Endpoint(
        method="POST",
        path=_PATH + "/rotate-check-secret",
        scope=Scope.ADMIN,
        handler=rotate_check_secret_of,
        summary="Sign requests to your check of passwords with a new secret, for a while beside the old one",
        takes=CheckSecretBody,
        optional_body=True,
        gives=LoginView,
        refusals=(404, 409),
    ),
    Endpoint(
        method="POST",
        path=_PATH + "/password-links",
        scope=Scope.ADMIN,
        handler=make_password_link_for,
        summary="Make a link by which somebody whom you know sets a new password, with one proof more",
        takes=LinkBody,
        gives=LinkView,
        status=201,
        refusals=(404, 409),
    ),
)
