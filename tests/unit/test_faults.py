"""Faults of the simulated carrier: read, written, chosen and repeated."""

from random import Random
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.errors import InvalidRequest
from dastak.core.outcome import Outcome
from dastak.simulator.call_faults import CallFate
from dastak.simulator.delays import Lognormal, Uniform
from dastak.simulator.faults import (
    MAGIC,
    USUAL,
    Answer,
    Fate,
    Fault,
    FaultScript,
    IdForm,
    draw_fate,
    parse_faults,
    plain_faults,
)
from dastak.sms.receipt_codes import STAT_OUTCOMES, reason_outcome
from dastak.sms.smpp_codes import Status

NUMBER = "+919876543210"


def fates(script: tuple[Fault, ...], seed: int, count: int = 200) -> list[Fate]:
    faults = FaultScript(Random(seed), faults=script)
    return [faults.fate_of(f"+9198765{n:05d}", "sim_1") for n in range(count)]


def test_nothing_goes_wrong_without_a_fault() -> None:
    assert fates((), 1, 3) == [USUAL] * 3
    assert draw_fate(Fault(), Random(1)) == USUAL


def test_same_script_and_seed_give_the_same_fates() -> None:
    script = (
        Fault(
            response=Lognormal(median_s=0.1, sigma=0.8),
            receipt=Uniform(min_s=1, max_s=3),
            throttle=0.2,
            silent=0.05,
            drop_link=0.02,
            loss=0.1,
            false_receipt=0.1,
            missing_receipt=0.1,
            duplicates=2,
            shuffle_s=5.0,
        ),
    )

    assert fates(script, 7) == fates(script, 7)
    assert fates(script, 7) != fates(script, 8)


def test_first_match_decides() -> None:
    script = (
        Fault(number=NUMBER, status=0x412),
        Fault(number="+91*", status=8),
        Fault(account="*2", throttle=1.0),
    )
    faults = FaultScript(Random(1), faults=script)

    seen = [
        faults.fate_of(number, account).command_status
        for number, account in [(NUMBER, "sim_1"), ("+9112345678", "sim_2"), ("+4712345678", "sim_2")]
    ]

    assert seen == [0x412, 8, Status.ESME_RTHROTTLED]
    assert faults.fate_of("+4712345678", "sim_1") == USUAL


def test_faults_may_be_replaced_at_any_time() -> None:
    faults = FaultScript(Random(1))
    faults.faults = (Fault(silent=1.0),)

    assert faults.fate_of(NUMBER, "sim_1").answer is Answer.SILENCE


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*", True),
        (NUMBER, True),
        ("+9198*", True),
        ("*3210", True),
        ("+9198", False),
        ("3210", False),
        ("*9198", False),
    ],
)
def test_number_matches_whole_or_by_one_end(pattern: str, matched: bool) -> None:
    faults = FaultScript(Random(1), faults=(Fault(number=pattern, silent=1.0),))

    assert (faults.fate_of(NUMBER, "a").answer is Answer.SILENCE) is matched


@pytest.mark.parametrize(
    ("fault", "fate"),
    [
        (Fault(drop_link=1.0), Fate(answer=Answer.DROPPED_LINK)),
        (Fault(blackhole=1.0), Fate(answer=Answer.BLACKHOLE)),
        (Fault(silent=1.0), Fate(answer=Answer.SILENCE)),
        (Fault(status=0x412), Fate(command_status=0x412)),
        (Fault(throttle=1.0), Fate(command_status=Status.ESME_RTHROTTLED)),
        (Fault(loss=1.0), Fate()),
        (Fault(false_receipt=1.0), Fate(receipts_s=(0.0,))),
        (Fault(missing_receipt=1.0), Fate(arrival_s=0.0)),
        (Fault(duplicates=4), Fate(arrival_s=0.0, receipts_s=(0.0,) * 5)),
        (Fault(arrival=2.0, receipt=1.0), Fate(arrival_s=2.0, receipts_s=(3.0,))),
        (Fault(stat="UNDELIV", err="027"), Fate(receipts_s=(0.0,), stat="UNDELIV", err="027")),
        (
            Fault(receipt_id=IdForm.DECIMAL),
            Fate(arrival_s=0.0, receipts_s=(0.0,), receipt_id=IdForm.DECIMAL),
        ),
    ],
)
def test_fault_gives_its_fate(fault: Fault, fate: Fate) -> None:
    assert draw_fate(fault, Random(1)) == fate


def test_shares_and_delays_come_out_as_asked() -> None:
    throttled = sum(fate.command_status != 0 for fate in fates((Fault(throttle=0.3),), 3, 5000))
    delays = [
        fate.response_s for fate in fates((Fault(response=Lognormal(median_s=2.0, sigma=0.5)),), 3, 5000)
    ]
    spread = [fate.receipts_s[0] for fate in fates((Fault(shuffle_s=10.0),), 3, 50)]

    assert 1400 < throttled < 1600
    assert 1.9 < median(delays) < 2.1
    assert spread != sorted(spread)


def test_each_magic_number_does_its_own_thing() -> None:
    faults = FaultScript(Random(1))
    seen = {number[-2:]: faults.fate_of(number, "sim_1") for number in MAGIC}

    assert list(seen) == [f"{n:02}" for n in range(17)]
    assert seen["00"] == seen["07"] == USUAL
    assert _outcome(seen["01"]) is Outcome.ABSENT_SUBSCRIBER
    assert _outcome(seen["02"]) is Outcome.UNKNOWN_NUMBER
    assert seen["03"].command_status == Status.ESME_RSYSERR
    assert seen["04"] == Fate(arrival_s=0.0)
    assert _outcome(seen["05"]) is Outcome.DLT_TEMPLATE
    assert seen["06"] == Fate(arrival_s=8.0, receipts_s=(8.0,))
    assert len(seen["08"].receipts_s) == 2
    assert seen["09"].receipt_first
    called = [faults.call_to(f"+120255501{n}").fault.does for n in ("05", "10", "11", "12")]
    called += [faults.call_to(f"+120255501{n}").fault.does for n in ("13", "14", "15", "16")]
    assert called == [
        *(CallFate.RING, CallFate.BUSY, CallFate.DECLINE, CallFate.VOICEMAIL),
        *(CallFate.UNREACHABLE, CallFate.NO_ANSWER, CallFate.ANSWER, CallFate.RING),
    ]
    assert {_outcome(seen[f"{n}"]) for n in range(10, 17)} == {Outcome.DLT_TEMPLATE}


def test_magic_number_of_a_carrier_that_is_down_is_delivered_by_the_second_route() -> None:
    assert FaultScript(Random(1)).fate_of("+12025550103", "sim_2") == USUAL


def _outcome(fate: Fate) -> Outcome:
    assert fate.arrival_s is None
    return reason_outcome(fate.err) or STAT_OUTCOMES[fate.stat]


def test_faults_are_read_from_plain_data() -> None:
    document = [
        {"number": "*0101", "response": {"kind": "uniform", "min_s": 0.1, "max_s": 2}, "throttle": 0.5},
        {"account": "sim_1", "receipt": 3, "receipt_id": "decimal"},
    ]

    assert parse_faults(document) == (
        Fault(number="*0101", response=Uniform(min_s=0.1, max_s=2.0), throttle=0.5),
        Fault(account="sim_1", receipt=3.0, receipt_id=IdForm.DECIMAL),
    )
    assert plain_faults((Fault(throttle=0.5),)) == [{"throttle": 0.5}]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([{"losss": 1}], "losss"),
        ([{"loss": 2}], "<= 1.0"),
        ([{"loss": "all"}], "float"),
        ([{"number": "+91*98*"}], "number"),
        ([{"number": "**"}], "number"),
        ([{"response": {"kind": "normal"}}], "normal"),
        ([{"response": -1}], ">= 0"),
        ([{"duplicates": 1000}], "<= 20"),
        ([{"stat": "LOST"}], "LOST"),
        ([{}] * 201, "<= 200"),
        ({"loss": 1}, "array"),
        (None, "array"),
    ],
)
def test_faults_that_are_not_valid_are_refused_with_a_reason(document: Any, said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_faults(document)

    assert said in refused.value.detail


SHARE = st.sampled_from([0.0, 0.25, 1.0])


@given(
    st.builds(
        Fault,
        response=st.floats(0, 10) | st.builds(Uniform, min_s=st.just(0.0), max_s=st.floats(0, 10)),
        loss=SHARE,
        throttle=SHARE,
        duplicates=st.integers(0, 20),
        receipt_id=st.sampled_from(IdForm),
        number=st.sampled_from(["*", "+91*", "*99", NUMBER]),
    )
)
def test_faults_round_trip(fault: Fault) -> None:
    assert parse_faults(plain_faults((fault,))) == (fault,)


def test_refusal_over_http_is_an_error_of_the_carrier_over_smpp() -> None:
    fate = draw_fate(Fault(http_status=503, vendor_code="20503"), Random(1))

    assert fate == Fate(command_status=Status.ESME_RSYSERR, http_status=503, vendor_code="20503")


@pytest.mark.parametrize("answer", [Answer.UNANSWERED, Answer.GARBAGE])
def test_text_whose_answer_fails_arrives_and_is_reported(answer: Answer) -> None:
    fate = draw_fate(Fault(**{answer.value: 1.0}), Random(1))

    assert (fate.answer, fate.arrival_s, fate.receipts_s) == (answer, 0.0, (0.0,))


@pytest.mark.parametrize("status", [200, 399, 600])
def test_refusal_over_http_has_a_status_of_a_refusal(status: int) -> None:
    with pytest.raises(InvalidRequest):
        parse_faults([{"http_status": status}])
