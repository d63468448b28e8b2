"""What rings a phone: a call is dialled with what it shall say, and tells what happens until it is over."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from dastak.core.call_price import TALK_S_MAX
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.voice.ivr import Ivr, SpeechOf, Step
from dastak.voice.sip.line_call import LastWords


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What a call says once it is answered.

    Attributes:
        locale: The language.
        gate: The digit that this call asks for, before anything else.
        code: What is spoken; empty where the person types what the page shows.
        typed: How many digits the page shows, where the person types them.
        brand: On whose behalf it calls.
        tenant: Whose recordings it speaks, where it has some; 0 is nobody.
    """

    locale: str
    gate: str
    code: str = ""
    typed: int = 0
    brand: str = ""
    tenant: int = 0

    def __repr__(self) -> str:
        """Show neither the code nor the digit."""
        return f"Script({self.locale!r})"


def ivr_of(
    script: Script,
    speech_of: SpeechOf,
    tell: Callable[[Step, str], None],
    *,
    talk_s_max: float = TALK_S_MAX,
) -> Ivr:
    """Return the call as it is heard."""
    return Ivr(
        speech_of(script.locale, script.tenant),
        gate=script.gate,
        code=script.code,
        typed=script.typed,
        brand=script.brand,
        talk_s_max=talk_s_max,
        tell=tell,
    )


class Dial(msgspec.Struct, frozen=True):
    """A call to be made.

    Attributes:
        caller: The number or name that the phone shows.
        ring_s: How long it may ring.
    """

    msisdn: Msisdn
    caller: str
    ring_s: float
    script: Script

    def __repr__(self) -> str:
        """Show no number."""
        return f"Dial({self.script!r}, ring_s={self.ring_s!r})"


class Hearer(Protocol):
    """Told what happens in one call. `detail` is the trunk's own word for it."""

    def on_ringing(self, detail: str) -> None:
        """The phone rings."""

    def on_answered(self, detail: str) -> None:
        """Somebody or something answered. Sound before this is no answer."""

    def on_step(self, step: Step, typed: str) -> None:
        """Something happened in what is said; `typed` is what was typed, or the language spoken instead."""

    def on_ended(self, outcome: Outcome, detail: str) -> None:
        """The call is over, told once, and that came of it."""


class Leg(Protocol):
    """One call under way."""

    @property
    def last_words(self) -> LastWords | None:
        """Return what ends it when the process that speaks it is gone; None is nothing."""

    def hang_up(self) -> None:
        """End it, ringing or speaking. Nothing happens when it is over already."""


class Line(Protocol):
    """A trunk, or the exchange in the box; it speaks the script by itself."""

    @property
    def available(self) -> bool:
        """Whether it can ring now."""

    @property
    def calls_max(self) -> int:
        """How many calls may be under way at once."""

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""

    def dial(self, dial: Dial, hearer: Hearer) -> Leg:
        """Ring a phone; the hearer is told only after this returned.

        Raises:
            CarrierUnavailable: There is no line now. CarrierFull: as many calls as may be are under way.
        """
