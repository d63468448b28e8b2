"""Follow texts from the submit to the code that is typed, in bounded memory, and say what became of them.

1. A text is judged when its time is over and not before: who is still typing has not failed, and were
   successes counted earlier than failures, a route would look worse just because its traffic falls.
2. The code is credited to the last text that was said to have arrived before it was typed.
3. A text that left long after it was asked for judges nobody: whoever asked may have gone.
4. With a full memory new verifications are not followed. Which ones does not depend on what becomes of them.
5. Receipts and codes may come to another node: `unheard` says of whom to ask before silence judges anybody.
"""

from collections import deque
from heapq import heappop, heappush
from typing import Final, NamedTuple

import msgspec

from dastak.core.ids import VerificationId
from dastak.delivery.deadlines import Latencies
from dastak.delivery.networks import Place

FOLLOWED_MAX: Final = 20_000
TEXTS_MAX: Final = 8
# How long people take to type: learned, from this on.
TYPED_WITHIN_FIRST_S: Final = 120.0
TYPED_WITHIN_S_MIN: Final = 60.0
TYPED_WITHIN_S_MAX: Final = 300.0
ENTRIES_MIN: Final = 50
# Later than this many do not wait for their text any more.
ASKED_AGO_S_MAX: Final = 30.0


class Sent(msgspec.Struct):
    """One text that a carrier took.

    Attributes:
        asked_s: When somebody asked for it, or for the one in whose place it went.
        told_s: When the carrier said what became of it; `arrived` says what.
        given_up: Its deadline passed without a receipt.
        counted: Whether its arrival was counted, one way or the other.
    """

    ordinal: int
    route: str
    place: Place
    tenant: int
    submitted_s: float
    asked_s: float
    told_s: float | None = None
    arrived: bool = False
    given_up: bool = False
    counted: bool = False

    @property
    def left_in_time(self) -> bool:
        """Whether it left while whoever asked for it surely waited."""
        return self.submitted_s - self.asked_s <= ASKED_AGO_S_MAX


class _Followed(msgspec.Struct):
    """One verification with its texts."""

    texts: list[Sent] = []
    typed_s: float | None = None
    credited: Sent | None = None

    @property
    def is_told(self) -> bool:
        """Whether its code was typed, and a receipt came for each of its texts."""
        return self.typed_s is not None and all(text.told_s is not None for text in self.texts)


class Trial(NamedTuple):
    """What became of a text that was said to have arrived: was its code typed?"""

    route: str
    place: Place
    tenant: int
    entered: bool


class Conversions:
    """The texts under way."""

    def __init__(self) -> None:
        self._followed: dict[VerificationId, _Followed] = {}
        self._ripening: deque[VerificationId] = deque()
        self._ripe: list[VerificationId] = []
        self._due: list[tuple[float, bytes, int]] = []
        self._overdue: list[tuple[VerificationId, int]] = []
        self._aged_s = 0.0
        self._typing = Latencies()

    def __len__(self) -> int:
        return len(self._followed)

    @property
    def typed_within_s(self) -> float:
        """How long after its text a code may still be typed."""
        if self._typing.total < ENTRIES_MIN:
            return TYPED_WITHIN_FIRST_S
        p95 = self._typing.quantile(0.95)
        assert p95 is not None
        return min(max(TYPED_WITHIN_S_MIN, 1.5 * p95), TYPED_WITHIN_S_MAX)

    def submitted(self, of: VerificationId, sent: Sent, *, due_s: float) -> None:
        """Follow a text that a carrier took; its receipt should be there by `due_s`."""
        followed = self._followed.get(of)
        if followed is None:
            # What was followed and has left may still stand in line to ripen.
            if len(self._ripening) + len(self._ripe) >= FOLLOWED_MAX:
                return
            followed = self._followed[of] = _Followed()
            self._ripening.append(of)
        if len(followed.texts) < TEXTS_MAX:
            followed.texts.append(sent)
            heappush(self._due, (due_s, of, sent.ordinal))

    def told(self, of: VerificationId, ordinal: int, *, arrived: bool, at_s: float) -> Sent | None:
        """Note a receipt that settles a text; None when it is not followed or was told of before."""
        sent = self._find(of, ordinal)
        if sent is None or (sent.told_s is not None and (sent.arrived or not arrived)):
            return None
        sent.told_s, sent.arrived = at_s, arrived
        return sent

    def typed(self, of: VerificationId, *, at_s: float) -> Sent | None:
        """Note that the code was typed, and return the text it is credited to."""
        followed = self._followed.get(of)
        if followed is None or followed.typed_s is not None or not followed.texts:
            return None
        arrived = [text for text in followed.texts if text.arrived]
        credited = max(arrived, key=lambda text: text.told_s or 0.0) if arrived else followed.texts[-1]
        followed.typed_s, followed.credited = at_s, credited
        self._typing.note(max(0.0, at_s - credited.submitted_s))
        return credited

    def forget(self, of: VerificationId) -> None:
        """Judge nobody by a verification that was called off or had a wrong number."""
        self._followed.pop(of, None)

    def unheard(self, now_s: float) -> list[tuple[int, VerificationId]]:
        """Return tenant and verification of what would be judged by now for what nobody here has heard."""
        self._come_of_age(now_s)
        late = {of for of, ordinal in self._overdue if self._silent(of, ordinal) is not None}
        late |= {of for of in self._ripe if of in self._followed and not self._followed[of].is_told}
        return [(self._followed[of].texts[0].tenant, of) for of in late]

    def overdue(self, now_s: float) -> list[Sent]:
        """Return the texts whose receipts are late by now; each once."""
        self._come_of_age(now_s)
        late = [sent for of, ordinal in self._overdue if (sent := self._silent(of, ordinal)) is not None]
        self._overdue.clear()
        for sent in late:
            sent.given_up = True
        return late

    def ripe(self, now_s: float) -> list[Trial]:
        """Return what became of the texts whose time is over, and follow them no more."""
        self._come_of_age(now_s)
        trials: list[Trial] = []
        within_s = self.typed_within_s
        for of in self._ripe:
            followed = self._followed.get(of)
            if followed is not None and followed.texts[-1].submitted_s + within_s > now_s:
                self._ripening.append(of)
            elif followed is not None:
                trials += _judge(self._followed.pop(of))
        self._ripe.clear()
        return trials

    def _come_of_age(self, now_s: float) -> None:
        """Put aside the texts whose receipts should be there by now, and verifications whose time is over.

        Once for each instant: what is heard of some must not have others judged that nobody asked for.
        """
        if now_s <= self._aged_s:
            return
        self._aged_s = now_s
        while self._due and self._due[0][0] <= now_s:
            _, of, ordinal = heappop(self._due)
            self._overdue.append((VerificationId(of), ordinal))
        within_s = self.typed_within_s
        for _ in range(len(self._ripening)):
            of = self._ripening[0]
            followed = self._followed.get(of)
            if followed is not None:
                if followed.texts[0].submitted_s + within_s > now_s:
                    break
                if followed.texts[-1].submitted_s + within_s > now_s:
                    self._ripening.rotate(-1)
                    continue
                self._ripe.append(of)
            self._ripening.popleft()

    def _find(self, of: VerificationId, ordinal: int) -> Sent | None:
        followed = self._followed.get(of)
        if followed is not None:
            for text in followed.texts:
                if text.ordinal == ordinal:
                    return text
        return None

    def _silent(self, of: VerificationId, ordinal: int) -> Sent | None:
        """Return a text of which nothing was heard, neither a receipt nor its code."""
        sent = self._find(of, ordinal)
        heard = sent is None or sent.told_s is not None or self._followed[of].credited is sent
        return None if heard else sent


def _judge(followed: _Followed) -> list[Trial]:
    typed_s, credited = followed.typed_s, followed.credited
    return [
        Trial(text.route, text.place, text.tenant, text is credited)
        for text in followed.texts
        # What arrived when the code had been typed already could not be typed any more.
        if text.arrived
        and text.left_in_time
        and (text is credited or typed_s is None or (text.told_s or 0.0) <= typed_s)
    ]
