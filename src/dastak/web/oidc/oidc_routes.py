"""All addresses of the OpenID Connect provider."""

from starlette.routing import Route

from dastak.core.oidc_store import OidcStore
from dastak.web.code_step import CodeStep
from dastak.web.oidc.authorize_pages import AuthorizePages
from dastak.web.oidc.logout_pages import LogoutPages
from dastak.web.oidc.parts import SignInDesk
from dastak.web.oidc.provider import Provider
from dastak.web.oidc.provider_metadata import metadata_routes
from dastak.web.oidc.token_endpoint import TokenEndpoint
from dastak.web.oidc.userinfo_endpoint import UserinfoEndpoint
from dastak.web.page_house import PageHouse


def oidc_routes(house: PageHouse, store: OidcStore, desk: SignInDesk | None = None) -> list[Route]:
    """Return them.

    Args:
        house: What all pages share.
        store: Where clients and what they were given are kept.
        desk: Where people log in with username and password, if anywhere.
    """
    provider = Provider(house=house, store=store, codes=CodeStep(house), desk=desk)
    return [
        *metadata_routes(provider),
        *AuthorizePages(provider).routes(),
        *TokenEndpoint(provider).routes(),
        *UserinfoEndpoint(provider).routes(),
        *LogoutPages(provider).routes(),
    ]
