"""A trial against our carrier in a box and one nobody of us wrote: each step, and what helps if one fails."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.processes import free_port
from dastak.carriers.carrier_kinds import NO_CALLBACK, Acknowledge
from dastak.carriers.trial import Opener, Trial, opener, refuse
from dastak.carriers.trial_desk import TRIALS_MAX, TrialDesk
from dastak.carriers.trial_report import TEXT, Errand, Report, StepName, Told
from dastak.core.carrier import Carrier, CarrierKind, CarrierState
from dastak.core.errors import Overloaded
from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey, Receipt
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.core.way_out import Outgoing
from dastak.simulator.faults import Fault
from dastak.sms.pdu_words import Seen
from dastak.sms.smpp_codes import Status
from dastak.sms.smpp_route import SmppRoute
from dastak.sms.smpp_settings import SmppSettings
from tests.support.authority import Authority
from tests.support.npm_peer import npm_smsc
from tests.support.smpp_pair import Ends, esme, smsc, soon, submission

TO = Msisdn("+919876500000")
PASSWORD = "secret"
ALL_STEPS = ["connect", "bind", "submit", "answer", "receipt", "unbind"]


def settings(port: int, **changes: Any) -> dict[str, Any]:
    wanted = {"host": "127.0.0.1", "port": port, "system_id": "sim_1", "password": PASSWORD}
    return wanted | changes


def trial_opener(port: int, **changes: Any) -> Opener:
    carrier = Carrier(name="north", kind=CarrierKind.SMPP, state=CarrierState.OFF)
    return opener(carrier, settings(port, **changes))


def trial(port: int, to: Msisdn | None = TO, *, told: list[Told] | None = None, **changes: Any) -> Trial:
    errand = Errand(to=to, sender="ACMEOT", timeout_s=changes.pop("timeout_s", 10.0))
    tell = (lambda _: None) if told is None else told.append
    return Trial("north", trial_opener(port, **changes), errand, tell=tell, others=refuse)


async def run(port: int, to: Msisdn | None = TO, **changes: Any) -> Report:
    report: Report = await soon(trial(port, to, **changes).run())
    return report


def named(report: Report) -> list[str]:
    return [step.name.value for step in report.steps]


def failed(report: Report) -> tuple[str, str, str]:
    """Return the only step that failed: its name, what happened, what to do."""
    (step,) = [step for step in report.steps if not step.ok]
    return step.name.value, step.words, step.next


async def test_every_step_is_told_in_order_with_the_pdus_between_them() -> None:
    told: list[Told] = []
    async with smsc(Ends()) as carrier:
        report = await soon(trial(carrier.port, told=told).run())

    assert named(report) == ALL_STEPS
    assert (report.linked, report.delivered, report.outcome) == (True, True, Outcome.DELIVERED)
    assert all(step.ok and not step.next for step in report.steps)
    assert [one.command for one in told if isinstance(one, Seen)] == [
        "bind_transceiver",
        "bind_transceiver_resp",
        "submit_sm",
        "submit_sm_resp",
        "deliver_sm",
        "deliver_sm_resp",
        "unbind",
        "unbind_resp",
    ]
    assert [one.at_ms for one in told] == sorted(one.at_ms for one in told)
    assert sum(step.took_ms for step in report.steps) == report.steps[-1].at_ms


async def test_text_is_plain_and_neither_it_nor_number_or_password_is_told() -> None:
    told: list[Told] = []
    ends = Ends()
    async with smsc(ends) as carrier:
        await soon(trial(carrier.port, told=told).run())

    (message,) = ends.shown
    assert message.sm.text_octets.decode() == TEXT
    assert not any(character.isdigit() for character in TEXT)
    shown = repr(told)
    assert "+9198******00" in shown
    assert not any(secret in shown for secret in (PASSWORD, TO[1:], TEXT[:12]))


async def test_without_a_number_it_only_binds_and_unbinds() -> None:
    ends = Ends()
    async with smsc(ends) as carrier:
        report = await run(carrier.port, None)

    assert named(report) == ["connect", "bind", "unbind"]
    assert (report.linked, report.delivered, ends.shown) == (True, False, [])


async def test_pair_of_binds_is_tried_whole() -> None:
    async with smsc(Ends()) as carrier:
        report = await run(carrier.port, bind_kind="pair", binds=7)

    assert report.delivered
    commands = sorted(seen.command for seen in report.pdus if seen.command.startswith("bind"))
    assert commands == ["bind_receiver", "bind_receiver_resp", "bind_transmitter", "bind_transmitter_resp"]


async def test_foreign_carrier_delivers() -> None:
    async with npm_smsc() as peer:
        report = await run(peer.port)

    assert (named(report), report.delivered) == (ALL_STEPS, True)


@pytest.mark.parametrize(
    ("changes", "status", "action"),
    [
        ({"password": "wrong"}, "ESME_RINVPASWD", "--secret-file password=FILE"),
        ({"system_id": "who"}, "ESME_RINVSYSID", "--system-id"),
    ],
)
async def test_refused_bind_says_what_to_change(changes: dict[str, str], status: str, action: str) -> None:
    async with npm_smsc() as peer:
        report = await run(peer.port, **changes)

    assert (named(report), report.linked) == (["connect", "bind"], False)
    name, words, next_ = failed(report)
    assert (name, words) == ("bind", status)
    assert f"dastak carrier set north {action}" in next_


async def test_nobody_listening_is_a_connection_that_failed() -> None:
    report = await run(free_port())

    name, words, next_ = failed(report)
    assert (name, named(report)) == ("connect", ["connect"])
    assert words.startswith("cannot connect: ")
    assert next_.startswith("nobody listens there")


@pytest.mark.parametrize(
    ("last_digits", "status", "outcome", "action"),
    [
        (1, "ESME_RTHROTTLED", Outcome.THROTTLED, "rate_per_s"),
        (2, "0x00000412", Outcome.NETWORK_TEMPORARY, "raw code"),
    ],
)
async def test_refused_text_keeps_the_raw_status_and_says_what_to_do(
    last_digits: int, status: str, outcome: Outcome, action: str
) -> None:
    async with npm_smsc() as peer:
        report = await run(peer.port, Msisdn(f"+9198765000{last_digits:02d}"))

    name, words, next_ = failed(report)
    assert (name, report.outcome, report.delivered) == ("answer", outcome, False)
    assert status in words
    assert action in next_
    assert "receipt" not in named(report)


async def test_refused_number_is_told_as_such() -> None:
    async with smsc(Ends(), Fault(status=0x0B)) as carrier:
        report = await run(carrier.port)

    name, words, _ = failed(report)
    assert (name, report.outcome) == ("answer", Outcome.UNKNOWN_NUMBER)
    assert "ESME_RINVDSTADR" in words


async def test_text_that_is_not_answered_may_have_arrived() -> None:
    async with npm_smsc(behaviour="03") as peer:
        report = await run(peer.port, response_timeout_s=0.3)

    name, words, next_ = failed(report)
    assert (name, words, report.outcome) == ("answer", "no submit_sm_resp in time", None)
    assert "response_timeout_s" in next_


async def test_missing_receipt_ends_in_bounded_time_and_says_whom_to_ask() -> None:
    async with smsc(Ends(), Fault(missing_receipt=1.0)) as carrier:
        report = await run(carrier.port, timeout_s=0.2)

    name, words, next_ = failed(report)
    assert (name, words) == ("receipt", "no final receipt within 0.2 s")
    assert (report.delivered, report.outcome) == (False, Outcome.ACCEPTED)
    assert "have the carrier send receipts" in next_


async def test_bad_receipt_is_told_with_the_raw_code() -> None:
    async with smsc(Ends(), Fault(stat="REJECTD", err="633")) as carrier:
        report = await run(carrier.port)

    name, words, next_ = failed(report)
    assert (name, report.outcome) == ("receipt", Outcome.DLT_TEMPLATE)
    assert "stat:REJECTD err:633" in words
    assert "registered wording" in next_


async def test_receipt_that_overtakes_the_answer_is_taken() -> None:
    async with npm_smsc(behaviour="05") as peer:
        report = await run(peer.port)

    assert (named(report), report.delivered) == (ALL_STEPS, True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority.make(tmp_path / "ours")
    for subject in ("smsc", "esme"):
        authority.issue(subject)
    return authority


def served(authority: Authority, *, asks: bool) -> dict[str, str]:
    files = {"key": "smsc.key", "cert": "smsc.pem"} | ({"ca": "ca.pem"} if asks else {})
    return {name: authority.text(file) for name, file in files.items()}


async def test_tls_with_a_private_authority(authority: Authority) -> None:
    async with npm_smsc(**served(authority, asks=False)) as peer:
        report = await run(peer.port, tls={"ca_file": authority.path("ca.pem")})

    assert (named(report), report.delivered) == (ALL_STEPS, True)


async def test_certificate_that_is_not_believed_leads_to_the_authority(authority: Authority) -> None:
    async with npm_smsc(**served(authority, asks=False)) as peer:
        report = await run(peer.port, tls={})

    name, words, next_ = failed(report)
    assert (name, report.linked) == ("connect", False)
    assert "certificate verify failed" in words
    assert "tls.ca_file" in next_


async def test_carrier_that_wants_our_certificate_says_so(authority: Authority) -> None:
    async with npm_smsc(**served(authority, asks=True)) as peer:
        report = await run(peer.port, tls={"ca_file": authority.path("ca.pem")})

    _, words, next_ = failed(report)
    assert not report.linked
    assert words
    assert "certificate" in next_


async def test_tls_to_a_plain_port_leads_to_the_port() -> None:
    async with npm_smsc() as waits, smsc(Ends()) as hangs_up:
        reports = [await run(port, tls={}, connect_timeout_s=0.5) for port in (waits.port, hangs_up.port)]

    words = [failed(report)[:2] for report in reports]
    assert words == [
        ("connect", "cannot connect: no answer in time"),
        ("connect", "cannot connect: the peer hung up"),
    ]
    assert all("TLS port" in failed(report)[2] for report in reports)


async def test_tls_file_that_is_missing_is_named(tmp_path: Path) -> None:
    report = await run(free_port(), tls={"ca_file": str(tmp_path / "none.pem")})

    name, words, next_ = failed(report)
    assert (name, report.linked) == ("connect", False)
    assert "TLS files cannot be used" in words
    assert "tls.ca_file" in next_


async def test_carrier_that_says_nothing_is_given_up() -> None:
    async with npm_smsc() as peer:
        peer.send_signal(signal.SIGSTOP)
        try:
            report = await run(peer.port, bind_timeout_s=0.3)
        finally:
            peer.send_signal(signal.SIGCONT)

    name, words, next_ = failed(report)
    assert (name, words) == ("bind", "no bind in time")
    assert "did not answer the bind" in next_


async def test_receipt_of_others_is_left_to_their_next_bind() -> None:
    ends = Ends()
    async with smsc(ends, Fault(receipt=0.3)) as carrier:
        async with esme(Ends(), carrier.port) as service:
            await soon(service.wait_bound())
            await service.submit(submission(1))
        report = await run(carrier.port)
        async with esme(ends, carrier.port):
            receipt = await ends.receipt()

    answers = [seen.words for seen in report.pdus if seen.command == "deliver_sm_resp"]
    assert report.delivered
    assert answers == ["deliver_sm_resp ESME_RX_T_APPN", "deliver_sm_resp ESME_ROK"]
    assert receipt.outcome is Outcome.DELIVERED


async def test_text_from_a_phone_is_left_to_their_next_bind() -> None:
    async with npm_smsc(behaviour="08") as peer:
        await run(peer.port, timeout_s=0.3)
        said = [await peer.said() for _ in range(2)]

    assert [fact["command"] for fact in said] == ["submit_sm", "data_sm_resp"]
    assert said[1]["status"] == Status.ESME_RX_T_APPN


class Desk:
    """What a server's settlement gets."""

    def __init__(self) -> None:
        self.settled: list[CarrierRef] = []

    def take(self, receipt: Receipt, acknowledge: Acknowledge) -> None:
        self.settled.append(receipt.carrier)
        acknowledge(True)


@pytest.mark.parametrize("fault", [Fault(receipt_first=True), Fault(receipt=0.1)])
async def test_receipt_that_comes_to_the_servers_own_bind_is_the_trials(fault: Fault) -> None:
    settlement = Desk()
    desk = TrialDesk(settlement.take, fixed={}, callback_of=lambda _name: NO_CALLBACK)
    async with smsc(Ends(), fault) as carrier:
        wanted = msgspec.convert(settings(carrier.port), SmppSettings)
        # The simulated carrier brings receipts to the bind that is longest there.
        async with SmppRoute("north", wanted, desk.take) as route:
            await soon(route.wait_bound())
            key = MessageKey(VerificationId(bytes(16)), 0)
            theirs = await route.submit(Outgoing(key, Msisdn("+919876500001"), "123456", "ACMEOT", 300))
            report = await soon(desk.run("north", trial_opener(carrier.port), Errand(to=TO, timeout_s=10)))

    ours = next(step.words for step in report.steps if step.name is StepName.ANSWER).split()[-1]
    assert report.delivered
    assert not any(seen.command == "deliver_sm" for seen in report.pdus)
    assert theirs in settlement.settled
    # What overtook the answer cannot be told from others; who settles finds no message for it.
    assert (CarrierRef("north", ours) in settlement.settled) is fault.receipt_first


async def test_only_so_many_are_tried_at_once() -> None:
    desk = TrialDesk(Desk().take, fixed={}, callback_of=lambda _name: NO_CALLBACK)
    async with smsc(Ends(), Fault(missing_receipt=1.0)) as carrier:
        errand = Errand(to=TO, timeout_s=1)
        open_one = trial_opener(carrier.port)
        running = [asyncio.create_task(desk.run("north", open_one, errand)) for _ in range(TRIALS_MAX)]
        await asyncio.wait(running, timeout=0)
        with pytest.raises(Overloaded):
            await desk.run("north", open_one, errand)
        reports = await soon(asyncio.gather(*running))
        again = await desk.run("north", open_one, Errand())

    assert [report.delivered for report in reports] == [False] * TRIALS_MAX
    assert again.linked
