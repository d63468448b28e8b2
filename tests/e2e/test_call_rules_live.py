"""Prices, caps, callers and reports of calls, through the real program and a real trunk to a softphone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.baresip_phone import BaresipPhone
from tests.support.calling_house import (
    CALLER,
    CARRIERS,
    TO,
    CallingHouse,
    calling_house,
    phone_in,
    press_gate,
)

SERVICE = "/v1/admin/tenants/default/services/default"
INDIA = [{"prefix": "91", "call_micros": 1_000, "unit_micros": 100, "unit_s": 1}]
WORST = 1_000 + 90 * 100


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaresipPhone]:
    with phone_in(tmp_path_factory.mktemp("rules")) as answering:
        yield answering


@pytest.fixture
def house(tmp_path: Path, phone: BaresipPhone) -> Iterator[CallingHouse]:
    with calling_house(tmp_path, DASTAK__LIMITS__CALLS__APART_S="30") as calling:
        calling.add(phone.port)
        calling.until_available()
        yield calling


def price(house: CallingHouse, rows: list[dict[str, object]]) -> None:
    answer = house.operator.patch(f"{CARRIERS}/trunk", {"lane": {"calls": rows}, "why": "contract"})
    assert answer.status == 200, answer


def test_call_is_paid_by_its_length_and_a_report_ends_it(house: CallingHouse, phone: BaresipPhone) -> None:
    price(house, INDIA)
    of = house.call()
    press_gate(phone)
    house.told_of(of, type="call", step="spoken")
    phone.press("9")

    paid = house.told_of(of, type="priced")
    house.told_of(of, type="reported")
    canceled = house.told_of(of, type="canceled")

    assert paid["reserved_micros"] == WORST
    assert 5 < paid["answered_s"] < 60
    assert 0 <= paid["micros"] - 1_000 - 100 * paid["answered_s"] <= 105
    assert canceled["cause"] == "reported"
    [report] = house.api.get("/v1/reports").body["reports"]
    assert (report["verification"], report["msisdn"], report["mode"]) == (of, TO, "live")
    [listed] = house.installation.command("reports")
    assert (listed["tenant"], listed["verification"], listed["msisdn"]) == ("default", of, TO)
    assert house.installation.command("reports", "--tenant", "default") == [listed]


def test_call_that_may_not_be_made_is_refused_with_the_reason(house: CallingHouse) -> None:
    def refused() -> tuple[int, str]:
        answer = house.api.start(TO, channel="voice")
        assert "Next: " in answer.body["detail"]
        return answer.status, answer.body["reason"]

    reasons = []
    for rows, rules in (
        ([{"prefix": "44", "unit_micros": 1}], {}),
        (INDIA, {"price_max_micros": WORST - 1}),
        (INDIA, {"price_max_micros": WORST, "daily_cap_micros": WORST - 1}),
        ([INDIA[0] | {"daily_cap_micros": WORST - 1}], {"daily_cap_micros": WORST}),
        (INDIA, {"caller": "+911600999999"}),
        (INDIA, {"caller": "", "bfsi": True}),
    ):
        price(house, rows)
        assert house.operator.patch(SERVICE, {"calls": rules}).status == 200
        if rules.get("bfsi"):
            changed = {"settings": {"caller": "+918012345678"}, "why": "another number"}
            assert house.operator.patch(f"{CARRIERS}/trunk", changed).status == 200
        reasons.append(refused())

    assert reasons == [
        (403, "call_no_price"),
        (403, "call_price"),
        (403, "call_service_cap"),
        (403, "call_prefix_cap"),
        (403, "call_caller"),
        (403, "call_no_service_caller"),
    ]


def test_number_for_promotion_is_refused_when_it_is_written_down(house: CallingHouse) -> None:
    for wrong in ({"caller": "+911401234567"}, {"callers": ["1401234567"]}):
        answer = house.offer(1, name="other", **wrong)

        assert (answer.status, "140" in answer.body["detail"]) == (422, True)
    assert house.carrier()["settings"]["caller"] == CALLER
