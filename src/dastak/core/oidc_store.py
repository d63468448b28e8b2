"""Where clients of OpenID Connect and what they were given are written down, as the pages see it."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from dastak.core.lockout import Tally
from dastak.core.msisdn import Msisdn
from dastak.core.oidc import Client, Exchange, Grant, HeldToken, Token, Visit
from dastak.core.oidc_keys import SigningKey
from dastak.core.ports import Once
from dastak.core.tenant import Mode

Keys = tuple[SigningKey, ...]


class OidcStore(Protocol):
    """The clients, visits, grants and keys in the database; it raises `Overloaded` as `Store` does."""

    async def clients(self, tenant: int) -> tuple[Client, ...]:
        """Return a tenant's clients, oldest first."""

    async def client(self, client_id: str) -> Client | None:
        """Return a client by its `client_id`."""

    async def client_numbered(self, n: int) -> Client | None:
        """Return a client by its number in the store."""

    async def put_client(self, client: Client, *, once: Once | None = None) -> Client:
        """Insert (n=0) or replace a client.

        Raises:
            Conflict: The tenant has as many as it may have, or `once` was answered meanwhile.
            NotFound: It was removed meanwhile.
        """

    async def remove_client(self, client: Client, *, once: Once | None = None) -> Client:
        """Delete a client with everything it was given. Raises: NotFound, Conflict as above."""

    async def visit(self, digest: bytes) -> Visit | None:
        """Return what a browser's cookie stands for."""

    async def put_visit(self, visit: Visit, *, instead_of: bytes | None = None) -> None:
        """Write a visit; the one it comes after is deleted in the same commit."""

    async def end_visit(self, digest: bytes, *, now: datetime) -> None:
        """Delete a visit, and revoke what clients were given in it; `offline_access` outlives it."""

    async def open_grant(self, grant: Grant, code: Token) -> None:
        """Write a grant with its code."""

    async def token(self, digest: bytes) -> HeldToken | None:
        """Return a token with its grant."""

    async def exchange(
        self, digest: bytes, rule: Callable[[HeldToken], Exchange], *, now: datetime
    ) -> tuple[HeldToken, Exchange] | None:
        """Run a rule on a token while nobody else can use it, and write what it decides.

        Returns:
            What the rule saw and what it decided; None if there is no such token.
        """

    async def tally(self, tenant: int, mode: Mode, msisdn: Msisdn) -> Tally:
        """Return the wrong attempts of a number, which may lock it; those of test keys are counted apart."""

    async def consented(self, client: int, subject: str) -> frozenset[str]:
        """Return the scopes that a person agreed to."""

    async def keep_consent(self, client: int, subject: str, scopes: frozenset[str], *, now: datetime) -> None:
        """Note that a person agreed to these scopes."""

    async def signing_keys(self) -> Keys:
        """Return all signing keys, oldest first."""

    async def move_signing_keys(self, rule: Callable[[Keys], Keys], *, once: Once | None = None) -> Keys:
        """Run a rule on the signing keys while nobody else can change them, and return what was written."""

    async def subject_seed(self, fresh: bytes) -> bytes:
        """Return the sealed secret that names of people are made with; the first `fresh` is kept for ever."""
