"""All addresses of the OpenID Connect provider."""

from starlette.routing import Route

from dastak.core.oidc_store import OidcStore
from dastak.web.login.login_house import LoginHouse
from dastak.web.oidc.authorize_pages import AuthorizePages
from dastak.web.oidc.client_pages import ClientPages
from dastak.web.oidc.logout_pages import LogoutPages
from dastak.web.oidc.password_login import PasswordLogin
from dastak.web.oidc.provider import Provider
from dastak.web.oidc.provider_metadata import metadata_routes
from dastak.web.oidc.token_endpoint import TokenEndpoint
from dastak.web.oidc.userinfo_endpoint import UserinfoEndpoint


def oidc_routes(login: LoginHouse, store: OidcStore) -> list[Route]:
    """Return them.

    Args:
        login: The login with username and password, and what all pages share.
        store: Where clients and what they were given are kept.
    """
    provider = provider_of(login, store)
    return [
        *metadata_routes(provider),
        *AuthorizePages(provider).routes(),
        *TokenEndpoint(provider).routes(),
        *UserinfoEndpoint(provider).routes(),
        *LogoutPages(provider).routes(),
        *ClientPages(provider).routes(),
    ]


def provider_of(login: LoginHouse, store: OidcStore) -> Provider:
    """Put the parts of the provider together; the arguments are those of `oidc_routes`."""
    return Provider(
        house=login.house,
        store=store,
        codes=login.step,
        passwords=PasswordLogin(login.desk, login.login.people),
        proxies=login.proxies,
    )
