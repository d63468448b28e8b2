"""Ask a person whether a site may know who they are, once for each thing it wants, and send them on."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from dastak.core.oidc import Login
from dastak.core.oidc_request import Asked, Prompt
from dastak.web.oidc.code_answer import code_address
from dastak.web.oidc.oidc_answers import denial
from dastak.web.oidc.provider import Provider
from dastak.web.oidc.way_in import WayIn

# What each scope means to a person; `words/*.toml` has the sentences.
_MEANINGS: Final[Mapping[str, str]] = {
    "openid": "oidc_knows_you",
    "phone": "oidc_knows_number",
    "offline_access": "oidc_stays",
}


class ConsentPage:
    """The last page before the answer."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def is_needed(self, asked: Asked, login: Login) -> bool:
        """Say whether a person must be asked."""
        if Prompt.CONSENT in asked.prompts:
            return True
        if not asked.client.ask_consent:
            return False
        subject = await self._provider.subject(asked.client, login)
        return not set(asked.scopes) <= await self._provider.store.consented(asked.client.n, subject)

    async def show(self, way: WayIn, login: Login) -> Response:
        """Show what the site wants to know."""
        secret = way.here.secret or way.here.sessions.new()
        answer = self._provider.house.show(
            "oidc_consent.html",
            way.words,
            {
                "site": way.client.name,
                "digits": "" if login.msisdn is None else login.msisdn[-2:],
                "meanings": [_MEANINGS[scope] for scope in way.asked.scopes],
                "form": way.form(secret),
            },
        )
        return answer if way.here.secret else way.here.sessions.give(answer, secret)

    async def answer(self, way: WayIn, login: Login, form: Mapping[str, str]) -> Response:
        """Do what the person decided."""
        asked, provider = way.asked, self._provider
        if form["do"] == "deny":
            back = way.words.say("code_back", brand=way.client.name)
            return provider.house.lead_on(way.words, denial(asked, provider.issuer), back)
        subject = await provider.subject(asked.client, login)
        known = await provider.store.consented(asked.client.n, subject)
        agreed = known | set(asked.scopes)
        await provider.store.keep_consent(asked.client.n, subject, agreed, now=provider.now())
        # By the code itself: who is asked each time would be asked again on the way.
        address = await code_address(provider, way, login)
        return provider.house.lead_on(way.words, address, way.words.say("login_done"))
