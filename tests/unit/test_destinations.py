import pytest

from dastak.core.errors import Refused
from dastak.core.msisdn import LineType, Msisdn, Number, parse
from dastak.core.policy import Policy
from dastak.core.tenant import Mode, Service
from dastak.guard.destinations import (
    MAGIC_FRAUD,
    REACHABLE_LINES,
    REFUSED_LINES,
    check_destination,
    is_fictional,
)

SERVICE = Service(
    n=1,
    tenant=1,
    name="login",
    brand="Dastak",
    policy=Policy(),
    countries=("IN", "GB"),
    team_numbers=(Msisdn("+919876543210"), Msisdn("+12025550123")),
)


def reason(number: Number, mode: Mode) -> str | None:
    try:
        check_destination(number, service=SERVICE, mode=mode)
    except Refused as refused:
        return refused.reason
    return None


@pytest.mark.parametrize(
    ("text", "test", "team", "live"),
    [
        ("+919876543210", None, None, None),
        ("+919876543211", None, "team_number_not_listed", None),
        ("+447400123456", None, "team_number_not_listed", None),
        ("+4915112345678", "country_closed", "country_closed", "country_closed"),
        ("+14155552671", "country_closed", "country_closed", "country_closed"),
        ("+12025550100", None, "fictional_number", "fictional_number"),
        ("+12025550107", "fraud_blocked", "fictional_number", "fictional_number"),
        ("+12025550123", None, "fictional_number", "fictional_number"),
        ("+12025550199", None, "fictional_number", "fictional_number"),
        ("+13055550150", None, "fictional_number", "fictional_number"),
        ("+12025550200", "country_closed", "country_closed", "country_closed"),
        ("+911123456789", "line_refused", "line_refused", "line_refused"),
        ("+9118001234567", "line_refused", "line_refused", "line_refused"),
        ("+447012345678", "line_refused", "line_refused", "line_refused"),
        ("+449098790000", "line_refused", "line_refused", "line_refused"),
        ("+448431234567", "line_refused", "line_refused", "line_refused"),
        ("+881612345678", "line_refused", "line_refused", "line_refused"),
        ("+870773111632", "line_refused", "line_refused", "line_refused"),
        ("+979123456789", "line_refused", "line_refused", "line_refused"),
        ("+80012345678", "line_refused", "line_refused", "line_refused"),
    ],
)
def test_destination_is_judged_by_number_and_mode(
    text: str, test: str | None, team: str | None, live: str | None
) -> None:
    number = parse(text)

    judged = [reason(number, mode) for mode in (Mode.TEST, Mode.TEAM, Mode.LIVE)]

    assert judged == [test, team, live]


@pytest.mark.parametrize("line", LineType)
@pytest.mark.parametrize("mode", Mode)
def test_only_reachable_lines_pass_in_every_mode(line: LineType, mode: Mode) -> None:
    number = Number(msisdn=Msisdn("+919876543210"), country="IN", calling_code=91, line=line)

    judged = reason(number, mode)

    assert judged == (None if line in REACHABLE_LINES else "line_refused")


def test_every_kind_of_line_is_reachable_or_refused_in_words() -> None:
    assert REACHABLE_LINES | set(REFUSED_LINES) == set(LineType)
    assert all(REFUSED_LINES.values())


def test_no_country_is_open_by_default() -> None:
    service = Service(n=1, tenant=1, name="new", brand="Dastak", policy=Policy())

    with pytest.raises(Refused) as refused:
        check_destination(parse("+919876543210"), service=service, mode=Mode.LIVE)

    assert refused.value.reason == "country_closed"
    assert refused.value.detail == "The country IN is closed for the service `new`; open it first."


@pytest.mark.parametrize("text", ["+919555501000", "+441555501234", "+12025550099", "+12025550200"])
def test_numbers_that_look_fictional_are_not(text: str) -> None:
    number = Number(
        msisdn=Msisdn(text), country="IN", calling_code=int(text[1:-10] or 1), line=LineType.MOBILE
    )

    assert not is_fictional(number)


def test_magic_fraud_number_is_fictional_or_live_traffic_could_reach_it() -> None:
    assert is_fictional(parse(MAGIC_FRAUD))
