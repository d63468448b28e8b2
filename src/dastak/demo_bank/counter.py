"""How the bank's pages are asked for and answered: forms, cookies, headers and errors, each in one place.

1. Nothing changes by GET, but for the way back from Dastak's page. A form is taken only from our own page:
   the browser says so, and a hidden field proves that this browser was shown it.
2. The secret in the cookie is new whenever a browser gains something, so one planted before is worth nothing.
3. No page has a script, or a style of its own.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.demo_bank.ledger import Ledger, Person, Session
from dastak.demo_bank.money import shown
from dastak.sdk import Dastak

FORM_OCTETS_MAX: Final = 8 * 1024
FORM_FIELDS_MAX: Final = 10
_SECRET_OCTETS: Final = 32
# What the pages show beside their words, and its kind.
_ASSETS: Final = {"bank.css": "text/css", "bank.svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """What every page may use.

    Attributes:
        url: Where people reach the bank; links and checks of origin use nothing else.
        code_pages: Origin of Dastak's pages: browsers hold a form to where its answer may lead.
        phones_url: Where the virtual phones are, for those who walk through.
    """

    ledger: Ledger
    dastak: Dastak
    url: str
    code_pages: str
    phones_url: str | None = None

    @property
    def domain(self) -> str:
        """The host that codes are bound to, so that phones fill them in here and nowhere else."""
        return urlsplit(self.url).hostname or ""

    @property
    def page_domain(self) -> str | None:
        """The host of Dastak's pages, for the codes typed there; an address of numbers can be none."""
        host = urlsplit(self.code_pages).hostname or ""
        return None if host.replace(".", "").isdigit() or ":" in host else host


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request: who asks, and what was filled in."""

    secret: str
    session: Session | None
    form: Mapping[str, str]
    query: Mapping[str, str]
    address: str

    def person(self, bank: Bank) -> Person | None:
        """Return who is logged in."""
        known = self.session is not None and self.session.person is not None
        return bank.ledger.person(self.session.person) if known else None  # type: ignore[union-attr, arg-type]


@dataclass(frozen=True, slots=True)
class Page:
    """Show a template."""

    template: str
    values: Mapping[str, Any]
    status: int = 200


@dataclass(frozen=True, slots=True)
class Go:
    """Send the browser on; with a secret, it carries that one from now on."""

    to: str
    secret: str | None = None


Handler = Callable[[Bank, Visit], Page | Go]


class WrongForm(Exception):  # noqa: N818 - what it is, not that it failed
    """A form that our page did not send, or cannot have sent."""


def new_secret() -> str:
    """Make what a browser shall carry."""
    return secrets.token_urlsafe(_SECRET_OCTETS)


def form_token(secret: str) -> str:
    """Return the hidden field of every form this browser is shown."""
    return hmac.digest(secret.encode(), b"form", "sha256").hex()[:32]


def bank_app(bank: Bank, pages: Mapping[str, Mapping[str, Handler]]) -> Starlette:
    """Make the application.

    Args:
        bank: What the pages use.
        pages: For each path, its handlers by method. They run in threads, for they wait.
    """
    counter = _Counter(bank)
    routes = [
        Route(path, counter.answering(handlers), methods=list(handlers)) for path, handlers in pages.items()
    ]
    assets = [Route(f"/{name}", counter.giving(name)) for name in _ASSETS]
    return Starlette(routes=[*routes, *assets])


class _Counter:
    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        secure = urlsplit(bank.url).scheme == "https"
        self._cookie = "__Host-bank" if secure else "bank"
        self._secure = secure
        self._headers = _headers(f"'self' {bank.code_pages}")
        self._templates = Environment(
            loader=PackageLoader("dastak.demo_bank", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(phones_url=bank.phones_url)
        self._templates.filters["rupees"] = shown

    def giving(self, name: str) -> Callable[[Request], Any]:
        """Return what gives a file."""
        octets = files("dastak.demo_bank").joinpath("assets", name).read_bytes()
        headers = {"x-content-type-options": "nosniff", "cache-control": "max-age=3600"}

        async def give(_request: Request) -> Response:
            return Response(octets, headers=headers, media_type=_ASSETS[name])

        return give

    def answering(self, handlers: Mapping[str, Handler]) -> Callable[[Request], Any]:
        """Return what Starlette calls for a path."""

        async def answer(request: Request) -> Response:
            carried = request.cookies.get(self._cookie, "")
            secret = carried if len(carried) == len(new_secret()) else new_secret()
            try:
                form = {} if request.method != "POST" else await self._form(request, secret)
            except WrongForm:
                return self._shown(Page("sorry.html", {}, 403), None, secret)
            handler = handlers["GET" if request.method == "HEAD" else request.method]
            response = await run_in_threadpool(self._handled, request, secret, form, handler)
            # A browser that came without a secret, or with one that is none of ours, gets one.
            if secret != carried and "set-cookie" not in response.headers:
                self._give(response, secret)
            return response

        return answer

    def _handled(self, request: Request, secret: str, form: Mapping[str, str], handler: Handler) -> Response:
        visit = Visit(
            secret=secret,
            session=self._bank.ledger.session(secret),
            form=form,
            query=dict(request.query_params),
            address=request.client.host if request.client else "",
        )
        found = handler(self._bank, visit)
        if isinstance(found, Page):
            return self._shown(found, visit.person(self._bank), secret)
        response = Response(status_code=303, headers={**self._headers, "location": found.to})
        return response if found.secret is None else self._give(response, found.secret)

    async def _form(self, request: Request, secret: str) -> Mapping[str, str]:
        """Read a form of ours. Raises: WrongForm."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise WrongForm
        # Under `Referrer-Policy: no-referrer` a browser calls its own page's origin `null`.
        if request.headers.get("origin", "null") not in ("null", self._bank.url):
            raise WrongForm
        octets = bytearray()
        async for chunk in request.stream():
            octets += chunk
            if len(octets) > FORM_OCTETS_MAX:
                raise WrongForm
        try:
            form = dict(parse_qsl(octets.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX))
        except ValueError as error:
            raise WrongForm from error
        if not hmac.compare_digest(form.get("form", "").encode(), form_token(secret).encode()):
            raise WrongForm
        return form

    def _shown(self, page: Page, person: Person | None, secret: str) -> Response:
        values = {"person": person, "form_token": form_token(secret), **page.values}
        html = self._templates.get_template(page.template).render(values)
        return Response(html, page.status, self._headers, "text/html")

    def _give(self, response: Response, secret: str) -> Response:
        response.set_cookie(
            self._cookie, secret, path="/", secure=self._secure, httponly=True, samesite="lax"
        )
        return response


def _headers(forms_to: str) -> dict[str, str]:
    """Return the headers of every page; a browser holds redirects after a form to `forms_to` as well."""
    return {
        "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        f"form-action {forms_to}; frame-ancestors 'none'",
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
