"""A SIP trunk as a line over the library baresip-python: the way out where a trunk dislikes our own engine.

1. The library signals and sends by threads of its own; its sound is fed from the script, a few frames ahead.
2. What it tells of a call may come before it has given us the call, so that events are kept by its handle.
3. A peer cannot have us call somebody else (REFER), and nobody can call us.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from dastak.core.outcome import Outcome
from dastak.voice.baresip_stack import BARESIP_STACK, BaresipStack, BaresipTrouble, StackPlace
from dastak.voice.ivr import Ivr, SpeechOf
from dastak.voice.line import Dial, Hearer, ivr_of
from dastak.voice.prompts import shipped
from dastak.voice.sip.call_outcomes import (
    NO_OVERRIDES,
    OUTCOME_OF,
    CallOutcome,
    Overrides,
    call_outcome,
    read_overrides,
    status_words,
)
from dastak.voice.sip.sip_asking import expires_after
from dastak.voice.sip.sip_sockets import is_address
from dastak.voice.sip_settings import SipSettings
from dastak.voice.sound.g711 import FRAME_MS, FRAME_OCTETS, ulaw_to_pcm

FRAME_S: Final = FRAME_MS / 1_000
# Three frames of 16-bit samples wait for the library's clock: less is heard as a gap, more as a late answer.
AHEAD_OCTETS: Final = 3 * FRAME_OCTETS * 2
_HANG_UP_S_MAX: Final = 0.4
# For the trunk's answers to CANCEL and BYE, which the library acknowledges and does not tell of.
_FAREWELL_S: Final = 0.4
_EARLY_EVENTS_MAX: Final = 1_000

_STATUS: Final = re.compile(r"([3-6][0-9]{2})(?![0-9])", re.ASCII)
_CAUSE: Final = re.compile(r"cause=([0-9]{1,3})(?![0-9])", re.ASCII | re.IGNORECASE)

log = logging.getLogger("dastak.trunk")


class CallEnd(NamedTuple):
    """How a call ended, and the trunk's own word for it."""

    outcome: CallOutcome
    words: str


def closed(text: str, overrides: Overrides = NO_OVERRIDES) -> CallEnd:
    """Return how a call ended that was not answered.

    Args:
        text: What the library says of it: status, words and cause in one, or an error of the network.
        overrides: Those of the trunk.
    """
    if (status := _STATUS.match(text)) is None:
        return CallEnd(CallOutcome.UNREACHABLE, "no answer of the trunk")
    found = _CAUSE.search(text)
    cause = int(found[1]) if found else None
    words = status_words(int(status[1])) + ("" if cause is None else f", cause {cause}")
    return CallEnd(call_outcome(int(status[1]), cause, overrides), words)


class BaresipLine:
    """A `dastak.voice.line.Line`; `async with` it.

    Args:
        settings: Of the trunk, with `adapter = "baresip"`.
        speech_of: Returns how a locale is spoken.
        stack: The runtime of the process.
    """

    def __init__(
        self,
        settings: SipSettings,
        *,
        speech_of: SpeechOf = shipped,
        stack: BaresipStack = BARESIP_STACK,
    ) -> None:
        self.settings, self.speech_of = settings, speech_of
        self.calls_max = settings.calls_max
        self.overrides = read_overrides(settings.outcomes)
        self.heard_s = settings.silence_s + settings.progress_s
        self._stack, self._runtime = stack, None
        self._agents: dict[str, Any] = {}
        self._legs: dict[BaresipLeg, asyncio.Task[None]] = {}
        self._rejecting: set[asyncio.Task[None]] = set()
        self._by_handle: dict[int, BaresipLeg] = {}
        self._early: list[Any] = []
        self._dialling = 0

    async def __aenter__(self) -> Self:
        """Start the library, or share it.

        Raises:
            BaresipTrouble: It does not start, or does not take the trunk.
        """
        import baresip  # noqa: PLC0415 - an extra, and large

        settings = self.settings
        own = settings.media_host or ("127.0.0.1" if settings.host.startswith("127.") else "")
        runtime: Any = await self._stack.join(StackPlace(own, settings.rtp_ports))
        try:
            for caller in (settings.caller, *settings.callers):
                agent = await baresip.UserAgent.create(
                    runtime, self._account(caller), transfer_policy="reject"
                )
                agent.on_incoming(self._reject)
                self._agents[caller] = agent
        except (baresip.BaresipError, ValueError) as error:
            await self._stack.leave()
            # The library's words may show the account.
            raise BaresipTrouble(f"baresip does not take the trunk: {type(error).__name__}") from error
        except BaseException:
            await self._stack.leave()
            raise
        runtime.subscribe(self._take)
        self._runtime = runtime
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up what is under way, and leave the library."""
        runtime: Any = self._runtime
        self._runtime = None
        if runtime is None:
            return
        for leg in self._legs:
            leg.hang_up()
        if self._legs:
            await asyncio.wait(self._legs.values(), timeout=_HANG_UP_S_MAX)
            await asyncio.sleep(_FAREWELL_S)
        runtime.unsubscribe(self._take)
        await self._stack.leave()

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return len(self._legs)

    @property
    def available(self) -> bool:
        """Whether it can ring now."""
        return self._runtime is not None and not self._stack.died.is_set()

    @property
    def died(self) -> asyncio.Event:
        """Set when the library cannot call any more."""
        return self._stack.died

    @property
    def domain(self) -> str:
        """What stands behind numbers in addresses."""
        return self.settings.domain or _place(self.settings)

    def dial(self, dial: Dial, hearer: Hearer) -> "BaresipLeg":
        """See `Line`."""
        leg = BaresipLeg(self, dial, hearer)
        task = asyncio.get_running_loop().create_task(leg.run())
        self._legs[leg] = task
        task.add_done_callback(lambda _done: self._legs.pop(leg, None))
        return leg

    async def begin(self, leg: "BaresipLeg", dial: Dial) -> Any:
        """Send the INVITE; what is told of the call goes to the leg."""
        caller = dial.caller if dial.caller in self._agents else self.settings.caller
        headers = dict([expires_after(leg.ring_s)])
        if self.settings.assert_identity:
            headers["P-Asserted-Identity"] = f"<sip:{caller}@{self.domain}>"
        uri = f"sip:{dial.msisdn}@{self.domain};transport={self.settings.transport}"
        self._dialling += 1
        try:
            call = await self._agents[caller].dial(uri, headers)
        finally:
            self._dialling -= 1
        self._by_handle[call.handle] = leg
        for event in self._early:
            if event.call == call.handle:
                leg.events.put_nowait(event)
        if not self._dialling:
            self._early.clear()
        return call

    def forget(self, call: Any) -> None:
        """Take what is told of a call no more."""
        self._by_handle.pop(call.handle, None)

    def _take(self, event: Any) -> None:
        if (leg := self._by_handle.get(event.call)) is not None:
            leg.events.put_nowait(event)
        elif event.call and self._dialling and len(self._early) < _EARLY_EVENTS_MAX:
            self._early.append(event)

    def _reject(self, call: Any) -> None:
        task = asyncio.get_running_loop().create_task(_end(call, call.reject))
        self._rejecting.add(task)
        task.add_done_callback(self._rejecting.discard)

    def _account(self, caller: str) -> Any:
        import baresip  # noqa: PLC0415 - as above

        settings = self.settings
        through = settings.outbound_proxy or (_place(settings) if settings.domain else "")
        if through == self.domain:
            through = ""
        return baresip.Account(
            user=caller,
            domain=self.domain,
            password=settings.password,
            registrar=f"sip:{through};transport={settings.transport}" if through else None,
            reg_interval=0,
            transport=settings.transport,
            auth_user=settings.username or None,
        )


class BaresipLeg:
    """One call; a `dastak.voice.line.Leg`.

    Attributes:
        ring_s: How long it may ring.
        events: What the library tells of it, and what we want of it ourselves (`CallEnd`).
        last_words: None; the library keeps to itself how a call would be ended.
    """

    last_words: None = None

    def __init__(self, line: BaresipLine, dial: Dial, hearer: Hearer) -> None:
        self._line, self._dial, self._hearer = line, dial, hearer
        self.ring_s = min(line.settings.ring_s, dial.ring_s)
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self._ivr: Ivr | None = None
        self._rung = False
        self._speaking: asyncio.Task[None] | None = None

    def hang_up(self) -> None:
        """See `Leg`."""
        self._want(CallOutcome.NO_ANSWER, "our BYE" if self._ivr else "our CANCEL")

    async def run(self) -> None:
        """Call, and tell what happens until it is over."""
        import baresip  # noqa: PLC0415 - as above

        loop = asyncio.get_running_loop()
        clocks = [
            loop.call_later(self._line.heard_s, self._unheard),
            loop.call_later(self.ring_s, self._ring_out),
            loop.call_later(self.ring_s + self._line.settings.talk_s, self.hang_up),
        ]
        call = None
        try:
            call = await self._line.begin(self, self._dial)
            end = await self._until_over(call)
        except (baresip.BaresipError, ValueError) as error:
            # The library's words may show the number.
            end = CallEnd(CallOutcome.UNREACHABLE, f"baresip: {type(error).__name__}")
        except Exception:
            log.exception("a call over baresip failed")
            end = CallEnd(CallOutcome.FAILED, "a defect of ours")
        finally:
            for clock in clocks:
                clock.cancel()
            if self._speaking is not None:
                self._speaking.cancel()
            if call is not None:
                self._line.forget(call)
                # Nothing happens where it is over already.
                await _end(call, call.hangup)
        outcome: Outcome = OUTCOME_OF[end.outcome] if self._ivr is None else self._ivr.outcome
        self._hearer.on_ended(outcome, end.words)

    async def _until_over(self, call: Any) -> CallEnd:
        while True:
            event = await self.events.get()
            if isinstance(event, CallEnd):
                return event
            match event.event.name:
                case "CALL_RINGING" | "CALL_PROGRESS" if not self._rung:
                    self._rung = True
                    self._hearer.on_ringing(status_words(180 if event.event.name == "CALL_RINGING" else 183))
                case "CALL_ESTABLISHED" if self._ivr is None:
                    self._answered(call)
                case "CALL_DTMF_START" if self._ivr is not None and event.text:
                    self._ivr.key(event.text)
                case "CALL_CLOSED" if self._ivr is not None:
                    return CallEnd(CallOutcome.REMOTE_HANGUP, "BYE")
                case "CALL_CLOSED":
                    return closed(event.text or "", self._line.overrides)
                case _:
                    pass

    def _answered(self, call: Any) -> None:
        self._hearer.on_answered(status_words(200))
        self._ivr = ivr_of(
            self._dial.script,
            self._line.speech_of,
            self._hearer.on_step,
            talk_s_max=self._line.settings.talk_s,
        )
        self._speaking = asyncio.get_running_loop().create_task(self._speak(call.audio, self._ivr))

    async def _speak(self, audio: Any, ivr: Ivr) -> None:
        """Keep the library a few frames ahead; while it takes none, as on hold, the script waits."""
        import baresip  # noqa: PLC0415 - as above

        said, waiting = False, b""
        try:
            while True:
                try:
                    info = audio.info()
                    ahead = info.tx_buffered if info.tx_ready else AHEAD_OCTETS
                    if said and not ahead:
                        break
                    while not said and ahead < AHEAD_OCTETS:
                        if not waiting:
                            frame = ivr.frame()
                            said, waiting = frame is None, ulaw_to_pcm(frame or b"")
                        taken = audio.write(waiting)
                        ahead += taken
                        waiting = waiting[taken:]
                        if waiting:
                            break
                except (baresip.AudioNotActive, baresip.AudioRestarted):
                    # Just after the answer, and after a hold, its streams are on their way.
                    pass
                await asyncio.sleep(FRAME_S)
            self._want(CallOutcome.COMPLETED, "our BYE")
        except Exception:
            log.exception("a call over baresip could not be spoken")
            self._want(CallOutcome.FAILED, "a defect of ours")

    def _unheard(self) -> None:
        if not self._rung and self._ivr is None:
            self._want(CallOutcome.UNREACHABLE, "no answer of the trunk")

    def _ring_out(self) -> None:
        if self._ivr is None:
            self._want(CallOutcome.NO_ANSWER, "no answer")

    def _want(self, outcome: CallOutcome, words: str) -> None:
        self.events.put_nowait(CallEnd(outcome, words))


async def _end(call: Any, how: Callable[[], Any]) -> None:
    import baresip  # noqa: PLC0415 - as above

    if call.state is not baresip.CallState.CLOSED:
        try:
            await how()
        except baresip.BaresipError:
            log.debug("a call of baresip was over already")


def _place(settings: SipSettings) -> str:
    host = settings.host
    if ":" in host and is_address(host):
        host = f"[{host}]"
    return host if settings.port is None else f"{host}:{settings.port}"
