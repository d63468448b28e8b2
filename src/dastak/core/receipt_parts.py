"""Makes one receipt of those for the parts of a long text: delivered when all are, undelivered when one is.

1. The ref of the last part stands for the message.
2. What comes before all parts are submitted waits for that; it is few and bounded.
3. The ledger is memory only: after a restart the last part stands for all of them.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from dastak.core.outcome import Outcome

TEXTS_MAX: Final = 10_000
# Receipts that wait for the rest of their text: some for each part.
WAITING_MAX: Final = 64


class LongText:
    """One text on its way in parts.

    Attributes:
        phone: What all ways to write its number have in common.
        ref: Of the whole; empty until all parts are submitted.
        refs: Of the parts the carrier took, in order.
        waiting: Receipts that came too early.
    """

    __slots__ = ("delivered", "phone", "ref", "refs", "total", "waiting")

    def __init__(self, phone: str, total: int) -> None:
        self.phone = phone
        self.total = total
        self.ref = ""
        self.refs: list[str] = []
        self.delivered: set[int] = set()
        self.waiting: list[Any] = []


class PartJudgement(NamedTuple):
    """What the receipt of one part means for its text."""

    ref: str
    outcome: Outcome
    number: int
    total: int


class PartsLedger:
    """The long texts of one route whose receipts may still come."""

    def __init__(self) -> None:
        self._open: dict[str, LongText] = {}
        self._by_ref: dict[str, LongText] = {}

    def __len__(self) -> int:
        return len(self._by_ref)

    def begin(self, phone: str, total: int) -> LongText:
        """Begin to submit the parts of a text."""
        text = LongText(phone, total)
        self._open[phone] = text
        return text

    def took(self, text: LongText, ref: str) -> None:
        """Note that the carrier took the next part."""
        text.refs.append(ref)
        self._by_ref[ref] = text
        while len(self._by_ref) > TEXTS_MAX:
            del self._by_ref[next(iter(self._by_ref))]

    def end(self, text: LongText) -> list[Any]:
        """Note that no more parts are submitted, all or not; return the receipts that waited for it."""
        if self._open.get(text.phone) is text:
            del self._open[text.phone]
        if len(text.refs) == text.total:
            text.ref = text.refs[-1]
        else:
            for ref in text.refs:
                self._by_ref.pop(ref, None)
        waiting, text.waiting = text.waiting, []
        return waiting

    def waits(self, refs: Sequence[str], phone: str, receipt: Any) -> bool:
        """Keep a receipt that came before its text was submitted whole; False when it need not wait."""
        if not self._open:
            return False
        text = self._open.get(phone) or next((self._by_ref[ref] for ref in refs if ref in self._by_ref), None)
        if text is None or text.ref or len(text.waiting) >= WAITING_MAX:
            return False
        text.waiting.append(receipt)
        return True

    def judge(self, refs: Sequence[str], outcome: Outcome) -> PartJudgement | None:
        """Say what a receipt means for the whole text; None when it is about a text of one part."""
        if not self._by_ref:
            return None
        ref = next((ref for ref in refs if ref in self._by_ref), None)
        if ref is None:
            return None
        text = self._by_ref[ref]
        # Where one ref is all parts' (addresses alone), each receipt counts for another part.
        shared = text.refs.count(ref) > 1
        number = min(len(text.delivered) + 1, text.total) if shared else text.refs.index(ref) + 1
        if outcome is Outcome.DELIVERED:
            text.delivered.add(number)
            whole = len(text.delivered) == text.total
            return PartJudgement(text.ref, outcome if whole else Outcome.ENROUTE, number, text.total)
        return PartJudgement(text.ref, outcome, number, text.total)
