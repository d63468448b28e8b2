"""Register clients of OpenID Connect and renew their secrets, for the admin API and the command line."""

import re
from base64 import urlsafe_b64encode
from datetime import datetime
from typing import Final

import msgspec

from dastak.core.errors import Conflict, Forbidden, NotFound
from dastak.core.ids import digest_of
from dastak.core.oidc import Client, LoginWay, SubjectType
from dastak.core.oidc_client_rules import check_client
from dastak.core.oidc_store import OidcStore
from dastak.core.ports import Once, Store
from dastak.core.tenant import ApiKey, Mode
from dastak.tenancy.keys import Entropy, may_make
from dastak.tenancy.operators import DEFAULT_NAME, find_service, find_tenant

ID_OCTETS: Final = 12
SECRET_OCTETS: Final = 32
_ID: Final = re.compile(r"client_[0-9a-f]{24}")


class WantedClient(msgspec.Struct, frozen=True, kw_only=True):
    """What a new client shall be; see `Client`.

    Attributes:
        public: It keeps no secret, for it runs in browsers or on phones.
    """

    name: str
    redirect_uris: tuple[str, ...]
    logout_uris: tuple[str, ...] = ()
    service: str = DEFAULT_NAME
    mode: Mode = Mode.TEST
    login: LoginWay = LoginWay.PHONE
    subject: SubjectType = SubjectType.PAIRWISE
    sector: str = ""
    ask_consent: bool = True
    public: bool = False


class NewClient(msgspec.Struct, frozen=True):
    """A client whose secret was just made; `secret` is shown once, and None for a public one."""

    secret: str | None
    client: Client

    def __repr__(self) -> str:
        return f"NewClient({self.client.id})"


async def create(
    store: Store,
    oidc: OidcStore,
    tenant: int,
    wanted: WantedClient,
    *,
    maker: ApiKey | None,
    now: datetime,
    entropy: Entropy,
    once: Once | None = None,
) -> NewClient:
    """Register a client; its secret is in the answer and nowhere else.

    Args:
        store: Where its service is.
        oidc: Where it is kept.
        tenant: Whose it is.
        wanted: What it shall be.
        maker: The key that asks for it; None at the command line.
        now: The time.
        entropy: Returns that many random octets.
        once: Makes the request idempotent; it renders the client without its secret.

    Raises:
        NotFound: There is no such tenant, or it has no such service.
        InvalidRequest: A name or an address is not valid.
        Forbidden: Its codes would reach further than its maker.
        Conflict: The tenant has as many as it may have.
    """
    check_reach(maker, tenant, wanted.mode)
    tenancy = await store.tenancy()
    service = find_service(tenancy, find_tenant(tenancy, tenant).n, wanted.service)
    secret = None if wanted.public else _new_secret(entropy)
    client = Client(
        id=f"client_{entropy(ID_OCTETS).hex()}",
        tenant=tenant,
        service=service.n,
        mode=wanted.mode,
        name=wanted.name,
        redirect_uris=wanted.redirect_uris,
        logout_uris=wanted.logout_uris,
        secret_digest=None if secret is None else digest_of(secret),
        login=wanted.login,
        subject=wanted.subject,
        sector=wanted.sector,
        ask_consent=wanted.ask_consent,
        created_at=now,
    )
    kept = await oidc.put_client(check_client(client), once=once)
    return NewClient(secret, kept)


async def rotate_secret(
    oidc: OidcStore, client: Client, *, entropy: Entropy, once: Once | None = None
) -> NewClient:
    """Give a client another secret; the old one opens nothing from now on.

    Raises:
        Conflict: A public client has none.
        NotFound: It was removed meanwhile.
    """
    if client.secret_digest is None:
        raise Conflict("A public client has no secret; it proves itself by PKCE.")
    secret = _new_secret(entropy)
    renewed = msgspec.structs.replace(client, secret_digest=digest_of(secret))
    return NewClient(secret, await oidc.put_client(renewed, once=once))


def check_reach(maker: ApiKey | None, tenant: int, mode: Mode) -> None:
    """Refuse a key that would reach further by a client than by itself. Raises: Forbidden."""
    if not may_make(maker, tenant=tenant, mode=mode, scopes=()):
        raise Forbidden(
            "No key may make or change a client that reaches further than itself.", reason="scope"
        )


async def find(oidc: OidcStore, client_id: str, *, tenant: int | None = None) -> Client:
    """Return a client. Raises: NotFound (there is none, or it is another tenant's)."""
    client = await oidc.client(client_id) if _ID.fullmatch(client_id) else None
    if client is None or tenant not in (None, client.tenant):
        raise NotFound("There is no such client.")
    return client


def _new_secret(entropy: Entropy) -> str:
    return urlsafe_b64encode(entropy(SECRET_OCTETS)).rstrip(b"=").decode()
