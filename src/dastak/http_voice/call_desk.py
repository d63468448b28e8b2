"""The calls of one carrier that are under way, and what their vendor may fetch and tell of them.

1. Every address of a call has two secrets in it, the carrier's and the call's; it counts for one fetch, in
   order, while the code lives, and only with the vendor's signature where it signs.
2. Whoever comes with another one gets nothing, and is counted.
3. What came of a call is told once, as soon as its id is known.
4. Only the node that made a call knows it: its name for the proxy stands before the secret of the call.
"""

import asyncio
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime
from typing import Final

from dastak.core.errors import NotFound
from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey, Receipt
from dastak.core.outcome import Outcome
from dastak.core.way_out import Outgoing
from dastak.http_carriers.hook_proof import Hook
from dastak.http_carriers.http_route import Callback
from dastak.http_voice.call_markup import Page
from dastak.http_voice.call_settings import CallCarrier
from dastak.http_voice.call_status import CallReport, Phase, is_vendors, keys_in, read_status, text_in
from dastak.http_voice.call_under_way import CallUnderWay
from dastak.http_voice.call_words import Voice, words_of
from dastak.voice.ivr import SpeechOf
from dastak.voice.prompts import LAST_RESORT

TOKEN_OCTETS: Final = 24
# From the request to the last word at the latest, ringing included; after that its addresses are gone.
CALL_S_MAX: Final = 140.0
OVER_MAX: Final = 1_000
# Where a vendor that fetches its text repeats our word for the call.
TEXT_CALL: Final = ("CustomField",)
WITHOUT_GATE: Final = "without a digit before the code"

TakeReceipt = Callable[[Receipt, Callable[[bool], None]], None]
TakeStep = Callable[[MessageKey, str, str], None]


class CallDesk:
    """The calls of one carrier.

    Args:
        name: Of its route.
        carrier: Settings and profile.
        callback: Where the vendor reaches us.
        take_receipt: Told what came of each call.
        take_step: Told what happens in each.
        speech_of: Returns our recordings of a language.
        chance: Draws the digit that each call asks for, below the given number.

    Attributes:
        refused: How often somebody got nothing, by the reason.
    """

    def __init__(
        self,
        name: str,
        carrier: CallCarrier,
        callback: Callback,
        *,
        take_receipt: TakeReceipt,
        take_step: TakeStep,
        speech_of: SpeechOf,
        chance: Callable[[int], int],
    ) -> None:
        self.name, self.carrier, self.callback = name, carrier, callback
        self.refused: Counter[str] = Counter()
        self._take_receipt, self._take_step = take_receipt, take_step
        self._speech_of, self._chance = speech_of, chance
        self._calls: dict[str, CallUnderWay] = {}
        self._of: dict[VerificationId, tuple[CallUnderWay, ...]] = {}
        # What their vendor still tells of them is known already.
        self._lately_over: deque[str] = deque(maxlen=OVER_MAX)

    def __len__(self) -> int:
        """How many calls are under way."""
        return len(self._calls)

    @property
    def calls(self) -> tuple[CallUnderWay, ...]:
        """The calls under way."""
        return tuple(self._calls.values())

    def of(self, verification: VerificationId) -> tuple[CallUnderWay, ...]:
        """Return the calls of a verification that are under way: another one may have been asked for."""
        return self._of.get(verification, ())

    def knows(self, token: str) -> bool:
        """Say whether a call of this token is under way here."""
        return token in self._calls

    def begin(self, outgoing: Outgoing) -> CallUnderWay:
        """Open the addresses of a call; they close with its code, or when it is over."""
        at = f"{self.callback.node}." if self.callback.node else ""
        token = at + secrets.token_urlsafe(TOKEN_OCTETS)
        language, voice = self._tongue(outgoing.locale)
        life_s = min(CALL_S_MAX, float(outgoing.validity_s))
        call = CallUnderWay(
            token,
            outgoing,
            ends_s=time.monotonic() + life_s,
            gate=str(self._chance(10)),
            url=f"{self.callback.url}/calls/{token}",
            language=language,
            voice=voice,
            speech_of=self._speech_of,
            tell=lambda step, detail: self._take_step(outgoing.key, step, detail),
        )
        self._calls[token] = call
        self._of[outgoing.key.verification] = (*self.of(outgoing.key.verification), call)
        call.timer = asyncio.get_running_loop().call_later(life_s, self._time_out, call)
        return call

    def named(self, call: CallUnderWay, ref: str) -> CarrierRef:
        """Note the vendor's id of a call; what came of it may be told from now on."""
        call.ref = CarrierRef(self.name, ref)
        self._flush(call)
        return call.ref

    def forget(self, call: CallUnderWay) -> None:
        """Close the addresses of a call."""
        call.timer.cancel()
        if self._calls.pop(call.token, None) is not None:
            self._lately_over.append(call.token)
        of = call.outgoing.key.verification
        self._of[of] = tuple(other for other in self.of(of) if other is not call)
        if not self._of[of]:
            del self._of[of]

    def admit(self, secret: str) -> None:
        """Let pass who knows the carrier's secret. Raises: NotFound."""
        if not self.callback.admits(secret):
            raise self._refuse("stranger")

    def page(self, hook: Hook, token: str, number: int, *, now: datetime) -> Page:
        """Return what a call says next.

        Raises:
            NotFound: This may not be fetched, or not now, or not by whoever asks.
            MalformedRequest: It cannot be read.
        """
        call = self._call(token)
        markup = self.carrier.profile.markup
        self._prove(hook, now)
        if markup is None or not call.is_next(number):
            raise self._refuse("replayed")
        self._hear_ref(call, hook)
        page = call.page(markup, keys_in(self.carrier.profile.keys, hook))
        if call.script.over:
            self._settle(call, call.outcome(None), "said")
        return page

    def sound(self, token: str, number: int, part: str) -> bytes:
        """Return one of our recordings for a call. Raises: NotFound."""
        sound = self._call(token).sound(number, part)
        if sound is None:
            raise self._refuse("replayed")
        return sound

    def text(self, hook: Hook, *, now: datetime) -> str:
        """Return the whole text of a call, for a vendor that fetches it once. Raises: NotFound."""
        self._prove(hook, now)
        sid = text_in((self.carrier.profile.status.ref,), hook)
        named = (call.token for call in self.calls if call.ref and call.ref.ref == sid)
        call = self._call(text_in(TEXT_CALL, hook) or next(named, ""))
        if not self.carrier.profile.fetches_text or call.text_fetched or call.why_ended:
            raise self._refuse("replayed")
        self._hear_ref(call, hook)
        call.reaches(Phase.ANSWERED, WITHOUT_GATE)
        call.text_fetched = True
        return call.text()

    def status(self, hook: Hook, token: str, *, now: datetime) -> tuple[Receipt, ...]:
        """Take what the vendor tells of a call, and return what is to be settled for it.

        Raises:
            NotFound: It is not the vendor's.
            MalformedRequest: It cannot be read.
        """
        self._prove(hook, now)
        profile, own = self.carrier.profile, self.carrier.settings.outcomes
        call = self._calls.get(token)
        if call is None and token in self._lately_over:
            return ()
        receipts = []
        for report in read_status(profile.status, own, hook):
            if call is not None:
                self._hear(call, report)
            elif report.outcome is not None and report.phase is Phase.ENDED and report.ref:
                # Of before a restart: never answered, so its word is enough.
                ref = CarrierRef(self.name, report.ref)
                receipts.append(Receipt(ref, report.outcome, f"call:{report.word}"))
        return tuple(receipts)

    def _hear(self, call: CallUnderWay, report: CallReport) -> None:
        """Take one thing that the vendor tells of a call under way."""
        call.heard_ref = call.heard_ref or report.ref
        call.machine = report.machine or call.machine
        if report.phase is not Phase.ENDED:
            call.reaches(report.phase, report.word)
            return
        if call.phase is Phase.ENDED:
            return
        outcome = call.outcome(report.outcome)
        evidence = call.why_ended or report.word
        unsaid = self.carrier.profile.gated and not call.script.begun and not call.why_ended
        if report.outcome is None and unsaid:
            evidence += "; it did not fetch what to say"
        call.reaches(Phase.ENDED, "")
        self._take_step(call.outgoing.key, "hung_up", evidence)
        self._settle(call, outcome, evidence)
        if call.ref is not None:
            self.forget(call)

    def _settle(self, call: CallUnderWay, outcome: Outcome, evidence: str) -> None:
        """Tell what came of a call, once; as soon as its id is known."""
        if call.settled or call.came_of_it is not None:
            return
        hint = f" machine:{call.machine}" if call.machine else ""
        gate = "" if self.carrier.profile.gated else f" ({WITHOUT_GATE})"
        call.came_of_it = (outcome, f"call:{evidence}{hint}{gate}")
        if call.ref is not None:
            self._flush(call)

    def _flush(self, call: CallUnderWay) -> None:
        if call.came_of_it is None or call.ref is None or call.settled:
            return
        call.settled = True
        outcome, evidence = call.came_of_it
        self._take_receipt(Receipt(call.ref, outcome, evidence, answered_s=call.answered_s), _nobody)
        if call.phase is Phase.ENDED:
            self.forget(call)

    def _time_out(self, call: CallUnderWay) -> None:
        """Close the addresses of a call; what was said of it by then is what came of it."""
        if call.script.begun or call.why_ended:
            self._settle(call, call.outcome(None), call.why_ended or "nothing more was heard of it")
        self.forget(call)

    def _tongue(self, locale: str) -> tuple[str, Voice | None]:
        """Return the language of a call with the vendor's voice, if that speaks it.

        Where it does not our recordings do; where it can play none, it speaks English.
        """
        language, _ = words_of(locale)
        voice = self.carrier.voice_of(language)
        if voice is None and not self.carrier.profile.gated and self.carrier.profile.voices:
            return LAST_RESORT, self.carrier.voice_of(LAST_RESORT)
        return language, voice

    def _call(self, token: str) -> CallUnderWay:
        call = self._calls.get(token)
        if call is None:
            raise self._refuse("unknown")
        if time.monotonic() >= call.ends_s:
            raise self._refuse("expired")
        return call

    def _prove(self, hook: Hook, now: datetime) -> None:
        settings = self.carrier.settings
        secret = settings.proof_secret or settings.secret
        if not is_vendors(self.carrier.profile.proof, hook, secret, now=now):
            raise self._refuse("unsigned")

    def _hear_ref(self, call: CallUnderWay, hook: Hook) -> None:
        call.heard_ref = call.heard_ref or text_in((self.carrier.profile.status.ref,), hook)

    def _refuse(self, why: str) -> NotFound:
        self.refused[why] += 1
        return NotFound("There is nothing here.")


def _nobody(_taken: bool) -> None:
    """Acknowledge to nobody: a call does not end twice."""
