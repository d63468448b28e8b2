"""How a page is answered: its headers, its redirects and its forms.

1. A page runs no script and shows no style but ours, is kept by nobody, and tells no other site where it was.
2. A form is read only when its page was ours: its browser says so, and its hidden field proves it.
3. A redirect goes to a path of ours, or to an address that was registered before.
4. No form is answered with a redirect to another site: browsers hold it, and all that follow it there, to the
   policy of the form's page. A page of ours goes on instead; see `PageHouse.lead_on`.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from dastak.core.errors import Forbidden, InvalidRequest, NotFound

FORM_OCTETS_MAX: Final = 16 * 1024
FORM_FIELDS_MAX: Final = 60
ROW_MAX: Final = 2**63 - 1
_FORM_KIND: Final = "application/x-www-form-urlencoded"


def headers(
    *,
    framed_by: Sequence[str] = (),
    frames: Sequence[str] = (),
    styles: Sequence[str] = (),
) -> dict[str, str]:
    """Return the headers of every page.

    Args:
        framed_by: Origins that may show it in a frame; nobody by default.
        frames: What it may show in frames; nothing by default.
        styles: Digests of style sheets of ours that stand in it.
    """
    styled = " ".join(("'self'", *styles))
    framers = " ".join(framed_by) or "'none'"
    framed = f"frame-src {' '.join(frames)}; " if frames else ""
    policy = (
        f"default-src 'none'; script-src 'self'; style-src {styled}; img-src 'self' data:; "
        f"connect-src 'self'; {framed}base-uri 'none'; form-action 'self'; "
        f"frame-ancestors {framers}; object-src 'none'"
    )
    return {
        "content-security-policy": policy,
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }


def page(
    html: str,
    status: int = 200,
    *,
    framed_by: Sequence[str] = (),
    frames: Sequence[str] = (),
    styles: Sequence[str] = (),
) -> Response:
    """Answer with a page; see `headers`."""
    kept = headers(framed_by=framed_by, frames=frames, styles=styles)
    return Response(html, status, kept, "text/html")


def see_other(address: str) -> Response:
    """Send the browser on by GET, as after every form.

    Args:
        address: A path of ours, or one that was registered.
    """
    return Response(status_code=303, headers={**headers(), "location": address})


def retry_after(answer: Response, wait_s: int | None) -> Response:
    """Say with an answer after how many seconds to try again; None where that is not known."""
    if wait_s is not None:
        answer.headers["retry-after"] = str(wait_s)
    return answer


def row_in(request: Request, name: str) -> int:
    """Return the number of a row that stands in a path.

    Raises:
        NotFound: No row has so large a number; a database takes 64 bits.
    """
    n: int = request.path_params[name]
    if n > ROW_MAX:
        raise NotFound("There is no such page.")
    return n


async def read_form(request: Request) -> Mapping[str, str]:
    """Read what a person filled in; each field once.

    Raises:
        InvalidRequest: It is no such form, too large, or has a field twice.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_KIND:
        raise InvalidRequest(f"Send a form as {_FORM_KIND}.")
    octets = bytearray()
    async for chunk in request.stream():
        octets += chunk
        if len(octets) > FORM_OCTETS_MAX:
            raise InvalidRequest(f"A form has at most {FORM_OCTETS_MAX} octets.")
    try:
        pairs = parse_qsl(
            octets.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS_MAX
        )
    except ValueError as error:
        raise InvalidRequest("This is no form that a browser sends.") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise InvalidRequest("A field of this form is there twice.")
    return form


def refuse_foreign(request: Request, origin: str) -> None:
    """Refuse what another site's page sends in its reader's name.

    It is one of two proofs: an old browser says nothing of where a form comes from, so that the form's hidden
    field (`browser_session.form_token`) is asked for as well.

    Args:
        request: One that changes something.
        origin: Ours, such as `https://otp.example.in`.

    Raises:
        Forbidden: The browser says that it was another site's page.

    Source: Fetch Metadata Request Headers, section 2.3; RFC 6454, section 7.
    """
    site, sent = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    # A page under `Referrer-Policy: no-referrer` sends the origin `null` with its own forms.
    if site not in (None, "same-origin", "none") or sent not in (None, "null", origin):
        raise Forbidden("This form belongs to another site.", reason="foreign_form")
