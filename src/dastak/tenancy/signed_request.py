"""Send a request, signed where it brings something, to a customer's address: public, checked, in bounds.

1. The host is looked up each time, all its addresses must be public, and the one that was checked is used.
2. No redirect is followed, no proxy of the environment is used, and a long answer is not read.

Source: Standard Webhooks, the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`.
"""

import base64
import hmac
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec

from dastak.core.errors import InvalidRequest
from dastak.core.login_settings import PORTS, SECRET_OCTETS
from dastak.core.ports import Clock
from dastak.core.public_address import is_public
from dastak.tenancy.host_lookup import HostLookup

CONNECT_S: Final = 2.0
ANSWER_OCTETS_MAX: Final = 4 * 1024
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with


class _Place(msgspec.Struct, frozen=True):
    """Where to connect: an address that was checked, and how the host is called."""

    address: str
    host: str
    port: int
    secure: bool


async def read_answer(answer: httpx.Response) -> bytes:
    """Read what a customer's address answers. Raises: ValueError (it is longer than any such answer)."""
    octets = bytearray()
    async for chunk in answer.aiter_raw():
        octets += chunk
        if len(octets) > ANSWER_OCTETS_MAX:
            raise ValueError("an answer that is too long")
    return bytes(octets)


class GuardedSender:
    """Reaches customers' addresses within the laws above: posts JSON with a signature, fetches without one.

    Args:
        clock: Each attempt is signed with its own time.
        private: Whether an address of our own network, another port and plain http will do: of a sandbox, or
            of an operator who is the only customer.
        lookup: Finds the addresses of hosts; by default one of its own.
    """

    def __init__(self, clock: Clock, *, private: bool, lookup: HostLookup | None = None) -> None:
        self._clock, self._private = clock, private
        self._lookup = lookup or HostLookup()
        self._context = ssl.create_default_context()
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)

    def post(
        self, url: str, secrets: Sequence[bytes], message_id: str, body: bytes, *, within_s: float
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """Send a request and give its answer, of which nothing but the head was read.

        Args:
            url: As the customer wrote it.
            secrets: What it is signed with; two while a new one takes the place of the one before it.
            message_id: Of the message: the same one each time it is sent.
            body: JSON.
            within_s: For how long one step may take; the whole is for the caller to bound.

        Raises:
            InvalidRequest: The address is none that may be asked.
            OSError: Its host has no address.
            httpx.HTTPError: Nobody is there, or nobody answers.
        """
        signed = self._signed(secrets, message_id, body)
        head = {**signed, "content-type": "application/json"}
        return self._asked("POST", url, head, body, within_s=within_s)

    def get(self, url: str, *, within_s: float) -> AbstractAsyncContextManager[httpx.Response]:
        """Ask for what stands at an address, unsigned, and give the answer as `post` does."""
        return self._asked("GET", url, {}, None, within_s=within_s)

    @asynccontextmanager
    async def _asked(
        self, method: str, url: str, head: Mapping[str, str], body: bytes | None, *, within_s: float
    ) -> AsyncIterator[httpx.Response]:
        place = await self._find(url)
        address = f"[{place.address}]" if ":" in place.address else place.address
        target = _readable(urlsplit(url)._replace(netloc=f"{address}:{place.port}").geturl())
        shown = place.host if place.port == (443 if place.secure else 80) else f"{place.host}:{place.port}"
        async with (
            httpx.AsyncClient(
                verify=self._context,
                follow_redirects=False,
                trust_env=False,
                timeout=httpx.Timeout(within_s, connect=CONNECT_S),
            ) as client,
            client.stream(
                method,
                target,
                content=body,
                headers={**head, "host": shown, "user-agent": "dastak", "accept-encoding": "identity"},
                extensions={"sni_hostname": place.host},
            ) as answer,
        ):
            yield answer

    async def _find(self, url: str) -> _Place:
        parts = urlsplit(url)
        secure, host = parts.scheme == "https", parts.hostname or ""
        port = parts.port or (443 if secure else 80)
        if not self._private and (not secure or port not in PORTS):
            raise InvalidRequest("Only https, on port 443 or 8443.", field="check_url")
        addresses = await self._lookup.addresses(host, port)
        if not addresses or not (self._private or all(map(is_public, addresses))):
            raise InvalidRequest("The host has an address that is not public.", field="check_url")
        return _Place(addresses[0], host, port, secure)

    def _signed(self, secrets: Sequence[bytes], message_id: str, body: bytes) -> Mapping[str, str]:
        at_s = str(int(self._clock.now().timestamp()))
        return {
            "webhook-id": message_id,
            "webhook-timestamp": at_s,
            "webhook-signature": " ".join(signature(one, message_id, at_s, body) for one in secrets),
        }


def _readable(target: str) -> httpx.URL:
    try:
        return httpx.URL(target)
    except httpx.InvalidURL as error:
        raise InvalidRequest("The address cannot be read.") from error


def signature(secret: bytes, message_id: str, at_s: str, body: bytes) -> str:
    """Return what proves that a request is ours and of now.

    Source: Standard Webhooks, "Signature scheme".
    """
    signed = f"{message_id}.{at_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


def new_secret(entropy: Callable[[int], bytes]) -> tuple[bytes, str]:
    """Make a secret, and how its customer is shown it, this once."""
    secret = entropy(SECRET_OCTETS)
    return secret, SECRET_PREFIX + base64.b64encode(secret).decode()
