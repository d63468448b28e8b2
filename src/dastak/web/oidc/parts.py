"""What the provider needs of the login with username and password: who is signed in, and where to sign in."""

from typing import Protocol

from starlette.requests import Request

from dastak.core.oidc import Login
from dastak.core.tenant import Service


class SignInDesk(Protocol):
    """Where people log in with username, password and code."""

    async def signed_in(self, request: Request, service: Service) -> Login | None:
        """Return who a browser is logged in as at a service."""

    def address(
        self, service: Service, next_path: str, *, fresh: bool = False, hint: str | None = None
    ) -> str:
        """Return where to send a browser that shall log in and come back to a path of ours.

        Raises:
            NotFound: Nobody logs in to this service with a password.
        """

    async def may_enter(self, service: Service, who: str) -> bool:
        """Say whether a person's account is open."""

    async def sign_out(self, request: Request, service: Service) -> None:
        """End a browser's login at a service."""
