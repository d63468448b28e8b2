"""Keep a caller's own code unreadable at rest: AES-256-GCM, a key outside the database, bound to its row.

The sealed form is the key's number (4 octets), a random nonce (12) and the ciphertext with its tag.

Source: NIST SP 800-38D; a random 96-bit nonce is good for 2^32 uses of one key.
"""

import hmac
import os
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dastak.core.codes import KeyRing
from dastak.core.errors import Damaged

_KEY_ID_OCTETS: Final = 4
_NONCE_OCTETS: Final = 12
# One key of the ring does one thing only: what seals is another key than what derives codes.
_PURPOSE: Final = b"dastak/seal/1\x00"


class AesGcmSealer:
    """The port `Sealer`: seals with the ring's current key and opens with any key of it."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._ciphers = {
            key_id: AESGCM(hmac.digest(key, _PURPOSE, sha256)) for key_id, key in ring.keys.items()
        }

    def seal(self, clear: bytes, *, bound_to: bytes) -> bytes:
        """Encrypt; the same clear text never looks the same twice."""
        nonce = os.urandom(_NONCE_OCTETS)
        key_id = self._ring.current.to_bytes(_KEY_ID_OCTETS)
        return key_id + nonce + self._ciphers[self._ring.current].encrypt(nonce, clear, key_id + bound_to)

    def unseal(self, sealed: bytes, *, bound_to: bytes) -> bytes:
        """Decrypt.

        Raises:
            Damaged: Or another row's.
            Overloaded: Sealed under a key that this node lacks.
        """
        key_id, rest = sealed[:_KEY_ID_OCTETS], sealed[_KEY_ID_OCTETS:]
        number = int.from_bytes(key_id)
        self._ring.key(number)  # or it is refused
        try:
            return self._ciphers[number].decrypt(
                rest[:_NONCE_OCTETS], rest[_NONCE_OCTETS:], key_id + bound_to
            )
        except (InvalidTag, ValueError) as error:
            raise Damaged("What was sealed does not open: it is another row's, or damaged.") from error
