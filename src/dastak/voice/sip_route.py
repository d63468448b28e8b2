"""The way of calls over one SIP trunk: kept reachable while the context lasts."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from dastak.voice.ivr import Speech
from dastak.voice.prompts import pack
from dastak.voice.sip.sip_sockets import TrunkUnreachable
from dastak.voice.sip.sip_transport import SipLine
from dastak.voice.sip_settings import SipSettings
from dastak.voice.sound.media import Media
from dastak.voice.trunk_line import TrunkLine
from dastak.voice.voice_route import TakeReceipt, TakeStep, VoiceRoute

TOKEN_OCTETS: Final = 12
RETRY_S: Final = 5.0


class SipRoute(VoiceRoute):
    """A `VoiceRoute` that is an async context.

    Args:
        name: Of the carrier.
        settings: Of its trunk.
        take_receipt: Told what came of each call.
        take_step: Told what happens in each.
        speech_of: Returns how a locale is spoken.
    """

    def __init__(
        self,
        name: str,
        settings: SipSettings,
        take_receipt: TakeReceipt,
        *,
        take_step: TakeStep,
        speech_of: Callable[[str], Speech] = pack,
    ) -> None:
        first, last = settings.rtp_ports
        sip = SipLine(settings.line(), lambda: secrets.token_hex(TOKEN_OCTETS))
        self.trunk = TrunkLine(
            sip,
            Media(settings.media_host or "0.0.0.0", range(first, last + 1)),  # noqa: S104 - the trunk's way
            address=settings.media_host,
            domain=settings.domain or settings.host,
            caller=settings.caller,
            callers=settings.callers,
            calls_max=settings.calls_max,
        )
        super().__init__(
            name, self.trunk, speech_of=speech_of, take_receipt=take_receipt, take_step=take_step
        )
        self.reason = "not started"
        self._keeper: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return self.trunk.in_flight

    async def __aenter__(self) -> Self:
        """Begin to reach the trunk."""
        self._keeper = asyncio.get_running_loop().create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up what is under way, and close."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        await self.trunk.__aexit__(kind, error, trace)

    async def _keep(self) -> None:
        while True:
            try:
                await self.trunk.__aenter__()
            except TrunkUnreachable as error:
                self.reason = str(error)
            else:
                self.reason = "the trunk can be reached"
                return
            await asyncio.sleep(RETRY_S)
