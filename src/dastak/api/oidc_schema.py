"""What the admin API takes and gives of clients of OpenID Connect, as records."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from dastak.core.oidc import Client, LoginWay, SubjectType
from dastak.core.oidc_client_rules import ADDRESS_CHARACTERS_MAX, ADDRESSES_MAX
from dastak.core.oidc_keys import SigningKey
from dastak.core.tenant import NAME_CHARACTERS_MAX, Mode
from dastak.tenancy.operators import DEFAULT_NAME

SiteName = Annotated[
    str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX, description="What people read of the site.")
]
Address = Annotated[str, Meta(min_length=1, max_length=ADDRESS_CHARACTERS_MAX)]
RedirectUris = Annotated[
    tuple[Address, ...],
    Meta(
        min_length=1,
        max_length=ADDRESSES_MAX,
        description="Where answers may go, compared character by character.",
    ),
]
LogoutUris = Annotated[
    tuple[Address, ...],
    Meta(max_length=ADDRESSES_MAX, description="Where people may go after they logged out."),
]
Sector = Annotated[
    str,
    Meta(
        max_length=253,
        description="The host that pairwise names are made for; needed where the addresses are on several.",
    ),
]

_CONSENT: Final = "Whether people are asked what the site may know; not needed for a site of your own."


class ClientBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Register a client."""

    name: SiteName
    redirect_uris: RedirectUris
    logout_uris: LogoutUris = ()
    service: Annotated[str, Meta(description="Under whose policy and brand codes are sent.")] = DEFAULT_NAME
    mode: Annotated[Mode, Meta(description="How far its codes reach, as with keys.")] = Mode.TEST
    login: Annotated[LoginWay, Meta(description="What people do to log in.")] = LoginWay.PHONE
    subject: Annotated[
        SubjectType, Meta(description="Whether two clients see one person under one name.")
    ] = SubjectType.PAIRWISE
    sector: Sector = ""
    ask_consent: Annotated[bool, Meta(description=_CONSENT)] = True
    public: Annotated[bool, Meta(description="Whether it keeps no secret: an app, or a page.")] = False


class ClientChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change a client; what is absent or null stays."""

    name: SiteName | None = None
    redirect_uris: RedirectUris | None = None
    logout_uris: LogoutUris | None = None
    login: LoginWay | None = None
    ask_consent: Annotated[bool, Meta(description=_CONSENT)] | None = None


class ClientView(msgspec.Struct, frozen=True, kw_only=True):
    """A client, without its secret."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    logout_uris: tuple[str, ...]
    service: str
    mode: Mode
    login: LoginWay
    subject: SubjectType
    sector: str
    ask_consent: bool
    public: bool
    created_at: datetime


class NewClientView(ClientView, frozen=True, kw_only=True):
    """A client whose secret was just made; it is null in a repeat, and for a public client."""

    client_secret: str | None


class ClientsView(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's clients, oldest first."""

    clients: tuple[ClientView, ...]


class SigningKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key that tokens are signed with; one without `signs_from` waits for its turn."""

    kid: str
    made_at: datetime
    signs_from: datetime | None
    retired_at: datetime | None


class SigningKeysView(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that clients shall know, oldest first."""

    keys: tuple[SigningKeyView, ...]


def changed(client: Client, change: ClientChange) -> Client:
    """Return a client with what a request changes."""
    said = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    return msgspec.structs.replace(client, **said)


def client_view(client: Client, service: str) -> ClientView:
    """Show a client."""
    return ClientView(**_shown(client, service))


def new_client_view(client: Client, service: str, secret: str | None) -> NewClientView:
    """Show a client with its new secret."""
    return NewClientView(client_secret=secret, **_shown(client, service))


def signing_key_view(key: SigningKey) -> SigningKeyView:
    """Show a signing key."""
    return SigningKeyView(
        kid=key.kid, made_at=key.made_at, signs_from=key.signs_from, retired_at=key.retired_at
    )


def _shown(client: Client, service: str) -> dict[str, Any]:
    fields = set(ClientView.__struct_fields__) - {"client_id", "service", "public"}
    return {
        **{name: getattr(client, name) for name in fields},
        "client_id": client.id,
        "service": service,
        "public": client.secret_digest is None,
    }
