"""Other authors' clients of OpenID Connect, each told what to do and asked what came of it."""

import json
import selectors
import subprocess
from typing import Any, Final, Protocol, Self
from urllib.parse import parse_qs, urlsplit

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client import BaseApp, FrameworkIntegration, OAuth2Mixin, OpenIDMixin
from authlib.integrations.requests_client import OAuth2Session
from joserfc.errors import JoseError

from tests.support.needed import installed_peer
from tests.support.npm_peer import PEERS

LINE_S_MAX: Final = 30

Fact = dict[str, Any]


class OidcClient(Protocol):
    """A site that logs people in."""

    def authorize(self, **more: str) -> str:
        """Return where to send the browser."""

    def callback(self, url: str) -> Fact:
        """Take what the browser came back with; `claims`, `userinfo`, or `error`."""

    def refresh(self) -> Fact:
        """Change the refresh token for others."""

    def userinfo(self) -> Fact:
        """Ask about the person again."""

    def logout(self, back: str) -> str:
        """Return where to send the browser to be logged out."""


class NpmClient:
    """One of the scripts in tests/peers, in a process of its own.

    Args:
        script: Such as `openid_client.mjs`.
        wanted: The issuer, the client's id and secret, its address and its scope.
    """

    def __init__(self, script: str, package: str, wanted: Fact) -> None:
        node = installed_peer(package)
        self._process = subprocess.Popen(
            [node, script, json.dumps(wanted)],
            cwd=PEERS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=LINE_S_MAX)
        self._process.stdout.close()

    def authorize(self, **more: str) -> str:
        return str(self._ask("authorize", **more)["url"])

    def callback(self, url: str) -> Fact:
        return self._ask("callback", url=url)

    def refresh(self) -> Fact:
        return self._ask("refresh")

    def userinfo(self) -> Fact:
        return self._ask("userinfo")

    def logout(self, back: str) -> str:
        return str(self._ask("logout", post_logout_redirect_uri=back)["url"])

    def _ask(self, act: str, **more: str) -> Fact:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"act": act, **more}) + "\n")
        self._process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(LINE_S_MAX), f"no answer to {act} within {LINE_S_MAX} s"
        fact: Fact = json.loads(self._process.stdout.readline())
        return fact


class _AuthlibApp(OAuth2Mixin, OpenIDMixin, BaseApp):  # type: ignore[misc]
    """Authlib's client for web applications, without any one framework."""

    client_cls = OAuth2Session


class _Memory(FrameworkIntegration):  # type: ignore[misc]
    """Where Authlib would keep tokens; the test has them."""

    def update_token(self, *_tokens: object, **_named: object) -> None:
        pass


class AuthlibClient:
    """A web application that uses Authlib.

    Args:
        wanted: As `NpmClient` takes it.
    """

    def __init__(self, wanted: Fact) -> None:
        self._redirect_uri = wanted["redirect_uri"]
        self._app = _AuthlibApp(
            _Memory("shop"),
            "shop",
            client_id=wanted["client_id"],
            client_secret=wanted.get("client_secret"),
            server_metadata_url=f"{wanted['issuer']}/.well-known/openid-configuration",
            client_kwargs={
                "scope": wanted["scope"],
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": "client_secret_basic" if "client_secret" in wanted else "none",
            },
        )
        self._begun: Fact = {}
        self._tokens: Fact = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        pass

    def authorize(self, **more: str) -> str:
        self._begun = self._app.create_authorization_url(self._redirect_uri, **more)
        return str(self._begun["url"])

    def callback(self, url: str) -> Fact:
        said = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        if "error" in said:
            return {"error": said["error"]}
        assert said["state"] == self._begun["state"]
        try:
            self._tokens = self._app.fetch_access_token(
                code=said["code"],
                redirect_uri=self._redirect_uri,
                code_verifier=self._begun["code_verifier"],
            )
            return self._told(self._begun["nonce"])
        except (AuthlibBaseError, JoseError) as error:
            return {"error": error.error, "message": str(error)}

    def refresh(self) -> Fact:
        metadata = self._app.load_server_metadata()
        with self._app._get_oauth_client(**metadata) as session:
            try:
                self._tokens = session.refresh_token(
                    metadata["token_endpoint"], refresh_token=self._tokens["refresh_token"]
                )
            except AuthlibBaseError as error:
                return {"error": error.error, "message": str(error)}
        return self._told(None)

    def userinfo(self) -> Fact:
        return dict(self._app.userinfo(token=self._tokens))

    def logout(self, back: str) -> str:
        begun = self._app.create_logout_url(back, id_token_hint=self._tokens["id_token"])
        return str(begun["url"])

    def _told(self, nonce: str | None) -> Fact:
        claims = self._app.parse_id_token(self._tokens, nonce=nonce)
        return {
            "claims": dict(claims),
            "scope": self._tokens["scope"],
            "id_token": self._tokens["id_token"],
            "refresh_token": self._tokens.get("refresh_token"),
            "userinfo": self.userinfo(),
        }


def openid_client(wanted: Fact) -> NpmClient:
    """Return npm openid-client."""
    return NpmClient("openid_client.mjs", "openid-client", wanted)


def oauth4webapi(wanted: Fact) -> NpmClient:
    """Return npm oauth4webapi."""
    return NpmClient("oauth4webapi.mjs", "oauth4webapi", wanted)


CLIENTS: Final = {
    "openid-client": openid_client,
    "oauth4webapi": oauth4webapi,
    "authlib": AuthlibClient,
}
