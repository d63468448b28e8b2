"""Ask a customer's own system whether a password is right: one signed request, to a public address, in time.

1. The host is looked up each time, all its addresses must be public, and the one that was checked is used.
2. No redirect is followed, no proxy of the environment is used, and a long answer is not read.
3. What does not answer refuses nobody: the person is told to try again.

Source: Standard Webhooks, the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`.
"""

import asyncio
import base64
import hmac
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec

from dastak.core.errors import InvalidRequest, Overloaded
from dastak.core.login_settings import SECRET_OCTETS, LoginSettings
from dastak.core.ports import Ports
from dastak.core.public_address import is_public

WITHIN_S: Final = 4.0
CONNECT_S: Final = 2.0
ANSWER_OCTETS_MAX: Final = 4 * 1024
AT_ONCE_MAX: Final = 50
RETRY_AFTER_S: Final = 5
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with
PORTS: Final = (443, 8443)
_ID_OCTETS: Final = 16

log = logging.getLogger("dastak.login")


class _Answer(msgspec.Struct, frozen=True):
    """What the customer's system says."""

    valid: bool


class _Place(msgspec.Struct, frozen=True):
    """Where to connect: an address that was checked, and how the host is called."""

    address: str
    host: str
    port: int
    secure: bool


class PasswordHook:
    """Asks, as `LoginPorts.asks_elsewhere` says.

    Args:
        ports: The clock, the entropy, and what opens the secret.
        private: Whether an address of our own network, another port and plain http will do: of a sandbox, or
            of an operator who is the only customer.
    """

    def __init__(self, ports: Ports, *, private: bool) -> None:
        self._ports, self._private = ports, private
        self._context = ssl.create_default_context()
        self._under_way = 0
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)

    async def __call__(self, settings: LoginSettings, username: str, password: str) -> bool:
        """Say whether a password is right.

        Raises:
            Overloaded: Nobody could be asked, or nobody answered.
        """
        if self._under_way >= AT_ONCE_MAX:
            raise Overloaded("Too many passwords are being asked about.", retry_after_s=RETRY_AFTER_S)
        self._under_way += 1
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._ask(settings, username, password)
        except (TimeoutError, OSError, httpx.HTTPError, ValueError, InvalidRequest) as error:
            log.warning("the password check of service %s failed: %s", settings.service, type(error).__name__)
            raise Overloaded(
                "The system that knows the passwords does not answer.", retry_after_s=RETRY_AFTER_S
            ) from error
        finally:
            self._under_way -= 1

    async def _ask(self, settings: LoginSettings, username: str, password: str) -> bool:
        assert settings.check_url is not None
        assert settings.check_secret is not None
        place = await self._find(settings.check_url)
        body = msgspec.json.encode({"username": username, "password": password})
        secret = self._ports.sealer.unseal(settings.check_secret, bound_to=bound_to(settings.service))
        signed = self._signed(secret, body)
        parts = urlsplit(settings.check_url)
        address = f"[{place.address}]" if ":" in place.address else place.address
        target = parts._replace(netloc=f"{address}:{place.port}").geturl()
        shown = place.host if place.port == (443 if place.secure else 80) else f"{place.host}:{place.port}"
        async with (
            httpx.AsyncClient(
                verify=self._context,
                follow_redirects=False,
                trust_env=False,
                timeout=httpx.Timeout(WITHIN_S, connect=CONNECT_S),
            ) as client,
            client.stream(
                "POST",
                target,
                content=body,
                headers={**signed, "host": shown, "content-type": "application/json"},
                extensions={"sni_hostname": place.host},
            ) as answer,
        ):
            if answer.status_code in (401, 403):
                return False
            if answer.status_code != httpx.codes.OK:
                raise ValueError("an answer that says nothing")
            return msgspec.json.decode(await _read(answer), type=_Answer).valid

    async def _find(self, url: str) -> _Place:
        parts = urlsplit(url)
        secure, host = parts.scheme == "https", parts.hostname or ""
        port = parts.port or (443 if secure else 80)
        if not self._private and (not secure or port not in PORTS):
            raise InvalidRequest("Only https, on port 443 or 8443.", field="check_url")
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not (self._private or all(map(is_public, addresses))):
            raise InvalidRequest("The host has an address that is not public.", field="check_url")
        return _Place(addresses[0], host, port, secure)

    def _signed(self, secret: bytes, body: bytes) -> Mapping[str, str]:
        message_id = f"msg_{self._ports.entropy(_ID_OCTETS).hex()}"
        at_s = str(int(self._ports.clock.now().timestamp()))
        return {
            "webhook-id": message_id,
            "webhook-timestamp": at_s,
            "webhook-signature": signature(secret, message_id, at_s, body),
            "user-agent": "dastak",
            "accept-encoding": "identity",
        }


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


def bound_to(service: int) -> bytes:
    """Return what the sealed secret of a service is bound to."""
    return b"login/" + service.to_bytes(8)


async def _read(answer: httpx.Response) -> bytes:
    octets = bytearray()
    async for chunk in answer.aiter_raw():
        octets += chunk
        if len(octets) > ANSWER_OCTETS_MAX:
            raise ValueError("an answer that is too long")
    return bytes(octets)
