"""Our own caller against the exchange in the box: the signalling and sound of calls, over sockets."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from random import Random

from dastak.core.msisdn import Msisdn
from dastak.simulator.call_faults import CallFate, CallFault
from dastak.simulator.exchange.telephone_exchange import Exchange
from dastak.simulator.exchange.virtual_call import CallState, VirtualCall
from dastak.simulator.faults import Fault, FaultScript
from dastak.voice.sip.call_events import Answered, CallEvent, Ended
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.sip_asking import Callee
from dastak.voice.sip.sip_dialog import SipTrunk
from dastak.voice.sip.sip_digest import Credentials
from dastak.voice.sip.sip_headers import NameAddr
from dastak.voice.sip.sip_sockets import LineSettings
from dastak.voice.sip.sip_transactions import Timing
from dastak.voice.sip.sip_transport import LineCall, SipLine
from dastak.voice.sound.media import Media
from dastak.voice.sound.sdp import Ours, read_answer, write_offer
from tests.support.smpp_pair import soon

NUMBER = Msisdn("+919876543210")
SHOP = NameAddr("sip:+911600100200@shop.example")
MEDIA_PORTS = range(20_000, 29_000)


class Heard:
    """One call of ours: what it was told, and the sound both ways.

    Attributes:
        events: Everything, as it came.
        keys: What the phone pressed.
    """

    def __init__(self, caller: "ExchangeCaller") -> None:
        self.events: list[CallEvent] = []
        self.keys = ""
        self.spoke = asyncio.Event()
        self.leg = caller.media.open(on_key=self._key, on_end=self.spoke.set)
        self.ours = Ours(address="127.0.0.1", port=self.leg.port, session_id=1)
        self.call: LineCall
        self._came = asyncio.Event()

    async def until(self, kind: type[CallEvent]) -> CallEvent:
        """Wait for an event."""
        while (found := next((one for one in self.events if isinstance(one, kind)), None)) is None:
            event = await soon(self.call.events.get())
            self.events.append(event)
            if isinstance(event, Answered):
                self.leg.start(read_answer(event.sdp, self.ours), self.ours)
        return found

    async def ended(self) -> Ended:
        """Wait for its end."""
        ended = await self.until(Ended)
        assert isinstance(ended, Ended)
        self.leg.close()
        return ended

    async def until_keys(self, keys: str) -> None:
        """Wait until the phone has pressed these."""
        async with asyncio.timeout(10):
            while self.keys != keys:
                self._came.clear()
                await self._came.wait()

    def speak(self, frames: Iterable[bytes]) -> None:
        """Say something; `spoke` is set at its end."""
        left = iter(frames)
        self.leg.speak(lambda: next(left, None))

    def hang_up(self) -> None:
        self.call.hang_up(CallOutcome.COMPLETED)

    def _key(self, key: str) -> None:
        self.keys += key
        self._came.set()


class ExchangeCaller:
    """A trunk of ours to an exchange."""

    def __init__(self, exchange: Exchange, line: SipLine, media: Media) -> None:
        self.exchange, self.line, self.media = exchange, line, media

    async def dial(self, number: str = NUMBER) -> Heard:
        """Begin a call."""
        heard = Heard(self)
        uri = f"sip:{number}@127.0.0.1:{self.exchange.address[1]}"
        heard.call = await self.line.call(Callee(uri=uri, caller=SHOP, offer=write_offer(heard.ours)))
        return heard

    async def until(self, state: CallState, number: Msisdn = NUMBER) -> VirtualCall:
        """Wait until the newest call to a phone stands so."""
        async with asyncio.timeout(10):
            while not (calls := self.exchange.calls(number)) or calls[-1].state is not state:
                await self.exchange.changes()
        return calls[-1]

    async def until_logged(self, call: VirtualCall, word: str) -> None:
        """Wait until something stands in the log of a call."""
        async with asyncio.timeout(10):
            while word not in words(call):
                await self.exchange.changes()


def words(call: VirtualCall) -> list[str]:
    """Return the log of a call without its times."""
    return [word for _, word in call.log]


@asynccontextmanager
async def calling(
    *faults: Fault | CallFault | CallFate,
    seed: int = 1,
    transport: str = "UDP",
    password: str = "",
    ring_s: float = 20.0,
    timing: Timing | None = None,
) -> AsyncIterator[ExchangeCaller]:
    """Run an exchange with these faults, and a trunk to it."""
    numbers = itertools.count()
    script = tuple(fault if isinstance(fault, Fault) else Fault(call=fault) for fault in faults)
    exchange = Exchange(
        FaultScript(Random(seed), faults=script),
        lambda _: None,
        username="shop",
        password=password,
        timing=timing,
    )
    async with exchange, Media("127.0.0.1", MEDIA_PORTS) as media:
        settings = LineSettings(
            trunk=SipTrunk(transport=transport, sent_by="", contact="", ring_s=ring_s),
            host="127.0.0.1",
            port=exchange.address[1],
            credentials=Credentials("shop", password) if password else None,
        )
        async with SipLine(settings, lambda: f"{id(exchange):x}{next(numbers)}") as line:
            yield ExchangeCaller(exchange, line, media)
