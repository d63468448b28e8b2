"""Which trunks may carry a call: lanes, price lists, callers, and what India wants of them."""

from typing import Any

import msgspec
import pytest

from dastak.core.call_price import TALK_S_MAX, CallPrice, cost_micros, price_for, worst_micros
from dastak.core.call_rules import ANY_CALLS, CallRules, check_call_rules
from dastak.core.call_terms import CALL_BARS, FREE, CallBar, CallTerms
from dastak.core.callers import indian, is_promotional, is_service
from dastak.core.carrier import Carrier, CarrierKind, Lane
from dastak.core.errors import InvalidRequest
from dastak.core.msisdn import Msisdn
from dastak.core.policy import Channel
from dastak.core.tenant import Mode
from dastak.core.way_out import Wanted
from dastak.delivery.routing import RouteTable
from dastak.voice.sip.sip_dialog import SipTrunk
from dastak.voice.sip_settings import SipSettings
from tests.support.samples import MSISDN
from tests.unit.test_routing import Named

BRITON, PREMIUM = Msisdn("+447400123456"), Msisdn("+447624123456")
BANK = CallRules(bfsi=True)
BY_MINUTE = CallPrice(unit_micros=6_000)
ISLAND = CallPrice(prefix="447624", call_micros=50_000, unit_micros=900, unit_s=1, daily_cap_micros=10**6)
EVERYWHERE = Lane()
PRICED = Lane(calls=(ISLAND, BY_MINUTE))


def trunk(
    name: str = "voice", caller: str = "+911600123456", lane: Lane = EVERYWHERE, **settings: Any
) -> Carrier:
    return Carrier(name=name, kind=CarrierKind.SIP, lane=lane, settings={"caller": caller, **settings})


def table(*trunks: Carrier) -> RouteTable:
    made = RouteTable()
    made.replace((carrier, Named(carrier.name)) for carrier in trunks)
    return made


def terms(
    of: RouteTable, msisdn: Msisdn = MSISDN, rules: CallRules = ANY_CALLS, tenant: int = 1
) -> CallTerms:
    return of.call_terms(Mode.LIVE, tenant, rules, msisdn)


def names(of: RouteTable, msisdn: Msisdn = MSISDN, rules: CallRules = ANY_CALLS) -> list[str]:
    wanted = Wanted(
        mode=Mode.LIVE, channel=Channel.VOICE, tenant=1, msisdn=msisdn, remaining_s=300.0, calls=rules
    )
    return [route.name for route in of.order(wanted)]


def test_trunks_are_asked_by_priority_and_only_where_their_lane_leads() -> None:
    of = table(
        trunk("abroad", "+12025550100", Lane(countries=("GB", "US"))),
        trunk("second", lane=Lane(priority=200)),
        trunk("first", lane=Lane(countries=("IN",))),
        trunk("others", lane=Lane(tenants=(7,))),
        trunk("far", lane=Lane(international=True)),
    )

    assert names(of) == ["first", "second"]
    assert names(of, BRITON) == ["abroad", "far", "second"]


@pytest.mark.parametrize(
    ("carrier", "msisdn", "rules", "bar"),
    [
        (trunk(lane=Lane(countries=("GB",))), MSISDN, ANY_CALLS, CallBar.LANE),
        (trunk(lane=Lane(prefixes=("9198765",))), MSISDN, ANY_CALLS, None),
        (trunk(lane=Lane(prefixes=("9197",))), MSISDN, ANY_CALLS, CallBar.LANE),
        (trunk(lane=Lane(calls=(CallPrice(prefix="44"),))), MSISDN, ANY_CALLS, CallBar.NO_PRICE),
        (trunk(lane=Lane(calls=(CallPrice(prefix="91"),))), MSISDN, ANY_CALLS, None),
        (trunk(lane=PRICED), PREMIUM, CallRules(price_max_micros=12_000), CallBar.PRICE),
        (trunk(lane=PRICED), BRITON, CallRules(price_max_micros=12_000), None),
        (trunk(lane=PRICED), BRITON, CallRules(price_max_micros=11_999), CallBar.PRICE),
        (trunk(), MSISDN, CallRules(caller="+911600999999"), CallBar.CALLER),
        (trunk(callers=["+911600999999"]), MSISDN, CallRules(caller="+911600999999"), None),
        (trunk(), MSISDN, CallRules(caller="+911600123456"), None),
        # An Indian number over an Indian trunk; which of the ten digits it has is the operator's business.
        (trunk(caller="+12025550100"), MSISDN, ANY_CALLS, CallBar.FOREIGN_CALLER),
        (trunk(caller="+12025550100"), BRITON, ANY_CALLS, None),
        (trunk(caller="1600123456"), MSISDN, ANY_CALLS, None),
        (trunk(caller="+918012345678"), MSISDN, ANY_CALLS, None),
        (trunk(caller="+911401234567"), MSISDN, ANY_CALLS, CallBar.PROMOTIONAL_CALLER),
        (trunk(caller="+918012345678"), MSISDN, BANK, CallBar.NO_SERVICE_CALLER),
        (trunk(caller="+918012345678"), BRITON, BANK, None),
        (trunk(caller="+911601123456"), MSISDN, BANK, None),
        (
            trunk(caller="+911601123456", callers=["+918012345678"]),
            MSISDN,
            CallRules(bfsi=True, caller="+918012345678"),
            CallBar.NO_SERVICE_CALLER,
        ),
    ],
)  # fmt: skip
def test_trunk_carries_a_call_or_says_why_not(
    carrier: Carrier, msisdn: Msisdn, rules: CallRules, bar: CallBar | None
) -> None:
    of = table(carrier)

    assert terms(of, msisdn, rules).bar is bar
    assert names(of, msisdn, rules) == ([] if bar else ["voice"])


def test_every_bar_has_words_and_something_to_do() -> None:
    assert all(words.means and words.action for words in CALL_BARS.values())


def test_call_counts_with_the_dearest_trunk_and_the_cap_of_the_longest_prefix() -> None:
    of = table(trunk("a", lane=Lane(calls=(ISLAND, BY_MINUTE))), trunk("b", lane=Lane(price_micros=70_000)))

    assert terms(of, BRITON) == CallTerms(worst_micros=140_000)
    assert terms(of, PREMIUM) == CallTerms(worst_micros=140_000, prefix="447624", prefix_cap_micros=10**6)
    assert of.call_terms(Mode.TEST, 1, BANK, PREMIUM) == FREE
    assert terms(table()).bar is CallBar.LANE


@pytest.mark.parametrize(
    ("price", "answered_s", "micros"),
    [
        (BY_MINUTE, 0.0, 0),
        (BY_MINUTE, 0.1, 6_000),
        (BY_MINUTE, 60.0, 6_000),
        (BY_MINUTE, 60.1, 12_000),
        (ISLAND, 0.0, 0),
        (ISLAND, 17.2, 50_000 + 18 * 900),
    ],
)
def test_cost_is_by_begun_units_and_free_without_an_answer(
    price: CallPrice, answered_s: float, micros: int
) -> None:
    assert cost_micros(price, answered_s) == micros
    assert worst_micros(price) >= micros


def test_longest_prefix_is_the_price() -> None:
    rows = (CallPrice(prefix="44"), CallPrice(), ISLAND)

    assert [price_for(rows, to) for to in (PREMIUM, BRITON, MSISDN)] == [ISLAND, rows[0], rows[1]]
    assert price_for(rows[:1], MSISDN) is None


def test_call_is_hung_up_when_what_was_set_aside_for_it_is_used_up() -> None:
    assert SipTrunk(transport="UDP", sent_by="", contact="").talk_s_max == TALK_S_MAX


@pytest.mark.parametrize(
    ("caller", "digits", "promotional", "service"),
    [
        ("+911600123456", "1600123456", False, True),
        ("911601123456", "1601123456", False, True),
        ("1600123456", "1600123456", False, True),
        ("1401234567", "1401234567", True, False),
        ("+918012345678", "8012345678", False, False),
        ("+1600123456", "", False, False),
        ("8012345678", "", False, False),
        ("2025550100", "", False, False),
        ("+14012345678", "", False, False),
        ("+9116001234567", "", False, False),
        ("", "", False, False),
    ],
)
def test_number_is_indian_and_of_a_series(caller: str, digits: str, promotional: bool, service: bool) -> None:
    assert (indian(caller), is_promotional(caller), is_service(caller)) == (digits, promotional, service)


@pytest.mark.parametrize(
    "settings",
    [
        {"caller": "+911401234567"},
        {"caller": "+911600123456", "callers": ["1401234567"]},
        {"caller": "+911600123456", "auto_dialler_declared_on": "2026-13-01"},
        {"caller": "+911600123456", "auto_dialler_declared_on": "yesterday"},
    ],
)
def test_trunk_that_may_not_call_is_refused_when_it_is_written_down(settings: dict[str, Any]) -> None:
    with pytest.raises((msgspec.ValidationError, ValueError), match=r"140|month|regex|auto_dialler"):
        msgspec.convert({"host": "trunk.example", **settings}, SipSettings)


@pytest.mark.parametrize(
    "rules",
    [
        CallRules(caller="+911401234567"),
        CallRules(caller="ACME"),
        CallRules(price_max_micros=-1),
        CallRules(daily_cap_micros=2**53),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(rules: CallRules) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_call_rules(rules)

    assert refused.value.field == "calls"
