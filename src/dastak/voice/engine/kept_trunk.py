"""One trunk in the voice process: opened, tried again where it cannot be reached, and its state told."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from dastak.voice.baresip_line import BaresipLine
from dastak.voice.baresip_stack import BaresipTrouble
from dastak.voice.ivr import SpeechOf
from dastak.voice.line import Line
from dastak.voice.sip.sip_sockets import TrunkUnreachable
from dastak.voice.sip.sip_transport import SipLine
from dastak.voice.sip_settings import SipSettings
from dastak.voice.sound.media import Media
from dastak.voice.trunk_line import TrunkLine

TOKEN_OCTETS: Final = 12
RETRY_S: Final = 5.0


class Kept(Protocol):
    """A trunk that is kept open, by whichever engine."""

    @property
    def line(self) -> Line:
        """What rings phones."""

    def take_junk(self) -> dict[str, int]:
        """Return how much junk came to its SIP port since this was last asked, by reason."""

    async def close(self) -> None:
        """Hang up what is under way, and leave the trunk."""


def keep_trunk(settings: SipSettings, *, speech_of: SpeechOf, tell: Callable[[bool, str], None]) -> Kept:
    """Return a trunk that is kept by the engine of its settings; for the rest see `KeptTrunk`."""
    kind = KeptBaresip if settings.adapter == "baresip" else KeptTrunk
    return kind(settings, speech_of=speech_of, tell=tell)


class KeptTrunk:
    """A trunk of our own engine, from when it is wanted until `close`.

    Args:
        settings: Of the trunk.
        speech_of: Returns how a locale is spoken.
        tell: Told whether it can be called, and why, at each change.

    Attributes:
        line: What rings phones.

    Raises:
        OSError: Its TLS files cannot be used.
    """

    def __init__(
        self,
        settings: SipSettings,
        *,
        speech_of: SpeechOf,
        tell: Callable[[bool, str], None],
    ) -> None:
        first, last = settings.rtp_ports
        sip = SipLine(settings.line(), lambda: secrets.token_hex(TOKEN_OCTETS))
        self.line = TrunkLine(
            sip,
            Media(settings.media_host or "0.0.0.0", range(first, last + 1)),  # noqa: S104 - the trunk's way
            address=settings.media_host,
            domain=settings.domain or settings.host,
            caller=settings.caller,
            callers=settings.callers,
            calls_max=settings.calls_max,
            talk_s_max=settings.talk_s,
            speech_of=speech_of,
            srtp=settings.srtp,
            symmetric=settings.symmetric,
        )
        self._tell = tell
        self._junk: Counter[str] = Counter()
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    def take_junk(self) -> dict[str, int]:
        """Return how much junk came to its SIP port since this was last asked, by reason."""
        now = Counter(self.line.junk)
        more, self._junk = now - self._junk, now
        return dict(more)

    async def close(self) -> None:
        """Hang up what is under way, and leave the trunk."""
        await _leave(self.line, self._keeper)

    async def _keep(self) -> None:
        await _reach(self.line, self._tell, TrunkUnreachable)
        while True:
            self._tell(*self.line.sip.standing)
            await self.line.sip.changes()


class KeptBaresip:
    """A trunk by the library baresip-python; arguments as those of `KeptTrunk`."""

    def __init__(
        self,
        settings: SipSettings,
        *,
        speech_of: SpeechOf,
        tell: Callable[[bool, str], None],
    ) -> None:
        self.line = BaresipLine(settings, speech_of=speech_of)
        self._tell = tell
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    def take_junk(self) -> dict[str, int]:
        """Return nothing: the library does not count it."""
        return {}

    async def close(self) -> None:
        """Hang up what is under way, and leave the trunk."""
        await _leave(self.line, self._keeper)

    async def _keep(self) -> None:
        await _reach(self.line, self._tell, BaresipTrouble)
        self._tell(True, "baresip is ready; the trunk is not asked whether it is there")
        await self.line.died.wait()
        self._tell(False, "baresip died: restart the service, or set adapter=dastak")


async def _reach(
    line: TrunkLine | BaresipLine, tell: Callable[[bool, str], None], trouble: type[Exception]
) -> None:
    """Open a line, again and again until it can be reached; tell why it cannot."""
    while True:
        try:
            await line.__aenter__()
        except trouble as error:
            tell(False, str(error))
            await asyncio.sleep(RETRY_S)
        else:
            return


async def _leave(line: TrunkLine | BaresipLine, keeper: asyncio.Task[None]) -> None:
    keeper.cancel()
    with suppress(asyncio.CancelledError):
        await keeper
    await line.__aexit__(None, None, None)
