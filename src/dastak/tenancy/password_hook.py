"""Ask a customer's own system whether a password is right: one signed request, in time.

What does not answer refuses nobody: the person is told to try again. `signed_request` says who may be asked.
"""

import asyncio
import logging
from typing import Final

import httpx
import msgspec

from dastak.core.errors import InvalidRequest, Overloaded
from dastak.core.login_settings import LoginSettings
from dastak.core.ports import Ports
from dastak.core.signing_secret import signing
from dastak.tenancy.signed_request import GuardedSender, read_answer

WITHIN_S: Final = 4.0
AT_ONCE_MAX: Final = 50
RETRY_AFTER_S: Final = 5
_ID_OCTETS: Final = 16

log = logging.getLogger("dastak.login")


class _Answer(msgspec.Struct, frozen=True):
    """What the customer's system says."""

    valid: bool


class PasswordHook:
    """Asks, as `LoginPorts.asks_elsewhere` says.

    Args:
        ports: The clock, the entropy, and what opens the secret.
        private: As `GuardedSender` has it.
    """

    def __init__(self, ports: Ports, *, private: bool) -> None:
        self._ports, self._sender = ports, GuardedSender(ports.clock, private=private)
        self._under_way = 0

    async def __call__(self, settings: LoginSettings, username: str, password: str) -> bool | None:
        """Say whether a password is right; None is a refusal that says nothing of name and password.

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

    async def _ask(self, settings: LoginSettings, username: str, password: str) -> bool | None:
        assert settings.check_url is not None
        assert settings.check_secret is not None
        body = msgspec.json.encode({"username": username, "password": password})
        sealed = signing(
            settings.check_secret,
            settings.check_secret_before,
            settings.check_before_until,
            now=self._ports.clock.now(),
        )
        bound = bound_to(settings.service)
        secrets = [self._ports.sealer.unseal(one, bound_to=bound) for one in sealed]
        message_id = f"msg_{self._ports.entropy(_ID_OCTETS).hex()}"
        sent = self._sender.post(settings.check_url, secrets, message_id, body, within_s=WITHIN_S)
        async with sent as answer:
            if answer.status_code in (401, 403):
                return None
            if answer.status_code != httpx.codes.OK:
                raise ValueError("an answer that says nothing")
            return msgspec.json.decode(await read_answer(answer), type=_Answer).valid


def bound_to(service: int) -> bytes:
    """Return what the sealed secret of a service is bound to."""
    return b"login/" + service.to_bytes(8)
