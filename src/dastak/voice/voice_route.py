"""A way out that rings and speaks: one call for each message, from the dial to what came of it.

1. A message is taken once the phone rings. Until then another trunk may be tried, and nobody was disturbed.
2. It is delivered once the code was spoken in full to somebody who pressed the right digit; answering is not
   enough, and a call that ends otherwise says how.
3. A call whose code is not wanted any more does not go on ringing.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from dastak.core.errors import CarrierRejected, CarrierUnavailable
from dastak.core.events import ENDS, Event, MessageDelivered
from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey, Receipt
from dastak.core.outcome import Outcome
from dastak.core.verification import Verification
from dastak.core.way_out import Outgoing
from dastak.voice.ivr import Step
from dastak.voice.line import Dial, Leg, Line, Script

RING_S_MAX: Final = 28.0
# To hear a phone ring after the dial; then the next way is tried.
HEARD_WITHIN_S: Final = 6.0

TakeReceipt = Callable[[Receipt, Callable[[bool], None]], None]
TakeStep = Callable[[MessageKey, str, str], None]

# After these only the goodbye is left to hear, and it is not cut off by what they bring about.
_LAST_STEPS: Final = (Step.TYPED, Step.REPORTED)


class VoiceRoute:
    """A `core.way_out.Route` for calls.

    Args:
        name: Of the route.
        line: What rings, and says what it is given to say.
        take_receipt: Told what came of each call.
        take_step: Told what happens in each.
        chance: Draws the digit that each call asks for.
        heard_within_s: How long the phone may take to ring; then another way is tried.

    Attributes:
        rings_phones: That what it brings is a call.
    """

    rings_phones: Final = True

    def __init__(
        self,
        name: str,
        line: Line,
        *,
        take_receipt: TakeReceipt,
        take_step: TakeStep,
        chance: random.Random | None = None,
        heard_within_s: float = HEARD_WITHIN_S,
    ) -> None:
        self._heard_within_s = heard_within_s
        self.name = name
        self._line = line
        self._take_receipt, self._take_step = take_receipt, take_step
        self._chance = chance or random.SystemRandom()
        self._calls: dict[VerificationId, _Call] = {}
        self._dialled = self._searching = 0

    @property
    def available(self) -> bool:
        """Whether it can ring now."""
        return self._line.available

    @property
    def in_flight_max(self) -> int:
        """How many phones may be searched for at once: a call that rang keeps its channel until it ends."""
        return self._line.calls_max - (self._line.in_flight - self._searching)

    async def submit(self, outgoing: Outgoing) -> CarrierRef:
        """Ring; return as soon as the phone does.

        Raises:
            CarrierRejected: It did not ring, and why.
            CarrierUnavailable: The trunk does not answer. CarrierFull: it has no channel left.
        """
        self._dialled += 1
        ref = CarrierRef(self.name, f"{outgoing.key.verification.hex()[:12]}-{self._dialled}")
        call = _Call(self, ref, outgoing)
        of = outgoing.key.verification
        self._calls[of] = call
        self._searching += 1
        try:
            call.leg = self._line.dial(self._dial(outgoing), call)
            self._take_step(outgoing.key, "dialled", "INVITE")
            async with asyncio.timeout(self._heard_within_s):
                await call.rings
        except TimeoutError:
            call.hang_up("nothing was heard of the trunk")
            raise CarrierUnavailable("The trunk does not answer.") from None
        finally:
            self._searching -= 1
            if not call.taken:
                self._forget(of, call)
        return ref

    def on_event(self, verification: Verification, event: Event) -> None:
        """Stop ringing for a code that is not wanted any more, or that a late text has brought."""
        call = self._calls.get(verification.id)
        if call is None:
            return
        if isinstance(event, ENDS) and not call.is_said:
            call.hang_up("the code is not wanted any more")
        elif isinstance(event, MessageDelivered) and event.ordinal != call.outgoing.key.ordinal:
            call.stop_ringing("the text arrived")

    def step(self, call: "_Call", step: str, detail: str = "") -> None:
        """Tell what happens in a call."""
        self._take_step(call.outgoing.key, step, detail)

    def ended(self, call: "_Call", outcome: Outcome, evidence: str, *, answered_s: float) -> None:
        """Tell what came of a call that had rung."""
        self._forget(call.outgoing.key.verification, call)
        self._take_receipt(Receipt(call.ref, outcome, evidence, answered_s=answered_s), _nobody)

    def _dial(self, outgoing: Outgoing) -> Dial:
        """Return a call with a digit of its own to ask for."""
        script = Script(
            locale=outgoing.locale,
            gate=str(self._chance.randrange(10)),
            code=outgoing.code,
            typed=outgoing.match_digits,
            brand=outgoing.brand,
            tenant=outgoing.tenant,
        )
        ring_s = min(RING_S_MAX, float(outgoing.validity_s))
        return Dial(outgoing.msisdn, outgoing.sender, ring_s, script)

    def _forget(self, of: VerificationId, call: "_Call") -> None:
        if self._calls.get(of) is call:
            del self._calls[of]


class _Call:
    """One call; a `Hearer` of its line.

    Attributes:
        is_said: Whether only the goodbye is left to hear.
    """

    leg: Leg

    def __init__(self, route: VoiceRoute, ref: CarrierRef, outgoing: Outgoing) -> None:
        self.ref, self.outgoing = ref, outgoing
        self.rings: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._route = route
        self._answered_at: float | None = None
        self.is_said = False
        self._why_ended = ""

    @property
    def taken(self) -> bool:
        """Whether the phone rang."""
        return self.rings.done() and not self.rings.cancelled() and self.rings.exception() is None

    def hang_up(self, why: str) -> None:
        """End it, whatever it does."""
        self._why_ended = why
        self.leg.hang_up()

    def stop_ringing(self, why: str) -> None:
        """End it unless it was answered."""
        if self._answered_at is None:
            self.hang_up(why)

    def on_ringing(self, detail: str) -> None:
        """See `Hearer`."""
        self._route.step(self, "ringing", detail)
        self._rang()

    def on_answered(self, detail: str) -> None:
        """See `Hearer`."""
        self._rang()
        self._answered_at = asyncio.get_running_loop().time()
        self._route.step(self, "answered", detail)

    def on_step(self, step: Step, typed: str) -> None:
        """See `Hearer`."""
        self.is_said = step in _LAST_STEPS
        self._route.step(self, step, typed)

    def on_ended(self, outcome: Outcome, detail: str) -> None:
        """See `Hearer`."""
        evidence = self._why_ended or detail
        self._route.step(self, "hung_up", evidence)
        if self.taken:
            self._route.ended(self, outcome, f"call:{evidence}", answered_s=self._answered_s())
        elif not self.rings.done():
            self.rings.set_exception(
                CarrierRejected(f"The call did not ring: {evidence}", status=evidence, outcome=outcome)
            )

    def _answered_s(self) -> float:
        """Return how long it lasted from the answer on; 0 if nobody answered."""
        return 0.0 if self._answered_at is None else asyncio.get_running_loop().time() - self._answered_at

    def _rang(self) -> None:
        if not self.rings.done():
            self.rings.set_result(None)


def _nobody(_taken: bool) -> None:
    """Acknowledge to nobody: a call does not end twice."""
