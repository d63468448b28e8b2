"""Faults of calls: as data, complete, and the same for the same seed."""

from random import Random

import pytest

from dastak.core.errors import InvalidRequest
from dastak.simulator.call_faults import REFUSALS, RINGING_FATES, CallFate, CallFault, CallScript, draw_call
from dastak.simulator.delays import Uniform
from dastak.simulator.faults import Fault, FaultScript, parse_faults, plain_faults

NUMBER = "+919876543210"


def script(*faults: Fault, seed: int = 1) -> FaultScript:
    return FaultScript(Random(seed), faults=faults)


def test_phone_rings_where_no_fault_matches() -> None:
    call = script(Fault(number="+1*", call=CallFate.BUSY)).call_to(NUMBER)

    assert (call.fault, call.rings, call.refusal, call.answers) == (CallFault(), True, None, False)


def test_fault_is_written_in_short_or_whole() -> None:
    document = [
        {"number": "*7", "call": "busy"},
        {"call": {"does": "voicemail", "keys": "12", "after": {"kind": "uniform", "min_s": 1, "max_s": 2}}},
    ]
    faults = parse_faults(document)

    assert faults == (
        Fault(number="*7", call=CallFate.BUSY),
        Fault(call=CallFault(does=CallFate.VOICEMAIL, keys="12", after=Uniform(min_s=1.0, max_s=2.0))),
    )
    assert plain_faults(faults) == document


@pytest.mark.parametrize(
    "call",
    [
        "asleep",
        {"does": "asleep"},
        {"loss_to_phone": 2},
        {"keys": "A"},
        {"forks": 9},
        {"lost_acks": -1},
        {"x": 1},
    ],
)
def test_fault_that_is_none_is_refused(call: object) -> None:
    with pytest.raises(InvalidRequest):
        parse_faults([{"call": call}])


def test_every_fate_ends_in_one_way() -> None:
    drawn = {fate: draw_call(CallFault(does=fate), Random(1)) for fate in CallFate}

    for fate, call in drawn.items():
        ends = [fate is CallFate.RING, call.answers, call.refusal is not None]
        assert sum(ends) == 1, fate
        assert call.rings == (fate in RINGING_FATES)
    assert set(REFUSALS) == {fate for fate, call in drawn.items() if call.refusal}


def test_same_seed_gives_the_same_scripts_and_another_seed_others() -> None:
    fault = Fault(
        call=CallFault(does=CallFate.ANSWER, after=Uniform(min_s=0.0, max_s=9.0), loss_to_phone=0.5)
    )

    def drawn(seed: int) -> list[CallScript]:
        faults = script(fault, seed=seed)
        return [faults.call_to(NUMBER) for _ in range(5)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert len({call.seed for call in drawn(1)}) == 5
