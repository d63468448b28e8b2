"""What a browser carries for us: a secret in a cookie that no script reads and no other site sends.

1. A cookie's value is 256 random bits; the database keeps only its digest.
2. It is new at each gain of trust (a password, a code), so that one planted before is worth nothing after.
3. Over https it is called `__Host-...`, so that no other host and no plain page can set it.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from dastak.core.errors import Forbidden

SECRET_OCTETS: Final = 32
FORM_FIELD: Final = "form"
# base64url of 32 octets; a longer one is none of ours.
_VALUE_CHARACTERS: Final = 43


class BrowserSessions:
    """Cookies of one kind.

    Args:
        name: Such as `page` or `login`; what it is called to browsers begins with `dastak-`.
        public_url: Where people reach us; what begins with https gets the strict name.
        entropy: Returns that many random octets.
    """

    def __init__(self, name: str, *, public_url: str, entropy: Callable[[int], bytes]) -> None:
        self._secure = urlsplit(public_url).scheme == "https"
        self.cookie: Final = f"{'__Host-' if self._secure else ''}dastak-{name}"
        self._entropy = entropy

    def read(self, request: Request) -> str | None:
        """Return the secret a browser carries, or None."""
        value = request.cookies.get(self.cookie)
        return value if value is not None and len(value) == _VALUE_CHARACTERS else None

    def new(self) -> str:
        """Make a secret."""
        return urlsafe_b64encode(self._entropy(SECRET_OCTETS)).rstrip(b"=").decode()

    def give(self, response: Response, secret: str, *, max_age_s: int | None = None) -> Response:
        """Have a browser carry a secret, until it is closed or for so many seconds."""
        response.set_cookie(
            self.cookie,
            secret,
            max_age=max_age_s,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
        return response

    def take(self, response: Response) -> Response:
        """Have a browser forget it."""
        response.delete_cookie(self.cookie, path="/", secure=self._secure, httponly=True, samesite="lax")
        return response


def form_token(secret: str, form: str) -> str:
    """Return the hidden field of a form: only who was shown this form in this session knows it.

    Args:
        secret: The browser's.
        form: Which form it is, such as `login` or a verification's id.
    """
    return hmac.digest(secret.encode(), b"form\0" + form.encode(), "sha256").hex()[:32]


def check_form(secret: str | None, form: str, token: str | None) -> None:
    """Refuse a form whose page this browser was not shown.

    Raises:
        Forbidden: The hidden field is missing or another session's.
    """
    if (
        secret is None
        or token is None
        or not hmac.compare_digest(form_token(secret, form).encode(), token.encode())
    ):
        raise Forbidden("This page is too old; open it again.", reason="stale_form")
