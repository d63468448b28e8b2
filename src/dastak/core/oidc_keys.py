"""The keys that tokens of OpenID Connect are signed with: one signs, the next one is published already.

1. A key is published before it signs, so that a client that keeps our keys a while knows it when it does.
2. One that no longer signs stays published until everything it signed is over.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from dastak.core.oidc import ID_TOKEN_S

# Clocks differ, and a client may look at a token a little late.
PUBLISHED_AFTER: Final = timedelta(seconds=ID_TOKEN_S) + timedelta(hours=1)
# Old ones are kept for the hints of old sessions; whoever rotates daily has a month.
KEPT_MAX: Final = 32


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key.

    Attributes:
        kid: Its name in tokens.
        public: Its public half, a JWK in JSON.
        sealed: Its private half, a JWK in JSON; nothing once it signs no more.
        signs_from: None waits for its turn.
        retired_at: When it signed for the last time.
    """

    kid: str
    public: str
    sealed: bytes
    made_at: datetime
    signs_from: datetime | None = None
    retired_at: datetime | None = None


def begin(keys: tuple[SigningKey, ...], fresh: tuple[SigningKey, SigningKey]) -> tuple[SigningKey, ...]:
    """Return the first two keys, unless there are some."""
    if keys:
        return keys
    first, second = fresh
    return msgspec.structs.replace(first, signs_from=first.made_at), second


def rotate(keys: tuple[SigningKey, ...], fresh: SigningKey, *, now: datetime) -> tuple[SigningKey, ...]:
    """Have the next key sign from now on, and a fresh one wait."""
    moved = []
    for key in keys:
        if key.signs_from is None:
            moved.append(msgspec.structs.replace(key, signs_from=now))
        elif key.retired_at is None:
            moved.append(msgspec.structs.replace(key, retired_at=now, sealed=b""))
        else:
            moved.append(key)
    return (*moved, fresh)[-KEPT_MAX:]


def signer(keys: tuple[SigningKey, ...]) -> SigningKey:
    """Return the one that signs now; there is always one after `begin`."""
    return next(key for key in keys if key.signs_from is not None and key.retired_at is None)


def published(keys: tuple[SigningKey, ...], *, now: datetime) -> tuple[SigningKey, ...]:
    """Return those that clients shall know."""
    return tuple(key for key in keys if key.retired_at is None or now < key.retired_at + PUBLISHED_AFTER)
