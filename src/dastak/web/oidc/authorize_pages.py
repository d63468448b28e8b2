"""/authorize: a site sends a browser here to have its reader logged in, and gets a code back.

1. The request stands in the address of every page on the way, and is checked again on each: nothing keeps it.
2. A refusal goes to the site once client and address are known to belong together, and to the person before.
3. A form ends on a page of ours, which goes on by itself: browsers hold the redirects after it to its page's
   policy, and where a site leads next is known to the site alone.

Source: OpenID Connect Core 1.0, section 3.1.2; RFC 6749, section 4.1; RFC 9207.
"""

from datetime import timedelta
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import InvalidRequest, NotFound
from dastak.core.oidc import Login, LoginWay
from dastak.core.oidc_acr import suffices, way_for
from dastak.core.oidc_request import Asked, AuthorizeError, Prompt, Refusal, check, recipient, state_of
from dastak.web.oidc.code_answer import code_address
from dastak.web.oidc.consent_page import ConsentPage
from dastak.web.oidc.id_tokens import read_hint
from dastak.web.oidc.oidc_answers import send_back
from dastak.web.oidc.phone_login import PhoneLogin
from dastak.web.oidc.provider import Provider
from dastak.web.oidc.way_in import AUTHORIZE, WayIn, began_at, mark_of, read_query, split_query, words_for
from dastak.web.page_answers import read_form, refuse_foreign, see_other

# A request line has 4 KiB at most, and the way's mark needs some of it.
QUERY_OCTETS_MAX: Final = 3500
# How the forms of all steps ask for another language.
_LANGUAGE: Final = "lang-"


class AuthorizePages:
    """The pages from a site's request to its answer."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._consent = ConsentPage(provider)
        self._phone = PhoneLogin(provider, self._go_on)

    def routes(self) -> list[Route]:
        """Return the pages."""
        people, step = self._provider.house.for_people, f"{AUTHORIZE}/{{mark:str}}"
        return [
            Route(AUTHORIZE, people(self.begin), methods=["GET"]),
            Route(AUTHORIZE, people(_as_get), methods=["POST"]),
            Route(step, people(self.look), methods=["GET"]),
            Route(step, people(self.act), methods=["POST"]),
            Route(f"{step}/news", people(self.news), methods=["GET"]),
        ]

    async def begin(self, request: Request) -> Response:
        """Answer at once where nobody needs to be asked; else set out."""
        way = await self._way(request)
        if isinstance(way, Response):
            return way
        login = None if way.asked.wants_fresh_login else await self._login(way)
        if login is not None:
            if not await self._consent.is_needed(way.asked, login):
                return see_other(await code_address(self._provider, way, login))
            if Prompt.NONE in way.asked.prompts:
                return self._refuse(way.asked, AuthorizeError.CONSENT_REQUIRED)
        elif Prompt.NONE in way.asked.prompts:
            return self._refuse(way.asked, AuthorizeError.LOGIN_REQUIRED)
        mark = mark_of(self._provider.house.ports.keys, way.query, self._provider.now())
        return see_other(f"{AUTHORIZE}/{mark}?{way.query}")

    async def look(self, request: Request) -> Response:
        """Show the page that comes next."""
        way = await self._way(request)
        if isinstance(way, Response):
            return way
        login = await self._login(way)
        error = await self._dead_end(way, login)
        if error is not None:
            return self._refuse(way.asked, error)
        if login is None:
            return await self._log_in(way)
        if await self._consent.is_needed(way.asked, login):
            return await self._consent.show(way, login)
        return see_other(await code_address(self._provider, way, login))

    async def act(self, request: Request) -> Response:
        """Do what a form says."""
        refuse_foreign(request, self._provider.issuer)
        form = await read_form(request)
        way = await self._way(request)
        if isinstance(way, Response):
            words = self._provider.house.words(request)
            return self._provider.house.lead_on(words, way.headers["location"], words.say("code_continue"))
        way.check_form(form)
        if form.get("do", "").startswith(_LANGUAGE):
            return await self._go_on(way, way.path_in(form["do"].removeprefix(_LANGUAGE)))
        if form.get("do") in ("allow", "deny"):
            login = await self._login(way)
            if login is None or not await self._fits_hint(way.asked, login):
                return await self._go_on(way, way.path)
            return await self._consent.answer(way, login, form)
        if not await self._is_by_phone(way):
            raise InvalidRequest("There is no such form.")
        return await self._phone.act(way, form)

    async def news(self, request: Request) -> Response:
        """Say how far the message is, to the page that stays open."""
        way = await self._way(request)
        return way if isinstance(way, Response) else await self._phone.news(way)

    async def _go_on(self, way: WayIn, path: str) -> Response:
        """Answer a form with the page that comes next; where that leads to the site, by a page of ours."""
        house, login = self._provider.house, await self._login(way)
        if await self._dead_end(way, login) is not None:
            return house.lead_on(way.words, path, way.words.say("code_back", brand=way.client.name))
        if login is None or await self._consent.is_needed(way.asked, login):
            return see_other(path)
        return house.lead_on(way.words, path, way.words.say("login_done"))

    async def _way(self, request: Request) -> WayIn | Response:
        """Read where on its way a browser is; one whose way took too long begins again.

        Raises:
            InvalidRequest: The client or its address is not known, so that the answer goes nowhere.
            Forbidden: Its tenant is suspended.
        """
        provider, (query, chosen) = self._provider, split_query(request.url.query)
        asked = await self._asked(query)
        if isinstance(asked, Response):
            return asked
        has_passwords = await provider.passwords.is_there(asked.client)
        login = way_for(asked.client.login, asked.acr, has_passwords=has_passwords)
        if login is None:
            return self._refuse(asked, AuthorizeError.UNMET_AUTHENTICATION_REQUIREMENTS)
        if login is LoginWay.PASSWORD_AND_CODE and not has_passwords:
            raise NotFound("Nobody logs in to this service with a password.")
        now, began, mark = provider.now(), provider.now(), request.path_params.get("mark")
        if mark is not None:
            proved = began_at(provider.house.ports.keys, mark, query, now=now)
            if proved is None:
                return see_other(f"{AUTHORIZE}?{query}")
            began = proved
        return WayIn(
            request=request,
            asked=asked,
            login=login,
            here=await provider.here(request, asked.client),
            query=query,
            path=f"{request.url.path}?{request.url.query}",
            began_at=began,
            words=words_for(request, chosen, asked, provider.caller(asked.client).service.locale),
        )

    async def _asked(self, query: str) -> Asked | Response:
        """Check a request; what it lacks is told to the site."""
        if len(query) > QUERY_OCTETS_MAX:
            raise InvalidRequest(f"A request has at most {QUERY_OCTETS_MAX} octets.")
        fields = read_query(query)
        client = await self._provider.store.client(fields.get("client_id"))
        recipient(fields, client)
        assert client is not None
        self._provider.caller(client)
        asked = check(fields, client)
        if isinstance(asked, Asked):
            hint = asked.id_token_hint
            if hint is None or await read_hint(self._provider, hint) is not None:
                return asked
            asked = Refusal(AuthorizeError.INVALID_REQUEST, "The id_token_hint is none of ours.")
        answer = {
            "error": asked.error,
            "error_description": asked.description,
            "state": state_of(fields),
            "iss": self._provider.issuer,
        }
        return send_back(fields.get("redirect_uri"), answer)

    async def _login(self, way: WayIn) -> Login | None:
        """Return who is logged in well enough for this request; a lock since then counts."""
        by_phone = await self._is_by_phone(way)
        login = way.here.login if by_phone else await self._by_password(way)
        if login is None or not (by_phone or suffices(login, way.client.login, way.login)):
            return None
        asked, now = way.asked, self._provider.now()
        if login.at < way.began_at:
            recent = asked.max_age_s is None or now - login.at <= timedelta(seconds=asked.max_age_s)
            if asked.wants_fresh_login or not recent or not await self._fits_hint(asked, login):
                return None
        return login if await self._provider.may_enter(way.client, login) else None

    async def _is_by_phone(self, way: WayIn) -> bool:
        """Say whether the phone's pages are next: where a password is wished for, once it fell short."""
        if way.login is LoginWay.PHONE:
            return True
        if way.client.login is not LoginWay.PHONE or way.asked.acr.essential:
            return False
        return await self._fell_short(way)

    async def _fell_short(self, way: WayIn) -> bool:
        """Say whether somebody signed in on this way, and has no factors that are strong enough."""
        login = await self._signed_in_on(way)
        return login is not None and not suffices(login, way.client.login, way.login)

    async def _signed_in_on(self, way: WayIn) -> Login | None:
        login = await self._by_password(way)
        return login if login is not None and login.at >= way.began_at else None

    async def _by_password(self, way: WayIn) -> Login | None:
        return await self._provider.passwords.login(way.request, way.client)

    async def _dead_end(self, way: WayIn, login: Login | None) -> AuthorizeError | None:
        """Say why this way leads back without a login, if it does, whoever is here and whoever may log in."""
        if login is not None:
            return None if await self._fits_hint(way.asked, login) else AuthorizeError.LOGIN_REQUIRED
        if await self._is_by_phone(way):
            here = way.here.login
            # Locked since the code was right: the number again would be refused without a word.
            since = here is not None and here.at >= way.began_at
            return AuthorizeError.TEMPORARILY_UNAVAILABLE if since else None
        if await self._fell_short(way):
            return AuthorizeError.UNMET_AUTHENTICATION_REQUIREMENTS
        # Locked since: to have the person sign in here once more could go round for ever.
        signed_in = await self._signed_in_on(way) is not None
        return AuthorizeError.TEMPORARILY_UNAVAILABLE if signed_in else None

    async def _log_in(self, way: WayIn) -> Response:
        if await self._is_by_phone(way):
            return await self._phone.show(way)
        # The hint of a site whose people have numbers only is no username.
        hint = way.asked.login_hint if way.client.login is way.login else None
        service = self._provider.caller(way.client).service
        return see_other(self._provider.passwords.address(service, way.path, hint=hint))

    async def _fits_hint(self, asked: Asked, login: Login) -> bool:
        """Say whether it is who the site means, if it says whom it means."""
        if asked.id_token_hint is None and not asked.subjects:
            return True
        subject = await self._provider.subject(asked.client, login)
        if asked.subjects and subject not in asked.subjects:
            return False
        if asked.id_token_hint is None:
            return True
        claims = await read_hint(self._provider, asked.id_token_hint)
        return claims is not None and claims["sub"] == subject

    def _refuse(self, asked: Asked, error: AuthorizeError) -> Response:
        answer = {"error": error, "state": asked.state, "iss": self._provider.issuer}
        return send_back(asked.redirect_uri, answer)


async def _as_get(request: Request) -> Response:
    """Turn a request by form into one by address: only with that our cookies come from another site."""
    octets = bytearray()
    async for chunk in request.stream():
        octets += chunk
        if len(octets) > QUERY_OCTETS_MAX:
            raise InvalidRequest(f"A request has at most {QUERY_OCTETS_MAX} octets.")
    try:
        pairs = parse_qsl(octets.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise InvalidRequest("This is no form that a browser sends.") from error
    return see_other(f"{AUTHORIZE}?{urlencode(pairs)}")
