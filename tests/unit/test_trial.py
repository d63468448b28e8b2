"""A trial of a route that shows nothing but whether it is there: the steps alone, and what helps."""

from types import TracebackType
from typing import Self

import pytest

from dastak.carriers.carrier_kinds import TakeReceipt
from dastak.carriers.trial import Trial, refuse
from dastak.carriers.trial_report import Errand, Report, in_order, summary
from dastak.core.errors import CarrierRejected, CarrierUnavailable
from dastak.core.message import CarrierRef, Receipt
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.core.way_out import Outgoing

TO = Msisdn("+919876543210")


class PlainRoute:
    """A carrier without lasting connections, such as one over HTTP."""

    name = "north"
    in_flight = 0

    def __init__(
        self,
        take: TakeReceipt,
        *,
        outcomes: tuple[Outcome, ...] = (),
        error: Exception | None = None,
        up: bool = True,
        fault: str = "",
        unheard: str = "",
    ) -> None:
        self.fault, self.unheard = fault, unheard
        self.available = up
        self.reason = "ready"
        self._take, self._outcomes, self._error, self._up = take, outcomes, error, up

    async def __aenter__(self) -> Self:
        self.reason = "ready" if self._up else "401: no such \x1b[31mkey"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.available = False

    async def wait_warm(self) -> None:
        """It has been connected to before."""

    async def submit(self, outgoing: Outgoing) -> CarrierRef:
        if self._error is not None:
            raise self._error
        for outcome in self._outcomes:
            self._take(Receipt(CarrierRef(self.name, "m1"), outcome, f"status:{outcome}"), lambda _: None)
        return CarrierRef(self.name, "m1")


async def run(**route: object) -> Report:
    errand = Errand(to=TO, timeout_s=0.05)
    open_one = lambda take: PlainRoute(take, **route)  # type: ignore[arg-type]  # noqa: E731
    return await Trial("north", open_one, errand, tell=lambda _: None, others=refuse).run()


async def test_route_without_binds_shows_only_steps() -> None:
    report = await run(outcomes=(Outcome.ENROUTE, Outcome.DELIVERED))

    assert [step.name for step in report.steps] == ["connect", "submit", "answer", "receipt", "receipt"]
    assert (report.linked, report.delivered, report.pdus) == (True, True, ())
    assert list(in_order(report)) == list(report.steps)
    assert summary(report).startswith("receipt: delivered (status:delivered)")


async def test_route_that_cannot_be_used_tells_its_reason_with_nothing_a_terminal_obeys() -> None:
    report = await run(up=False)

    assert [(step.name, step.words) for step in report.steps] == [("connect", "401: no such ?[31mkey")]
    assert not report.linked


async def test_carrier_that_cannot_be_connected_to_is_not_sent_to() -> None:
    report = await run(fault="api.example.com could not be connected to lately: ConnectError")

    assert [step.name for step in report.steps] == ["connect"]
    assert "base_url" in report.steps[0].next
    assert not report.linked


async def test_receipt_that_does_not_come_is_asked_for_at_its_address() -> None:
    report = await run()

    assert (report.steps[-1].name, report.outcome) == ("receipt", Outcome.ACCEPTED)
    assert "dastak carrier hook north" in report.steps[-1].next


async def test_receipt_that_cannot_come_in_is_not_waited_for() -> None:
    report = await run(unheard="have the running server try it")

    receipt = report.steps[-1]
    assert (receipt.name, receipt.ok, report.outcome) == ("receipt", False, Outcome.ACCEPTED)
    assert (receipt.words, receipt.next) == ("no receipt can come in here", "have the running server try it")


@pytest.mark.parametrize(
    ("error", "outcome", "action"),
    [
        (CarrierRejected("422: sender", status="422", outcome="dlt_header"), Outcome.DLT_HEADER, "header"),
        (CarrierRejected("no", status="x", outcome="nobody's word"), Outcome.UNKNOWN, "ask the carrier"),
        (CarrierUnavailable("reset", outcome_unknown=True), None, "look whether the text came"),
        (CarrierUnavailable("refused"), None, "try again"),
    ],
)
async def test_error_leads_to_an_action(error: Exception, outcome: Outcome | None, action: str) -> None:
    report = await run(error=error)

    assert (report.steps[-1].name, report.steps[-1].ok, report.outcome) == ("answer", False, outcome)
    assert action in report.steps[-1].next


class CallingRoute(PlainRoute):
    """A carrier over HTTP that calls."""

    rings_phones = True


async def test_trial_of_a_way_that_calls_speaks_of_a_call() -> None:
    errand = Errand(to=TO, timeout_s=0.05)
    open_one = lambda take: CallingRoute(take, outcomes=(Outcome.DELIVERED,))  # noqa: E731
    report = await Trial("north", open_one, errand, tell=lambda _: None, others=refuse).run()

    assert [step.words for step in report.steps[:3]] == [
        "ready",
        "a call to +9198******10: press the digit that it asks for, and it speaks 000000",
        "it rings, as m1",
    ]


async def test_call_without_an_end_is_given_longer() -> None:
    report = await Trial(
        "north", CallingRoute, Errand(to=TO, timeout_s=0.05), tell=lambda _: None, others=refuse
    ).run()

    assert report.steps[-1].next == "give the call longer: --timeout 120"
