"""What rings a phone: a call is dialled, tells what happens, and speaks when it is answered."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome

# Returns the next 20 ms of G.711 µ-law; None to hang up.
Frames = Callable[[], bytes | None]


class Dial(NamedTuple):
    """A call to be made.

    Attributes:
        caller: The number or name that the phone shows.
        ring_s: How long it may ring.
    """

    msisdn: Msisdn
    caller: str
    ring_s: float


class Hearer(Protocol):
    """Told what happens in one call. `detail` is the trunk's own word for it."""

    def on_ringing(self, detail: str) -> None:
        """The phone rings."""

    def on_answered(self, detail: str) -> None:
        """Somebody or something answered. Sound before this is no answer."""

    def on_key(self, digit: str) -> None:
        """A key was pressed: a digit, `*` or `#`."""

    def on_ended(self, outcome: Outcome | None, detail: str) -> None:
        """The call is over, told once. With an outcome it was never answered, and that is why."""


class Leg(Protocol):
    """One call under way."""

    def speak(self, frames: Frames) -> None:
        """Speak from now on, until there is no more to say; then hang up."""

    def hang_up(self) -> None:
        """End it, ringing or speaking. Nothing happens when it is over already."""


class Line(Protocol):
    """A trunk, or the exchange in the box."""

    @property
    def available(self) -> bool:
        """Whether it can ring now."""

    @property
    def calls_max(self) -> int:
        """How many calls may be under way at once."""

    def dial(self, dial: Dial, hearer: Hearer) -> Leg:
        """Ring a phone; the hearer is told only after this returned.

        Raises:
            CarrierUnavailable: There is no line now.
        """
