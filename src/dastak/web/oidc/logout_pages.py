"""/logout: a site sends a browser here to have its reader logged out, and perhaps wants it back.

1. Who the site means is said by a token that we signed; only then nobody is asked.
2. A browser goes back only to an address that was registered for it, and to no other place.

Source: OpenID Connect RP-Initiated Logout 1.0, sections 2 and 3.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import InvalidRequest
from dastak.core.ids import digest_of
from dastak.core.oidc import Client
from dastak.core.oidc_request import Fields, fingerprint
from dastak.web.browser_session import BrowserSessions, check_form, form_token
from dastak.web.oidc.id_tokens import read_hint
from dastak.web.oidc.oidc_answers import answer_address
from dastak.web.oidc.provider import COOKIE, LOGOUT, Provider
from dastak.web.oidc.way_in import read_query
from dastak.web.page_answers import read_form, refuse_foreign, see_other

_FORM: Final = "form"
# Whoever logged in has one of these.
_COOKIES: Final = (f"{COOKIE}-", "login-")


class _Leaving(msgspec.Struct, frozen=True):
    """A request that is in order.

    Attributes:
        subject: Whom the site means, as it knows the person; None says nobody in particular.
        back: Where the browser goes afterwards; None stays with us.
    """

    client: Client | None
    subject: str | None
    back: str | None


class LogoutPages:
    """The page that asks, and the one that says it is done."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def routes(self) -> list[Route]:
        """Return the pages."""
        people = self._provider.house.for_people
        return [
            Route(LOGOUT, people(self.begin), methods=["GET"]),
            Route(LOGOUT, people(self.act), methods=["POST"]),
        ]

    async def begin(self, request: Request) -> Response:
        """Log out who is meant; ask where that is not certain."""
        leaving = await self._leaving(read_query(request.url.query))
        carried = await self._carried(request, leaving.client)
        if not carried:
            return await self._leave(request, leaving, ())
        if await self._is_meant(request, leaving):
            return await self._leave(request, leaving, carried)
        form = form_token(carried[0][1], fingerprint(request.url.query))
        words = self._provider.house.words(request)
        return self._provider.house.show("oidc_logout.html", words, {"form": form})

    async def act(self, request: Request) -> Response:
        """Log out whoever agreed; a site's own form is turned into an address first."""
        form = await read_form(request)
        if _FORM not in form:
            leaving = {name: form[name] for name in _PARAMETERS if name in form}
            return see_other(answer_address(LOGOUT, leaving))
        refuse_foreign(request, self._provider.issuer)
        leaving_asked = await self._leaving(read_query(request.url.query))
        carried = await self._carried(request, leaving_asked.client)
        if carried:
            check_form(carried[0][1], fingerprint(request.url.query), form[_FORM])
        return await self._leave(request, leaving_asked, carried)

    async def _leaving(self, fields: Fields) -> _Leaving:
        """Check a request.

        Raises:
            InvalidRequest: It names a client wrongly, or an address that is none of the client's.
        """
        if fields.twice:
            raise InvalidRequest("A parameter stands twice.")
        hint, client_id = fields.values.get("id_token_hint"), fields.values.get("client_id")
        claims = None if hint is None else await read_hint(self._provider, hint)
        if hint is not None and claims is None:
            raise InvalidRequest("The id_token_hint is none of ours.", field="id_token_hint")
        if claims is not None and client_id not in (None, claims["aud"]):
            raise InvalidRequest("The id_token_hint is another client's.", field="client_id")
        named = client_id if claims is None else claims["aud"]
        client = None if named is None else await self._provider.store.client(named)
        if named is not None and client is None:
            raise InvalidRequest("There is no such client.", field="client_id")
        back = fields.values.get("post_logout_redirect_uri")
        if back is not None:
            if client is None or back not in client.logout_uris:
                raise InvalidRequest(
                    "This address is not one of the client's.", field="post_logout_redirect_uri"
                )
            state = fields.values.get("state")
            back = answer_address(back, {"state": state}) if state else back
        return _Leaving(client, None if claims is None else claims["sub"], back)

    async def _carried(
        self, request: Request, client: Client | None
    ) -> Sequence[tuple[BrowserSessions, str]]:
        """Return the cookies a browser carries: of the client's service, or of all."""
        entropy, url = self._provider.house.ports.entropy, self._provider.house.public_url
        if client is not None:
            cookies = self._provider.passwords.desk.cookies(client.service)
            ours = [self._provider.sessions(client.service, client.mode), cookies]
        else:
            names = (name.partition("dastak-")[2] for name in request.cookies)
            wanted = sorted(name for name in names if name.startswith(_COOKIES))
            ours = [BrowserSessions(name, public_url=url, entropy=entropy) for name in wanted]
        read = [(sessions, sessions.read(request)) for sessions in ours]
        return [(sessions, secret) for sessions, secret in read if secret is not None]

    async def _is_meant(self, request: Request, leaving: _Leaving) -> bool:
        """Say whether who is here is whom the site means, or nobody is here at all."""
        if leaving.client is None or leaving.subject is None:
            return False
        by_phone = (await self._provider.here(request, leaving.client)).login
        by_password = await self._provider.passwords.login(request, leaving.client)
        found = [login for login in (by_phone, by_password) if login is not None]
        subjects = {await self._provider.subject(leaving.client, login) for login in found}
        return subjects <= {leaving.subject}

    async def _leave(
        self, request: Request, leaving: _Leaving, carried: Sequence[tuple[BrowserSessions, str]]
    ) -> Response:
        provider = self._provider
        for _, secret in carried:
            await provider.passwords.people.end_session(digest_of(secret), now=provider.now())
            await provider.store.end_visit(digest_of(secret), now=provider.now())
        words = provider.house.words(request)
        if leaving.back is None:
            answer = provider.house.show("oidc_logged_out.html", words, {})
        elif request.method == "POST":
            answer = provider.house.lead_on(words, leaving.back, words.say("oidc_logged_out"))
        else:
            answer = see_other(leaving.back)
        for sessions, _ in carried:
            sessions.take(answer)
        return answer


_PARAMETERS: Final[Sequence[str]] = (
    "id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales",
)  # fmt: skip
