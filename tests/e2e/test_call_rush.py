"""More failed texts at once than a trunk has channels: each is called once, in turn, or told why not."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from bench.processes import free_port
from tests.e2e.test_call_rules_live import INDIA, SERVICE
from tests.support.calling_house import CallingHouse, calling_house
from tests.support.carrier_process import CarrierProcess
from tests.support.patience import until
from tests.support.plenty import PLENTY

# No text arrives; each phone rings for a second, and its person hangs up before the code was spoken.
FAILS: Final = """
[[faults]]
stat = "UNDELIV"
err = "650"
call = {{ does = "answer", after = 1.0, hang_up_s = {talks_s} }}
"""
BOUND: Final = ("--system-id", "sim_1", "--password", "secret")
ENDS: Final = {"undelivered", "dropped"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CallingHouse]:
    with calling_house(tmp_path, **PLENTY) as running:
        yield running


@pytest.mark.parametrize(
    ("channels", "texts", "call_s", "life_s", "called"),
    [
        pytest.param(4, 12, 3, 300, 12, id="few"),
        pytest.param(20, 120, 6, 300, 120, id="many"),
        # Who waited until twenty seconds are left is not rung any more.
        pytest.param(4, 40, 6, 60, 28, id="too-many"),
    ],
)
def test_rush_on_a_trunk_is_called_in_turn_within_its_channels_or_told_why_not(
    house: CallingHouse, tmp_path: Path, channels: int, texts: int, call_s: int, life_s: int, called: int
) -> None:
    first = free_port()
    carrier = CarrierProcess(tmp_path / "carrier", faults=FAILS.format(talks_s=call_s - 1.0), options=BOUND)
    with carrier as smpp:
        changed = house.operator.patch(SERVICE, {"policy": {"ttl_s": life_s}})
        assert changed.status == 200, changed
        house.add_texts(smpp)
        # More ports than channels, so that nothing but the channels bounds the calls.
        ports = [first, first + 4 * texts]
        house.add(carrier.sip_port, calls_max=channels, rtp_ports=ports)
        priced = house.operator.patch(
            "/v1/admin/carriers/trunk", {"lane": {"calls": INDIA}, "why": "contract"}
        )
        assert priced.status == 200, priced
        house.until_available()
        begun = [house.text(f"+9198765{number:05d}") for number in range(texts)]
        told = [until(lambda of=of: ended(house, of), within_s=90) for of in begun]
        until(lambda: house.carrier()["in_flight"] == 0)

    rang = Counter(call["msisdn"] for call in begun_calls(carrier.texts))
    assert (rang.total(), len(rang), most_at_once(carrier.texts)) == (called, called, channels)
    # The earliest expiry first, which is that of the earliest start; those that leave at once may overtake.
    dialled = sorted(range(called), key=lambda number: step_at(told[number], "dialled"))
    assert max(abs(place - number) for place, number in enumerate(dialled)) < channels
    for one in told[called:]:
        (dropped,) = (event for event in one if event["type"] == "dropped")
        assert (dropped["cause"], step_at(one, "dialled")) == ("late", "")
        assert dropped["why"].startswith("after its wait for room on trunk the code lives")
    assert spent(house) == sum(event["micros"] for one in told for event in one if event["type"] == "priced")


def ended(house: CallingHouse, of: str) -> list[dict[str, Any]]:
    """Return what happened once the call of a verification is over, or was given up."""
    told = house.api.timeline(of)
    return told if any(event["type"] in ENDS and event["ordinal"] == 1 for event in told) else []


def step_at(told: list[dict[str, Any]], step: str) -> str:
    return next((event["at"] for event in told if event.get("step") == step), "")


def begun_calls(news: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first word of each call that rang."""
    return list({call["id"]: call for call in reversed(news) if "state" in call}.values())


def most_at_once(news: list[dict[str, Any]]) -> int:
    """Return how many phones rang or talked at one time, at most, as the exchange tells it."""
    most, up = 0, set[int]()
    for call in news:
        if "state" in call:
            (up.discard if call["state"] == "ended" else up.add)(call["id"])
            most = max(most, len(up))
    return most


def spent(house: CallingHouse) -> int:
    """Return what stands in the books, of all tenants."""
    (file,) = house.installation.directory.rglob("dastak.db")
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT sum(micros) FROM spend").fetchone()[0])
