"""Calls over a trunk line of ours with nothing above it: dialled with a code, and telling what happens."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.voice.ivr import SpeechOf, Step
from dastak.voice.line import Dial, Script
from dastak.voice.prompts import shipped
from dastak.voice.sip.sip_dialog import SipTrunk
from dastak.voice.sip.sip_digest import Credentials
from dastak.voice.sip.sip_sockets import LineSettings
from dastak.voice.sip.sip_transactions import Timing
from dastak.voice.sip.sip_transport import SipLine
from dastak.voice.sound.media import Media
from dastak.voice.trunk_line import TrunkLine
from tests.support.rtp_phone import WAIT_S

CALLEE: Final = Msisdn("+919876543210")
GATE: Final = "4"
# Below the ports that the system gives away by itself; pairs in use are passed over.
PORTS: Final = range(20_000, 30_000)


class SpokenCall:
    """What a call tells; a `Hearer`.

    Attributes:
        told: Everything: `ringing`, `answered`, steps of what is said, and how it ended.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self.outcome: Outcome | None = None
        self.detail = ""
        self._moved = asyncio.Event()

    def on_ringing(self, detail: str) -> None:
        self._tell("ringing")

    def on_answered(self, detail: str) -> None:
        self._tell("answered")

    def on_step(self, step: Step, typed: str) -> None:
        self._tell(str(step))

    def on_ended(self, outcome: Outcome, detail: str) -> None:
        self.outcome, self.detail = outcome, detail
        self._tell("ended")

    async def tells(self, what: str, *, within_s: float = WAIT_S * 3) -> None:
        """Wait until it has told this."""
        async with asyncio.timeout(within_s):
            while what not in self.told:
                self._moved.clear()
                await self._moved.wait()

    async def ends(self) -> Outcome:
        """Wait for its end, and return what came of it."""
        await self.tells("ended")
        assert self.outcome is not None
        return self.outcome

    def _tell(self, what: str) -> None:
        self.told.append(what)
        self._moved.set()


class SpokenCalls:
    """A line that dials them."""

    def __init__(self, line: TrunkLine) -> None:
        self.line = line

    def dial(self, code: str = "471102", *, gate: str = GATE, locale: str = "en", to: str = "") -> SpokenCall:
        """Call somebody, and speak the code to whoever presses the gate."""
        call = SpokenCall()
        script = Script(locale=locale, gate=gate, code=code)
        self.line.dial(Dial(Msisdn(to) if to else CALLEE, "+911600123456", 25.0, script), call)
        return call


@asynccontextmanager
async def spoken_calls(
    port: int,
    *,
    transport: str = "UDP",
    speech_of: SpeechOf = shipped,
    calls_max: int = 500,
    **trunk: Any,
) -> AsyncIterator[SpokenCalls]:
    """Open a line to a trunk on this machine; further settings are those of `SipTrunk`."""
    wanted: dict[str, Any] = {
        "transport": transport,
        "sent_by": "set.by.the.line",
        "contact": "sip:set.by.the.line",
        "timing": Timing(silence_s=5.0),
    }
    settings = LineSettings(
        trunk=SipTrunk(**(wanted | trunk)),
        host="127.0.0.1",
        port=port,
        credentials=Credentials("shop", "secret"),
    )
    line = TrunkLine(
        SipLine(settings, lambda: secrets.token_hex(12)),
        Media("127.0.0.1", PORTS),
        address="",
        domain=f"127.0.0.1:{port}",
        caller="+911600123456",
        calls_max=calls_max,
        speech_of=speech_of,
    )
    async with line:
        yield SpokenCalls(line)
