"""Make, seal and rotate the keys that tokens of OpenID Connect are signed with, and open them to sign.

A private key is sealed with the key ring that lies outside the database, and opens in no other row.
"""

import json
from datetime import datetime
from functools import partial
from typing import Any, Final

from joserfc.jwk import ECKey

from dastak.core import oidc_keys
from dastak.core.oidc_keys import SigningKey
from dastak.core.oidc_store import Keys, OidcStore
from dastak.core.ports import Once
from dastak.core.sealer import Sealer
from dastak.tenancy.keys import Entropy

ALGORITHM: Final = "ES256"
_CURVE: Final = "P-256"
KID_OCTETS: Final = 9
SEED_OCTETS: Final = 32
_SEED_ROW: Final = b"oidc/subject-seed"


def make(sealer: Sealer, *, now: datetime, entropy: Entropy) -> SigningKey:
    """Make a key that waits for its turn."""
    kid = entropy(KID_OCTETS).hex()
    key: ECKey = ECKey.generate_key(_CURVE, {"kid": kid, "use": "sig", "alg": ALGORITHM}, private=True)
    private = json.dumps(key.as_dict(private=True)).encode()
    return SigningKey(
        kid=kid,
        public=json.dumps(key.as_dict(private=False)),
        sealed=sealer.seal(private, bound_to=_row(kid)),
        made_at=now,
    )


async def ensure(store: OidcStore, sealer: Sealer, *, now: datetime, entropy: Entropy) -> Keys:
    """Return the keys; the first two are made when there are none."""
    keys = await store.signing_keys()
    if keys:
        return keys
    fresh = (make(sealer, now=now, entropy=entropy), make(sealer, now=now, entropy=entropy))
    return await store.move_signing_keys(partial(oidc_keys.begin, fresh=fresh))


async def rotate(
    store: OidcStore, sealer: Sealer, *, now: datetime, entropy: Entropy, once: Once | None = None
) -> Keys:
    """Have the next key sign from now on, and publish a fresh one that waits."""
    await ensure(store, sealer, now=now, entropy=entropy)
    fresh = make(sealer, now=now, entropy=entropy)
    return await store.move_signing_keys(partial(oidc_keys.rotate, fresh=fresh, now=now), once=once)


async def subject_seed(store: OidcStore, sealer: Sealer, *, entropy: Entropy) -> bytes:
    """Return the secret that people's names are made with; it is made once, and never changed."""
    fresh = sealer.seal(entropy(SEED_OCTETS), bound_to=_SEED_ROW)
    return sealer.unseal(await store.subject_seed(fresh), bound_to=_SEED_ROW)


def private_key(key: SigningKey, sealer: Sealer) -> ECKey:
    """Open the private half of a key that signs."""
    return ECKey.import_key(json.loads(sealer.unseal(key.sealed, bound_to=_row(key.kid))))


def public_jwk(key: SigningKey) -> dict[str, Any]:
    """Return what clients may know of a key."""
    shown: dict[str, Any] = json.loads(key.public)
    return shown


def _row(kid: str) -> bytes:
    return b"oidc/signing-key/" + kid.encode()
