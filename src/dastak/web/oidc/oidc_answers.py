"""Answers to a site: JSON that nobody keeps, refusals in the words of the standard, and redirects."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from dastak.core.oidc_request import Asked, AuthorizeError
from dastak.web.page_answers import see_other

_NOSNIFF: Final = {"x-content-type-options": "nosniff"}
# What answers without cookies may be read by any page: it proves itself by what it sends.
_ANY_ORIGIN: Final = {"access-control-allow-origin": "*"}
# RFC 6749, section 5.1, asks for both.
_UNKEPT: Final = {"cache-control": "no-store", "pragma": "no-cache"}


def public_json(body: Any, *, kept_s: int) -> Response:
    """Answer with what everybody may know."""
    headers = {**_NOSNIFF, **_ANY_ORIGIN, "cache-control": f"public, max-age={kept_s}"}
    return Response(msgspec.json.encode(body), media_type="application/json", headers=headers)


def secret_json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with what is for the client alone."""
    told = {**_NOSNIFF, **_ANY_ORIGIN, **_UNKEPT, **(headers or {})}
    return Response(msgspec.json.encode(body), status, told, "application/json")


def refusal(error: str, description: str, status: int = 400, *, challenge: str | None = None) -> Response:
    """Refuse a client's request. Source: RFC 6749, section 5.2."""
    headers = {} if challenge is None else {"www-authenticate": challenge}
    return secret_json({"error": error, "error_description": description}, status, headers)


def preflight() -> Response:
    """Let another site's page ask, as browsers want to hear it before they do."""
    allowed = {
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "authorization, content-type",
        "access-control-max-age": "600",
    }
    return Response(status_code=204, headers={**_ANY_ORIGIN, **allowed})


def answer_address(redirect_uri: str, answer: Mapping[str, str | None]) -> str:
    """Return where the browser goes with an answer; what is None is left out."""
    said = urlencode({name: value for name, value in answer.items() if value is not None})
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{said}"


def denial(asked: Asked, issuer: str) -> str:
    """Return where the browser goes when a person does not want to go on."""
    answer = {"error": AuthorizeError.ACCESS_DENIED, "state": asked.state, "iss": issuer}
    return answer_address(asked.redirect_uri, answer)


def send_back(redirect_uri: str, answer: Mapping[str, str | None]) -> Response:
    """Send the browser to a registered address with an answer."""
    return see_other(answer_address(redirect_uri, answer))
