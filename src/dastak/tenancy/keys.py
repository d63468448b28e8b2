"""Make, read and rotate API keys: `dk_<mode>_<id>_<secret><checksum>`, in letters and digits only.

1. The secret is shown once. What is kept is SHA-256 of the whole key: nobody guesses 160 random bits, so a
   slow hash would protect nothing and cost every request.
2. A key is looked up by its digest. How long that takes tells at most how a digest begins, and from a digest
   nobody comes back to a key; so the lookup needs no constant time.
3. The checksum is no secret. It tells a typing error from a wrong key, and a scanner a leaked key from noise.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from dastak.core.errors import Conflict, InvalidRequest
from dastak.core.tenant import ApiKey, Mode, Scope

Entropy = Callable[[int], bytes]

SECRET_OCTETS: Final = 20
ID_OCTETS: Final = 8
# Time to bring a new key to every machine; our choice.
OVERLAP_MAX: Final = timedelta(days=30)
# The present key and its successor.
LIVE_PER_NAME_MAX: Final = 2

# Each mode reaches further than the one before.
_REACH: Final = (Mode.TEST, Mode.TEAM, Mode.LIVE)
assert set(_REACH) == set(Mode)

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_DIGITS: Final = 11
_SECRET_DIGITS: Final = 27
_CHECKSUM_DIGITS: Final = 6
assert SECRET_OCTETS * 8 >= 160
assert len(_DIGITS) ** _ID_DIGITS >= 256**ID_OCTETS
assert len(_DIGITS) ** _SECRET_DIGITS >= 256**SECRET_OCTETS
assert len(_DIGITS) ** _CHECKSUM_DIGITS >= 2**32

_SHAPE: Final = re.compile(
    rf"(dk_({'|'.join(Mode)})_([0-9A-Za-z]{{{_ID_DIGITS}}})_[0-9A-Za-z]{{{_SECRET_DIGITS}}})"
    rf"([0-9A-Za-z]{{{_CHECKSUM_DIGITS}}})"
)


class KeyText(NamedTuple):
    """What a key's text says by itself; whether anybody has that key is another question."""

    mode: Mode
    id: str
    digest: bytes


class NewKey(msgspec.Struct, frozen=True):
    """A key that was just made; `text` is shown once and then forgotten."""

    text: str
    key: ApiKey

    def __repr__(self) -> str:
        return f"NewKey({self.key.id})"


class Rotation(msgspec.Struct, frozen=True):
    """A key's successor, and the key as it stands until it ends."""

    new: NewKey
    old: ApiKey


def make_key(
    *,
    entropy: Entropy,
    tenant: int,
    service: int,
    mode: Mode,
    scopes: tuple[Scope, ...],
    name: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key; nobody has it before it is stored."""
    key_id = _base62(entropy(ID_OCTETS), _ID_DIGITS)
    body = f"dk_{mode}_{key_id}_{_base62(entropy(SECRET_OCTETS), _SECRET_DIGITS)}"
    text = body + _checksum(body)
    key = ApiKey(
        id=key_id,
        digest=digest(text.encode()),
        tenant=tenant,
        service=service,
        mode=mode,
        scopes=scopes,
        name=name,
        created_at=now,
        expires_at=expires_at,
    )
    return NewKey(text, key)


def read_key(text: str) -> KeyText | None:
    """Read a key's text, or return None when it has a typing error or is no key at all."""
    match = _SHAPE.fullmatch(text)
    if match is None or _checksum(match[1]) != match[4]:
        return None
    return KeyText(Mode(match[2]), match[3], digest(text.encode()))


def digest(text: bytes) -> bytes:
    """Return the 32 octets a key is kept and found as."""
    return sha256(text).digest()


def is_live(key: ApiKey, now: datetime) -> bool:
    """Say whether a key counts now."""
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def rotate(key: ApiKey, overlap: timedelta, *, now: datetime, entropy: Entropy) -> Rotation:
    """Make a key's successor; both count until `overlap` is over, and then only the new one.

    The new key may do the same, and lives as long as the old one was meant to.

    Raises:
        Conflict: The key does not count any more.
        InvalidRequest: The overlap is negative or over 30 days.
    """
    if not is_live(key, now):
        raise Conflict("The key is expired or revoked; create a new one.")
    if not timedelta(0) <= overlap <= OVERLAP_MAX:
        raise InvalidRequest(f"`overlap` must be 0 to {OVERLAP_MAX.days} days.", field="overlap")
    new = make_key(
        entropy=entropy,
        tenant=key.tenant,
        service=key.service,
        mode=key.mode,
        scopes=key.scopes,
        name=key.name,
        now=now,
        expires_at=None if key.expires_at is None else now + (key.expires_at - key.created_at),
    )
    ends_at = now + overlap if key.expires_at is None else min(now + overlap, key.expires_at)
    return Rotation(new, msgspec.structs.replace(key, expires_at=ends_at))


def read_scopes(names: Iterable[str]) -> tuple[Scope, ...]:
    """Read scopes, each once, in the order of `Scope`.

    Raises:
        InvalidRequest: There is none, or one is unknown; an unknown scope is never just left out.
    """
    asked = set(names)
    if not asked or not asked <= set(Scope):
        raise InvalidRequest(f"`scopes` needs at least one of {', '.join(Scope)}.", field="scopes")
    return tuple(scope for scope in Scope if scope in asked)


def may_make(maker: ApiKey | None, *, tenant: int, mode: Mode, scopes: Iterable[Scope]) -> bool:
    """Say whether a key may make another one, which must not reach further than itself.

    Args:
        maker: None is the operator at the command line, who may all.
        tenant: Whose the new key would be.
        mode: How far it would reach.
        scopes: What it could do.
    """
    if maker is None:
        return True
    if _REACH.index(mode) > _REACH.index(maker.mode):
        return False
    if Scope.OPERATOR in maker.scopes:
        return True
    return Scope.ADMIN in maker.scopes and maker.tenant == tenant and Scope.OPERATOR not in scopes


def _base62(octets: bytes, digits: int) -> str:
    number, text = int.from_bytes(octets), ""
    for _ in range(digits):
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode()).to_bytes(4), _CHECKSUM_DIGITS)
