"""What was asked and answered, what reached phones, and the proof that both agree.

Requests and arrivals are written down as they happen, with the harness's own monotonic clock; `close` joins
them with what the program itself tells afterwards. A code is kept only as a digest.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import takewhile
from typing import Any, Final, NamedTuple

import msgspec

from chaos.asked_calls import ATTEMPTS_MAX, NO_ANSWER, NOT_SENT, Call
from chaos.attempt_register import in_some_order

# How late an approval may be, on the harness's clock.
LATE_S_MAX: Final = 2.0
# After these refusals a carrier may have the text all the same.
IN_DOUBT: Final = frozenset({"no_answer", "outcome_unknown"})
TERMINAL: Final = frozenset({"approved", "exhausted", "expired", "canceled", "failed"})
# In the place of a state: the program knows nothing of it.
GONE: Final = "gone"
# How a message ends, and which of them need a reason.
ENDS: Final = frozenset({"delivered", "undelivered", "dropped"})
# Sentences about one invariant that are kept; the rest is counted.
EXAMPLES_MAX: Final = 3


class Arrival(NamedTuple):
    """One text on one phone."""

    carrier: str
    number: str
    message_id: str
    digest: bytes
    at_s: float


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the program tells of one verification afterwards."""

    state: str
    events: Sequence[Mapping[str, Any]]


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What closing the books came to.

    Attributes:
        accepted: Verifications that were answered 2xx.
        lost: Of those, the ones that reached no phone and have no reason.
        duplicated: Texts that came more than once.
        untold: Of those, the ones that the timeline does not say to be in doubt.
        approved_twice: Verifications with more than one approval.
        broken: Sentences about invariants that did not hold, by invariant.
    """

    requests: int
    accepted: int
    approved: int
    lost: int
    duplicated: int
    untold: int
    approved_twice: int
    broken: Mapping[str, Sequence[str]]


class Books:
    """The records of one scene.

    Attributes:
        calls: In the order of their answers.
        accepted: The verification of each number whose start was answered 201.
        others: Numbers that somebody outside these books has asked for, and answers for.
        trunks: Routes of calls, whose ids are the program's own.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.arrivals: dict[str, list[Arrival]] = defaultdict(list)
        self.accepted: dict[str, str] = {}
        self.others: set[str] = set()
        self.trunks: set[str] = set()

    def note(self, call: Call) -> None:
        """Write down a request with its answer."""
        self.calls.append(call)
        if call.kind == "start" and call.status == 201:
            self.accepted.setdefault(call.number, call.id)

    def arrive(self, carrier: str, number: str, message_id: str, text: bytes, at_s: float) -> None:
        """Write down a text on a phone."""
        digest = blake2b(text, digest_size=16).digest()
        self.arrivals[number].append(Arrival(carrier, number, message_id, digest, at_s))

    def requests_between(self, begin_s: float, end_s: float) -> int:
        """Return how many requests were sent in that time."""
        asked = self.answered_since(begin_s)
        return sum(begin_s <= call.asked_s <= end_s and call.status != NOT_SENT for call in asked)

    def first_good_after(self, at_s: float) -> float | None:
        """Return when the first 2xx came to a request that was asked after that time."""
        asked = self.answered_since(at_s)
        return min(
            (call.answered_s for call in asked if call.asked_s >= at_s and call.status // 100 == 2),
            default=None,
        )

    def answered_since(self, at_s: float) -> Iterator[Call]:
        """Return what was answered since, last first: to read all again and again makes the load late."""
        return takewhile(lambda call: call.answered_s >= at_s, reversed(self.calls))

    def close(self, told: Mapping[str, Told], *, ttl_s: float) -> Findings:
        """Join all records.

        Args:
            told: What the program says of each accepted verification, by number.
            ttl_s: How long a code lives.
        """
        broken: defaultdict[str, list[str]] = defaultdict(list)
        lost = [number for number in self.accepted if not self._has_come_to_something(number, told)]
        broken["I1"] += [f"{number} was accepted and came to nothing" for number in lost]
        broken["I1"] += self._gone(told)
        broken["I2"] += self._texts_nobody_asked_for()
        broken["I2"] += self._keys_with_two_answers()
        broken["I3"] += self._copies_that_differ()
        untold = {number: over for number in self.accepted if (over := self._untold(number, told)) > 0}
        twice = self._approved_twice(told)
        broken["I4"] += [f"{number} was approved twice" for number in twice]
        broken["I4"] += self._approvals_that_are_gone(told)
        broken["I5"] += self._attempts_forgotten(told)
        broken["I6"] += self._approvals_too_late(ttl_s)
        broken["I7"] += self._deliveries_that_go_back(told)
        broken["I9"] += self._submits_no_carrier_knows(told)
        broken["one at a time"] += self._answers_in_no_order(told)
        broken["I14"] += self._reads_that_find_nothing()
        return Findings(
            requests=sum(call.status != NOT_SENT for call in self.calls),
            accepted=len(self.accepted),
            approved=sum(told[number].state == "approved" for number in self.accepted),
            lost=len(lost),
            duplicated=sum(len(texts) - 1 for texts in self.arrivals.values() if texts),
            untold=sum(untold.values()),
            approved_twice=len(twice),
            broken={name: _shortened(said) for name, said in broken.items() if said},
        )

    def _has_come_to_something(self, number: str, told: Mapping[str, Told]) -> bool:
        if self.arrivals.get(number):
            return True
        if told[number].state in TERMINAL - {"approved"}:
            return True
        ended = [event for event in told[number].events if event["type"] in ENDS]
        return any(event.get("outcome") or event.get("cause") for event in ended)

    def _gone(self, told: Mapping[str, Told]) -> Iterable[str]:
        return [
            f"{number} was accepted and is gone" for number in self.accepted if told[number].state == GONE
        ]

    def _keys_with_two_answers(self) -> Iterable[str]:
        """Each number is asked for under one Idempotency-Key, so it has one verification."""
        ids: defaultdict[str, set[str]] = defaultdict(set)
        for call in self.calls:
            if call.kind == "start" and call.status == 201:
                ids[call.number].add(call.id)
        return [f"{number} has {len(found)} verifications" for number, found in ids.items() if len(found) > 1]

    def _texts_nobody_asked_for(self) -> Iterable[str]:
        """A text needs a start that was accepted, or whose answer was lost."""
        may_be = {
            call.number
            for call in self.calls
            if call.kind == "start" and (call.status in (201, NO_ANSWER) or call.status >= 500)
        }
        may_be |= self.others
        return [f"{number} got a text without a start" for number in self.arrivals if number not in may_be]

    def _copies_that_differ(self) -> Iterable[str]:
        return [
            f"{number} got different codes"
            for number, texts in self.arrivals.items()
            if len({text.digest for text in texts}) > 1
        ]

    def _untold(self, number: str, told: Mapping[str, Told]) -> int:
        """Count the copies more than the timeline accounts for."""
        return len(self.arrivals.get(number, ())) - 1 - doubts(told[number].events)

    def _approved_twice(self, told: Mapping[str, Told]) -> Sequence[str]:
        answers = Counter(call.number for call in self.calls if call.approved and not call.replayed)
        return [
            number
            for number in self.accepted
            if max(answers[number], count(told[number].events, "approved")) > 1
        ]

    def _approvals_that_are_gone(self, told: Mapping[str, Told]) -> Iterable[str]:
        approved = {call.number for call in self.calls if call.approved}
        return [
            f"{number} was answered approved and is {told[number].state}"
            for number in approved
            if told[number].state != "approved"
        ]

    def _attempts_forgotten(self, told: Mapping[str, Told]) -> Iterable[str]:
        answered = Counter(
            call.number
            for call in self.calls
            if call.kind == "wrong" and call.status == 200 and not call.approved
        )
        for number in self.accepted:
            missed = count(told[number].events, "missed")
            if missed > ATTEMPTS_MAX:
                yield f"{number} had {missed} wrong codes judged"
            if missed < answered[number]:
                yield f"{number} was told of {answered[number]} wrong codes, and {missed} are counted"

    def _approvals_too_late(self, ttl_s: float) -> Iterable[str]:
        # An answer that was lost says nothing of when its code began to live.
        began = {
            call.number: call.answered_s
            for call in self.calls
            if call.kind == "start" and call.status == 201 and not call.replayed
        }
        for call in self.calls:
            if call.approved and call.number in began:
                lived_s = call.asked_s - began[call.number]
                if lived_s > ttl_s + LATE_S_MAX:
                    yield f"{call.number} was approved {lived_s:.1f} s after its start"

    def _deliveries_that_go_back(self, told: Mapping[str, Told]) -> Iterable[str]:
        for number in self.accepted:
            delivered: set[int] = set()
            for event in told[number].events:
                ordinal = event.get("ordinal", -1)
                if event["type"] in ENDS and ordinal in delivered:
                    yield f"{number}: message {ordinal} was delivered and then {event['type']}"
                if event["type"] == "delivered":
                    delivered.add(ordinal)

    def _answers_in_no_order(self, told: Mapping[str, Told]) -> Iterable[str]:
        """Checks and reads of one verification must look as if one came after the other."""
        asked: defaultdict[str, list[Call]] = defaultdict(list)
        for call in self.calls:
            asked[call.number].append(call)
        return [
            f"{number} got answers that no order of its requests gives"
            for number in self.accepted
            if told[number].state != GONE and not in_some_order(asked[number], told[number].state)
        ]

    def _reads_that_find_nothing(self) -> Iterable[str]:
        """People read only after their 2xx."""
        return [
            f"{call.number} was accepted and is not there to read"
            for call in self.calls
            if call.kind == "read" and call.status == 404
        ]

    def _submits_no_carrier_knows(self, told: Mapping[str, Told]) -> Iterable[str]:
        """What is counted as submitted must be there; what is charged is one and the same."""
        for number in self.accepted:
            known = {text.message_id for text in self.arrivals.get(number, ())}
            for event in told[number].events:
                if event["type"] != "submitted" or event["route"] in self.trunks:
                    continue
                if event["carrier_ref"] not in known | {""}:
                    yield f"{number}: a submit is told that no carrier has"


def count(events: Iterable[Mapping[str, Any]], kind: str) -> int:
    """Count the events of one type."""
    return sum(event["type"] == kind for event in events)


def doubts(events: Sequence[Mapping[str, Any]]) -> int:
    """Count how often another text had to follow although a carrier may have brought the one before."""
    refused = [event for event in events if event["type"] == "refused" and event["status"] in IN_DOUBT]
    return len(refused) + count(events, "overdue") + count(events, "resumed")


def _shortened(said: Sequence[str]) -> Sequence[str]:
    more = len(said) - EXAMPLES_MAX
    return (*said[:EXAMPLES_MAX], f"and {more} more") if more > 0 else tuple(said)
