"""The checker of the fault tests: sound books close, and each kind of fraud in them is found."""

import pytest

from chaos.asked_calls import NO_ANSWER, Call
from chaos.books import GONE, Books, Findings, Told

NUMBER, ID = "+919000000001", "ver_1"
SUBMITTED = {"type": "submitted", "ordinal": 0, "route": "north", "carrier_ref": "m1"}
DELIVERED = {"type": "delivered", "ordinal": 0}
APPROVED = {"type": "approved"}
MISSED = {"type": "missed"}


def call(kind: str, *, at_s: float = 1.0, status: int = 200, **more) -> Call:
    return Call(kind, NUMBER, at_s, at_s + 0.1, status, **more)


def sound() -> Books:
    """One person who started, mistyped once and typed it right, asked by two requests."""
    books = Books()
    books.note(call("start", status=201, id=ID))
    books.arrive("north", NUMBER, "m1", b"424242 is your code", 1.2)
    books.note(call("wrong", at_s=1.3))
    books.note(call("check", at_s=1.4, approved=True))
    books.note(call("check", at_s=1.4, status=409))
    return books


def closed(books: Books, *events: dict[str, object], state: str = "approved") -> Findings:
    told = Told(state=state, events=events or (SUBMITTED, DELIVERED, MISSED, APPROVED))
    return books.close({NUMBER: told}, ttl_s=300)


def test_sound_books_close() -> None:
    findings = closed(sound())

    assert findings == Findings(
        requests=4,
        accepted=1,
        approved=1,
        lost=0,
        duplicated=0,
        untold=0,
        approved_twice=0,
        broken={},
    )


def test_accepted_start_that_came_to_nothing_is_lost() -> None:
    books = Books()
    books.note(call("start", status=201, id=ID))

    findings = closed(books, {"type": "queued", "ordinal": 0}, state="pending")

    assert findings.lost == 1
    assert "I1" in findings.broken


def test_accepted_start_that_is_gone_is_found_though_its_text_came() -> None:
    books = Books()
    books.note(call("start", status=201, id=ID))
    books.arrive("north", NUMBER, "m1", b"424242 is your code", 1.2)

    assert list(closed(books, state=GONE).broken) == ["I1"]


def test_second_verification_under_one_key_is_found() -> None:
    books = sound()
    books.note(call("start", status=201, id="ver_2"))

    assert list(closed(books).broken) == ["I2"]


@pytest.mark.parametrize(
    ("state", "events"),
    [
        ("expired", ()),
        ("failed", ({"type": "undelivered", "ordinal": 0, "outcome": "absent"},)),
        ("pending", ({"type": "dropped", "ordinal": 0, "cause": "late"},)),
    ],
)
def test_start_that_ended_with_a_reason_is_not_lost(state: str, events: tuple) -> None:
    books = Books()
    books.note(call("start", status=201, id=ID))

    findings = closed(books, {"type": "queued", "ordinal": 0}, *events, state=state)

    assert (findings.lost, findings.broken) == (0, {})


def test_text_that_nobody_asked_for_is_found_and_one_whose_answer_was_lost_is_not() -> None:
    books = sound()
    books.arrive("north", "+919000000002", "m2", b"111111 is your code", 2.0)
    broken = closed(books).broken
    books.note(call("start", status=NO_ANSWER)._replace(number="+919000000002"))

    assert list(broken) == ["I2"]
    assert closed(books).broken == {}


def test_copy_is_counted_and_may_only_have_the_same_code() -> None:
    books = sound()
    books.arrive("south", NUMBER, "m2", b"424242 is your code", 1.5)
    same = closed(books)
    told = closed(
        books,
        {"type": "refused", "ordinal": 0, "status": "no_answer"},
        SUBMITTED,
        DELIVERED,
        MISSED,
        APPROVED,
    )
    books.arrive("south", NUMBER, "m3", b"999999 is your code", 1.6)

    assert (same.duplicated, same.untold, same.broken) == (1, 1, {})
    assert (told.duplicated, told.untold) == (1, 0)
    assert list(closed(books).broken) == ["I3"]


def test_second_approval_is_found_in_the_answers_and_in_the_timeline() -> None:
    books = sound()
    in_timeline = closed(books, SUBMITTED, DELIVERED, MISSED, APPROVED, APPROVED)
    books.note(call("check", at_s=1.6, approved=True, replayed=True))
    replayed = closed(books)
    books.note(call("check", at_s=1.7, approved=True))

    assert in_timeline.approved_twice == 1
    assert (replayed.approved_twice, replayed.broken) == (0, {})
    assert closed(books).approved_twice == 1
    assert list(closed(books).broken) == ["I4", "one at a time"]


def test_approval_that_is_gone_is_found() -> None:
    assert list(closed(sound(), state="pending").broken) == ["I4", "one at a time"]


def test_forgotten_and_boundless_attempts_are_found() -> None:
    forgotten = closed(sound(), SUBMITTED, DELIVERED, APPROVED)
    boundless = closed(sound(), SUBMITTED, DELIVERED, *[MISSED] * 6, APPROVED)

    assert list(forgotten.broken) == ["I5"]
    assert list(boundless.broken) == ["I5"]


def test_approval_after_the_end_of_the_code_is_found() -> None:
    books = sound()
    books.note(call("check", at_s=1.4, status=409))
    late = Books()
    late.note(call("start", status=201, id=ID))
    late.arrive("north", NUMBER, "m1", b"424242 is your code", 1.2)
    late.note(call("check", at_s=400.0, approved=True))

    assert list(closed(late).broken) == ["I6"]
    assert closed(books).broken == {}


def test_delivery_that_goes_back_and_submit_that_no_carrier_has_are_found() -> None:
    undelivered = {"type": "undelivered", "ordinal": 0, "outcome": "absent"}
    back = closed(sound(), SUBMITTED, DELIVERED, undelivered, MISSED, APPROVED)
    invented = closed(sound(), SUBMITTED | {"carrier_ref": "m9"}, DELIVERED, MISSED, APPROVED)

    assert list(back.broken) == ["I7"]
    assert list(invented.broken) == ["I9"]


def test_requests_that_were_never_sent_are_not_counted_as_asked() -> None:
    books = sound()
    books.note(call("start", at_s=1.5, status=-1))

    assert books.requests_between(0.0, 10.0) == 4
    assert books.requests_between(1.35, 10.0) == 2
    assert books.first_good_after(1.35) == pytest.approx(1.5)


def test_read_that_finds_nothing_after_its_start_is_found() -> None:
    books = sound()
    books.note(call("read", status=404))

    assert list(closed(books).broken) == ["I14"]


def test_read_that_sees_the_past_is_found() -> None:
    books = sound()
    books.note(call("read", at_s=2.0, state="pending"))

    assert list(closed(books).broken) == ["one at a time"]
