"""What all pages for people share: the flows, the templates, the address, and an answer for every error."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from dastak.core.errors import DastakError, InvalidRequest, NotFound, Overloaded, RateLimited, Refused
from dastak.core.ports import Ports
from dastak.core.tenant import Service
from dastak.tenancy.directory import Directory
from dastak.tenancy.domains.domain_rules import NOBODYS
from dastak.web.page_answers import page
from dastak.web.page_templates import PageTemplates
from dastak.web.page_words import LANGUAGE_DEFAULT, Words, choose_language, words_of

Handler = Callable[[Request], Awaitable[Response]]

# RFC 1035, section 2.3.4; what is longer is no host.
HOST_CHARACTERS_MAX: Final = 253

# What a person reads when something does not work, by whose turn it is; `words/*.toml` has the sentences.
_SORRY: Final[Sequence[tuple[type[DastakError], int, str]]] = (
    (NotFound, 404, "sorry_not_found"),
    (RateLimited, 429, "sorry_too_often"),
    (Refused, 403, "sorry_refused"),
    (InvalidRequest, 400, "sorry_not_understood"),
    (Overloaded, 503, "sorry_busy"),
    (DastakError, 500, "sorry_busy"),
)


class PageHouse(msgspec.Struct, frozen=True, kw_only=True):
    """The parts every page is made with.

    Attributes:
        public_url: Where people reach us, without a slash at the end; links are made from nothing else.
        console_url: Where operators reach the console; None where that is the same.
        hosts_apart: Whether a tenant's host shows no other tenant's pages; not where nobody said which
            hosts are ours, for one of them may be among the domains of a service.
    """

    ports: Ports
    directory: Directory
    templates: PageTemplates
    public_url: str
    console_url: str | None = None
    hosts_apart: bool = True

    def origin_of(self, request: Request) -> str:
        """Return which of our addresses a request was sent to; an unknown host counts as the public one."""
        host = request.headers.get("host", "").lower()
        console = self.console_url
        return (
            console if console is not None and host == urlsplit(console).netloc.lower() else self.public_url
        )

    def refuse_elsewhere(self, request: Request, service: int) -> None:
        """Refuse a page of a service at a host that only other tenants have among their domains.

        Raises:
            NotFound: Under that name, and behind its certificate, the page would pass for theirs.
        """
        host = host_of(request)
        ours = {urlsplit(url).hostname for url in (self.public_url, self.console_url) if url is not None}
        if not self.hosts_apart or host in ours or host in NOBODYS:
            return
        owners = {self.directory.service_of(n).tenant for n in self.directory.services_at(host)}
        if owners and self.directory.service_of(service).tenant not in owners:
            raise NotFound("There is no such page.")

    def code_domain(self, service: Service, host: str | None = None) -> str | None:
        """Return the host that browsers bind a code to, where the service has it; by default our own."""
        asked = host or urlsplit(self.public_url).hostname
        return asked if asked in service.domains else None

    def domain_here(self, service: Service, request: Request) -> str | None:
        """Return the host that browsers bind a code to: the one that shows the page, or else as above."""
        here = host_of(request)
        return self.code_domain(service, here if here in service.domains else None)

    def words(self, request: Request, *, fallback: str = LANGUAGE_DEFAULT) -> Words:
        """Return the reader's language: `?lang=hi`, else the browser's, else the page's own."""
        asked, accepted = request.query_params.get("lang"), request.headers.get("accept-language")
        return words_of(choose_language(asked, accepted, fallback=fallback))

    def show(
        self,
        template: str,
        words: Words,
        values: Mapping[str, Any],
        status: int = 200,
        *,
        framed_by: Sequence[str] = (),
        frames: Sequence[str] = (),
    ) -> Response:
        """Answer with a page; the arguments are those of `PageTemplates.render` and `page`."""
        html = self.templates.render(template, words, values)
        return page(
            html,
            status,
            framed_by=framed_by,
            frames=frames,
            styles=(self.templates.style_source,),
        )

    def lead_on(self, words: Words, to: str, heading: str) -> Response:
        """Answer a form with a page of ours that goes on by itself to an address, of whatever site.

        Browsers hold all redirects after a form to the `form-action` of its page, those of other sites as
        well, of which nobody here knows: on this page they end.

        Args:
            words: The reader's language.
            to: A path of ours, or an address that was registered.
            heading: What the page says.
        """
        return self.show("login_on.html", words, {"to": to, "heading": heading})

    def for_people(self, handler: Handler) -> Handler:
        """Have a handler's errors told in a page that says what to do, and nothing of why."""

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except DastakError as error:
                return self.sorry(request, error)

        return answered

    def sorry(self, request: Request, error: DastakError) -> Response:
        """Answer with what a person should know of an error."""
        status, sentence = told_of(error)
        answer = self.show("sorry.html", self.words(request), {"sentence": sentence}, status)
        wait_s = getattr(error, "retry_after_s", None)
        if wait_s is not None:
            answer.headers["retry-after"] = str(wait_s)
        return answer


def host_of(request: Request) -> str:
    """Return the host a browser asked for, without its port; empty where it named none that could be one."""
    host = request.headers.get("host", "").lower().partition(":")[0].rstrip(".")
    return host if len(host) <= HOST_CHARACTERS_MAX else ""


def told_of(error: DastakError) -> tuple[int, str]:
    """Return the status of an error, and the name of the sentence that a person reads of it."""
    return next((status, name) for kind, status, name in _SORRY if isinstance(error, kind))
