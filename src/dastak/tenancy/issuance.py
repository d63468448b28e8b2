"""Give out API keys, renew them and take them back, for the admin API and the command line alike."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from dastak.core.errors import Conflict, Forbidden, InvalidRequest, NotFound
from dastak.core.ports import Once, Store, Tenancy
from dastak.core.tenant import ApiKey, Mode, Scope
from dastak.tenancy import keys
from dastak.tenancy.keys import Entropy, NewKey
from dastak.tenancy.operators import DEFAULT_NAME, find_service, find_tenant
from dastak.tenancy.service_rules import check_slug

# A bound of what is kept in memory for each tenant; our choice.
LIVE_KEYS_MAX: Final = 100
# Longer than any key should be in use, and short enough that its successor's end is still a date.
LIFE_MAX: Final = timedelta(days=3650)

# What an application needs, and nothing that changes the installation.
APPLICATION_SCOPES: Final = (Scope.START, Scope.CHECK, Scope.READ)


class WantedKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a new key shall be.

    Attributes:
        name: What it is for; unique among the tenant's live keys of one mode.
        service: The service used when a request names none.
    """

    name: str
    service: str = DEFAULT_NAME
    mode: Mode = Mode.TEST
    scopes: tuple[Scope, ...] = APPLICATION_SCOPES
    expires_at: datetime | None = None


async def create_key(
    store: Store,
    tenant: int,
    wanted: WantedKey,
    *,
    maker: ApiKey | None,
    now: datetime,
    entropy: Entropy,
    once: Once | None = None,
) -> NewKey:
    """Make a key; its text is in the answer and nowhere else, not even in the answer that `once` keeps.

    Args:
        store: Where it is kept.
        tenant: Whose it is.
        wanted: What it shall be.
        maker: The key that asks for it; None at the command line.
        now: The time.
        entropy: Returns that many random octets.
        once: Makes the request idempotent; it renders the key as the store has it, without its text.

    Raises:
        NotFound: There is no such tenant, or it has no such service.
        InvalidRequest: The name, the scopes or the expiry are not valid.
        Forbidden: It would reach further than its maker.
        Conflict: A live key has this name, or the tenant has as many as it may have.
    """
    check_slug("name", wanted.name)
    scopes = keys.read_scopes(wanted.scopes)
    _check_reach(maker, tenant, wanted.mode, scopes)
    if wanted.expires_at is not None and not now < wanted.expires_at <= now + LIFE_MAX:
        raise InvalidRequest(
            f"`expires_at` must be later than now, by {LIFE_MAX.days} days at most.", field="expires_at"
        )
    tenancy = await store.tenancy()
    service = find_service(tenancy, find_tenant(tenancy, tenant).n, wanted.service)
    _check_room(tenancy, tenant, wanted, now)
    made = keys.make_key(
        entropy=entropy,
        tenant=tenant,
        service=service.n,
        mode=wanted.mode,
        scopes=scopes,
        name=wanted.name,
        now=now,
        expires_at=wanted.expires_at,
    )
    await store.put_key(made.key, once=once)
    return made


async def rotate_key(
    store: Store,
    tenant: int,
    key_id: str,
    *,
    overlap: timedelta,
    maker: ApiKey | None,
    now: datetime,
    entropy: Entropy,
    once: Once | None = None,
) -> NewKey:
    """Make a key's successor; the old one counts until `overlap` is over.

    Raises:
        NotFound: The tenant has no such key.
        Forbidden: It reaches further than its maker.
        Conflict: It does not count any more, or has a successor already.
        InvalidRequest: The overlap is not valid.
    """
    tenancy = await store.tenancy()
    old = _key(tenancy, tenant, key_id)
    _check_reach(maker, tenant, old.mode, old.scopes)
    rotation = keys.rotate(old, overlap, now=now, entropy=entropy)
    same = [key for key in tenancy.keys if (key.tenant, key.name, key.mode) == (tenant, old.name, old.mode)]
    if sum(keys.is_live(key, now) for key in same) >= keys.LIVE_PER_NAME_MAX:
        raise Conflict("The key was rotated already; wait until the old one ends, or revoke it.")
    await store.put_key(rotation.new.key, predecessor=rotation.old, once=once)
    return rotation.new


async def revoke_key(
    store: Store, tenant: int, key_id: str, *, now: datetime, once: Once | None = None
) -> ApiKey:
    """End a key now, everywhere within a second; one that was revoked before stays as it is.

    Raises:
        NotFound: The tenant has no such key.
    """
    key = _key(await store.tenancy(), tenant, key_id)
    return await store.put_key(msgspec.structs.replace(key, revoked_at=key.revoked_at or now), once=once)


def _check_room(tenancy: Tenancy, tenant: int, wanted: WantedKey, now: datetime) -> None:
    live = [key for key in tenancy.keys if key.tenant == tenant and keys.is_live(key, now)]
    if any((key.name, key.mode) == (wanted.name, wanted.mode) for key in live):
        raise Conflict(
            f"There is a live {wanted.mode} key named `{wanted.name}`; rotate it, or choose another name."
        )
    if len(live) >= LIVE_KEYS_MAX:
        raise Conflict(f"A tenant has at most {LIVE_KEYS_MAX} live keys; revoke those nobody uses.")


def _key(tenancy: Tenancy, tenant: int, key_id: str) -> ApiKey:
    for key in tenancy.keys:
        if (key.tenant, key.id) == (tenant, key_id):
            return key
    raise NotFound("There is no such key.")


def _check_reach(maker: ApiKey | None, tenant: int, mode: Mode, scopes: tuple[Scope, ...]) -> None:
    if not keys.may_make(maker, tenant=tenant, mode=mode, scopes=scopes):
        raise Forbidden("No key may make one that reaches further than itself.", reason="scope")
