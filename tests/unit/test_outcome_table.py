"""The table of the fault tests says what was broken, and which scenes had too few requests to count."""

from msgspec.structs import replace

from chaos.outcome_table import HEAD, Outcome, cells, table

SOUND = Outcome(
    fault="F1",
    title="kill -9 of the program",
    seed=1,
    per_s=40.0,
    in_fault=1_234,
    requests=5_000,
    accepted=1_000,
    lost=0,
    duplicated=2,
    untold=0,
    approved_twice=0,
    recovery_s=1.26,
    figures={"kills": 20},
    broken={},
)


def test_row_has_a_cell_for_each_head() -> None:
    assert dict(zip(HEAD, cells(SOUND), strict=True)) == {
        "fault": "F1",
        "what is broken": "kill -9 of the program",
        "people/s": "40",
        "requests in it": "1,234",
        "accepted": "1,000",
        "lost": "0",
        "twice": "2",
        "approved twice": "0",
        "recovers in s": "1.3",
        "promises": "held",
    }


def test_broken_promise_and_too_few_requests_are_said() -> None:
    poor = replace(SOUND, counts=False, recovery_s=None, broken={"I1": ("+919000000001 is gone",)})

    row = cells(poor)

    assert row[3] == "1,234 (too few)"
    assert row[8:] == ("", "BROKEN: I1")
    assert "F1 I1: +919000000001 is gone" in table([poor])
    assert "F1: kills 20.00" in table([SOUND])
