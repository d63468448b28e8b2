"""A SIP trunk as a line: each call is dialled by the engine, and its sound goes by RTP.

1. The signalling says who is called and never what is said; the code is in the sound alone.
2. What the network plays before the answer is no answer, and nothing is played into it.
3. A peer may put us on hold and take us back; the announcement waits meanwhile.
"""

import asyncio
import logging
import os
import secrets
from collections.abc import Collection, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

from dastak.core.call_price import TALK_S_MAX
from dastak.core.errors import Overloaded
from dastak.core.outcome import Outcome
from dastak.voice.ivr import Ivr, SpeechOf
from dastak.voice.line import Dial, Hearer, ivr_of
from dastak.voice.prompts import shipped
from dastak.voice.sip.call_events import (
    Answered,
    CallEvent,
    EarlyMedia,
    Ended,
    Key,
    Offered,
    Ringing,
    Settled,
)
from dastak.voice.sip.call_outcomes import OUTCOME_OF, CallOutcome, status_words
from dastak.voice.sip.line_call import LastWords, LineCall
from dastak.voice.sip.sip_asking import Callee
from dastak.voice.sip.sip_headers import MalformedSip, NameAddr
from dastak.voice.sip.sip_sockets import TrunkUnreachable
from dastak.voice.sip.sip_transport import SipLine
from dastak.voice.sound.media import Media
from dastak.voice.sound.media_leg import MediaLeg
from dastak.voice.sound.sdes import new_keys
from dastak.voice.sound.sdp import (
    Audio,
    Ours,
    UnusableSdp,
    agreed,
    read_answer,
    read_offer,
    write_answer,
    write_offer,
)
from dastak.voice.sound.srtp import SrtpUse

log = logging.getLogger("dastak.trunk")


class TrunkLine:
    """A `dastak.voice.line.Line`; `async with` it.

    Args:
        sip: The signalling; opened and closed here.
        media: The sound of all calls.
        address: Where we hear, in digits, as the peer sees it; empty is the address that reaches the trunk.
        domain: What stands behind the number in addresses, mostly the trunk's name.
        caller: The number that phones are shown.
        callers: Others that it allotted, which a call may ask for.
        calls_max: How many calls the contract allows at once.
        talk_s_max: How long a call may last from the answer on; the signalling ends it.
        speech_of: Returns how a locale is spoken.
        srtp: Whether the sound is encrypted.
        symmetric: Whether it follows who sends from elsewhere than the trunk said.
    """

    def __init__(
        self,
        sip: SipLine,
        media: Media,
        *,
        address: str,
        domain: str,
        caller: str,
        calls_max: int,
        callers: Collection[str] = (),
        talk_s_max: float = TALK_S_MAX,
        speech_of: SpeechOf = shipped,
        srtp: SrtpUse = SrtpUse.OFF,
        symmetric: bool = True,
    ) -> None:
        self.calls_max, self.srtp, self.symmetric = calls_max, srtp, symmetric
        self.sip, self.media, self.speech_of = sip, media, speech_of
        self.address, self.domain, self.caller = address, domain, caller
        self.callers, self.talk_s_max = callers, talk_s_max
        self._calls: set[asyncio.Task[None]] = set()
        self._open = False

    async def __aenter__(self) -> Self:
        await self.sip.__aenter__()
        if not self.address:
            self.address = self.sip.local[0]
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up what is under way, and close."""
        self._open = False
        await self.sip.__aexit__(kind, error, trace)
        await self.media.__aexit__(kind, error, trace)
        if self._calls:
            await asyncio.wait(self._calls, timeout=1.0)

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return len(self._calls)

    @property
    def available(self) -> bool:
        """Whether it can ring now."""
        return self._open and self.sip.standing.available

    @property
    def reason(self) -> str:
        """Why the trunk can be called or not, in words."""
        return self.sip.standing.reason

    @property
    def junk(self) -> Mapping[str, int]:
        """How many messages at its SIP port were thrown away without an answer, by reason."""
        return self.sip.junk

    def dial(self, dial: Dial, hearer: Hearer) -> "TrunkLeg":
        """See `Line`."""
        leg = TrunkLeg(self, dial, hearer)
        task = asyncio.get_running_loop().create_task(leg.run())
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return leg


class TrunkLeg:
    """One call over a trunk; a `dastak.voice.line.Leg`."""

    def __init__(self, line: TrunkLine, dial: Dial, hearer: Hearer) -> None:
        self._line, self._dial, self._hearer = line, dial, hearer
        self._rings_until = line.sip.now() + dial.ring_s
        self._call: LineCall | None = None
        self._media: MediaLeg | None = None
        self._ours: Ours | None = None
        self._audio: Audio | None = None
        self._ivr: Ivr | None = None
        self._given_up = False
        self._why_ended = ""
        self._rung = False

    @property
    def last_words(self) -> LastWords | None:
        """See `Leg`."""
        return None if self._call is None else self._call.last_words

    def hang_up(self) -> None:
        """See `Leg`."""
        self._given_up = True
        if self._call is not None:
            self._call.hang_up(CallOutcome.NO_ANSWER if self._audio is None else CallOutcome.COMPLETED)

    async def run(self) -> None:
        """Call, and tell what happens until it is over."""
        try:
            self._media = self._line.media.open(
                on_key=self._key, on_end=self.hang_up, symmetric=self._line.symmetric
            )
            srtp = self._line.srtp
            self._ours = Ours(
                address=self._line.address,
                port=self._media.port,
                session_id=int.from_bytes(secrets.token_bytes(4), "big"),
                cryptos=() if srtp is SrtpUse.OFF else new_keys(os.urandom),
                opportunistic=srtp is SrtpUse.OFFERED,
            )
            self._call = await self._line.sip.call(self._callee(self._ours))
            if self._given_up:
                self.hang_up()
            while not isinstance(event := await self._call.events.get(), Ended):
                self._take(event)
            self._end(event)
        except (TrunkUnreachable, Overloaded) as error:
            self._over(Outcome.NETWORK_TEMPORARY, str(error))
        except MalformedSip:
            self._over(Outcome.ROUTE_CONFIG, "the number or the caller is no SIP address")
        except Exception:
            log.exception("a call over a trunk failed")
            self.hang_up()
            self._over(Outcome.NETWORK_TEMPORARY, "a defect of ours")
        finally:
            if self._media is not None:
                self._media.close()

    def _callee(self, ours: Ours) -> Callee:
        dialled = self._dial.caller
        chosen = not self._line.caller or dialled in self._line.callers
        caller = dialled if chosen else self._line.caller
        return Callee(
            uri=f"sip:{self._dial.msisdn}@{self._line.domain}",
            caller=NameAddr(f"sip:{caller}@{self._line.domain}"),
            offer=write_offer(ours),
            rings_until=self._rings_until,
        )

    def _take(self, event: CallEvent) -> None:
        assert self._media is not None
        match event:
            case Ringing(status):
                self._rung = True
                self._hearer.on_ringing(status_words(status))
            case EarlyMedia() if not self._rung:
                # Many networks say nothing else until the answer.
                self._hearer.on_ringing(status_words(183))
            case Answered(sdp):
                self._answered(sdp)
            case Key(digit):
                self._media.hear_info(f"Signal={digit}".encode())
            case Offered(sdp):
                self._offered(sdp)
            case Settled(sdp):
                self._settled(sdp)
            case _:
                pass

    def _answered(self, sdp: bytes) -> None:
        assert self._media is not None
        assert self._call is not None
        assert self._ours is not None
        try:
            audio = read_answer(sdp, self._ours)
            self._media.start(audio, self._ours)
        except UnusableSdp as error:
            self._why_ended = f"the trunk's answer: {error}"
            self._call.hang_up(CallOutcome.CODEC)
            return
        self._audio, self._ours = audio, agreed(self._ours, audio)
        self._hearer.on_answered(status_words(200))
        script = self._dial.script
        self._ivr = ivr_of(
            script, self._line.speech_of, self._hearer.on_step, talk_s_max=self._line.talk_s_max
        )
        self._media.speak(self._ivr.frame)

    def _key(self, digit: str) -> None:
        if self._ivr is not None:
            self._ivr.key(digit)

    def _offered(self, sdp: bytes) -> None:
        """Answer a re-INVITE: hold, resume, or another place for the sound."""
        assert self._call is not None
        assert self._ours is not None
        ours = replace(self._ours, version=self._ours.version + 1)
        if not sdp:
            self._ours = ours
            self._call.answer_offer(write_offer(ours))
            return
        try:
            audio = read_offer(sdp, ours, in_use=None if self._audio is None else self._audio.codec)
            answer = write_answer(ours, audio)
        except UnusableSdp:
            self._call.answer_offer(None)
            return
        self._ours = ours
        self._call.answer_offer(answer)
        self._change(audio)

    def _settled(self, sdp: bytes) -> None:
        assert self._ours is not None
        try:
            self._change(read_answer(sdp, self._ours))
        except UnusableSdp:
            log.warning("a peer's answer to our offer cannot be used; the sound stays as it was")

    def _change(self, audio: Audio) -> None:
        assert self._media is not None
        assert self._ours is not None
        self._audio = audio
        self._media.change(audio, self._ours)

    def _end(self, ended: Ended) -> None:
        if self._ivr is not None:
            words = "BYE" if ended.outcome is CallOutcome.REMOTE_HANGUP else "our BYE"
        else:
            words = status_words(ended.status) if ended.status else ended.outcome.replace("_", " ")
        words = self._why_ended or words
        detail = words if ended.cause is None else f"{words}, cause {ended.cause}"
        self._over(OUTCOME_OF[ended.outcome], detail)

    def _over(self, outcome: Outcome, detail: str) -> None:
        """Tell the end; of a call that spoke, what came of that counts."""
        self._hearer.on_ended(outcome if self._ivr is None else self._ivr.outcome, detail)
