"""Give every carrier an address of its own for webhooks, with a secret in it that is kept nowhere."""

import base64
import hashlib
import hmac

from dastak.core.codes import KeyRing
from dastak.http_carriers.http_route import Callback

PATH = "/hooks/carriers"
SECRET_OCTETS = 24


def callback_of(keys: KeyRing, public_url: str | None, name: str, *, node: str = "") -> Callback:
    """Return where a carrier calls.

    Args:
        keys: The secret is derived from them; one that an older key made counts as long as the key is kept.
        public_url: Where people reach us; without it the address is not known.
        name: The carrier's.
        node: What the proxy calls this node.
    """
    older = [key for key_id, key in keys.keys.items() if key_id != keys.current]
    tokens = tuple(_token(key, name) for key in (keys.keys[keys.current], *older))
    url = f"{public_url.rstrip('/')}{PATH}/{name}/{tokens[0]}" if public_url else ""
    return Callback(tokens, url, node)


def _token(key: bytes, name: str) -> str:
    digest = hmac.new(key, b"dastak carrier webhook\0" + name.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:SECRET_OCTETS]).decode("ascii")
