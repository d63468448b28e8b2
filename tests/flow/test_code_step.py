"""The one step by which every page asks for a code: what is said to each thing a person can type."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dastak.core import oath
from dastak.core.events import CallReported
from dastak.core.lockout import WRONG_CONSECUTIVE_MAX
from dastak.core.outcome import Outcome
from dastak.core.policy import Channel, Policy, ResendCode
from dastak.core.verification import Particulars, Reason, State, Verification
from dastak.flows import factors
from dastak.flows.compose import match_number_of
from dastak.flows.match import match
from dastak.tenancy.directory import Directory
from dastak.web.code_step import CodeOutcome, CodeStep
from dastak.web.page_files import PageFiles
from dastak.web.page_house import PageHouse
from dastak.web.page_templates import PageTemplates
from dastak.web.page_words import words_of
from tests.flow.test_fall_back import with_calls
from tests.support.house import House, ScriptedRoute, open_house
from tests.support.samples import MSISDN, NOW

WORDS = words_of("en")


class Page:
    """Somebody who has the form of one verification open."""

    def __init__(self, house: House, verification: Verification) -> None:
        templates = PageTemplates(PageFiles())
        self.step = CodeStep(
            PageHouse(
                ports=house.ports,
                directory=Directory(lambda: NOW),
                templates=templates,
                public_url="http://x",
            )
        )
        self.house, self.id = house, verification.id
        self.templates, self.at = templates, ""

    async def look(self) -> Mapping[str, Any]:
        values = await self.step.look(self.house.caller, self.id, WORDS)
        self.at = values["at"]
        return values

    async def do(self, what: str, code: str = "", *, at: str | None = None) -> CodeOutcome:
        if at is None:
            at = (await self.look())["at"]
        form = {"do": what, "code": code, "at": at}
        outcome = await self.step.act(self.house.caller, self.id, form, WORDS)
        self.id = outcome.verification
        if outcome.values:
            self.templates.render("code_form.html", WORDS, outcome.values)
        return outcome

    async def type(self, code: str) -> CodeOutcome:
        return await self.do("check", code)


async def started(house: House, **asked: Any) -> tuple[Page, Verification]:
    verification = await house.start(**asked)
    return Page(house, verification), verification


async def test_right_code_is_approved_once_and_then_said_to_be_used(house: House) -> None:
    page, verification = await started(house)

    first, second = (
        await page.type(f" {house.code(verification)} "),
        await page.type(house.code(verification)),
    )

    assert first.approved
    assert (second.approved, second.status, second.values["kind"]) == (False, 422, "over")
    assert second.values["error"] == "That code was already used. Go back to Acme."


async def test_parallel_forms_with_the_right_code_approve_once(house: House) -> None:
    page, verification = await started(house)
    at = (await page.look())["at"]

    outcomes = await asyncio.gather(*(page.do("check", house.code(verification), at=at) for _ in range(20)))

    assert sum(outcome.approved for outcome in outcomes) == 1


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("48291", "The code has 6 digits. You typed 5."),
        ("", "Type only the 6 digits from the message."),
        ("Rs 500000 to Ravi. OTP 482913", "Type only the 6 digits from the message."),
    ],
)
async def test_what_is_no_code_costs_no_attempt_and_is_kept_in_the_field(
    house: House, typed: str, sentence: str
) -> None:
    page, verification = await started(house)

    outcome = await page.type(typed)

    assert (outcome.status, outcome.values["error"], outcome.values["typed"]) == (422, sentence, typed)
    assert (await house.found(verification)).attempts == 0


async def test_wrong_code_costs_an_attempt_and_says_how_many_are_left(house: House) -> None:
    page, verification = await started(house)

    outcome = await page.type(house.wrong(verification))

    assert outcome.values["error"] == "That code is not correct. Check the message. Tries left: 4."
    assert outcome.judgement is not None
    assert outcome.judgement.reason is Reason.WRONG_CODE
    assert (await house.found(verification)).attempts == 1


async def test_form_that_comes_again_is_neither_judged_nor_sent_again(house: House) -> None:
    page, verification = await started(house)
    shown = (await page.look())["at"]
    await page.do("check", house.wrong(verification), at=shown)

    again = await page.do("check", house.wrong(verification), at=shown)

    assert (again.status, again.values["error"]) == (200, "")
    assert (await house.found(verification)).attempts == 1


async def test_code_of_an_earlier_verification_is_named_and_costs_nothing(house: House) -> None:
    earlier = await house.start()
    house.clock.advance(40)
    page, verification = await started(house)

    outcome = await page.type(house.code(earlier))

    assert outcome.values["error"] == "That is the code from an earlier message. Use the newest one."
    assert (await house.found(verification)).attempts == 0
    assert (await page.type(house.code(verification))).approved


async def test_code_that_still_opens_something_else_is_not_confirmed(house: House) -> None:
    said = Particulars(purpose="payment", amount="500.00", currency="INR", payee="Ravi")
    payment = await house.start(particulars=said)
    house.clock.advance(40)
    page, verification = await started(house)

    outcome = await page.type(house.code(payment))

    assert outcome.values["error"] == "That code is not correct. Check the message. Tries left: 4."
    assert (await house.found(verification)).attempts == 1


async def test_locked_number_is_sent_no_new_code_for_one_that_is_too_old(house: House) -> None:
    for _ in range(2):
        page, verification = await started(house)
        for _ in range(5):
            await page.type(house.wrong(verification))
        house.clock.advance(40)
    page, verification = await started(house)
    house.clock.advance(301)

    outcome = await page.type(house.code(verification))

    assert outcome.values["error"].startswith("The time for this code is over.")
    assert len(await house.all()) == 3


async def test_code_that_a_resend_replaced_is_named_and_costs_nothing(tmp_path: Path) -> None:
    policy = Policy(resend_code=ResendCode.NEW)
    async with open_house(tmp_path, ScriptedRoute("north"), policy=policy) as house:
        page, verification = await started(house)
        house.clock.advance(31)

        sent = await page.do("resend")
        older = await page.type(house.code(verification, 0))

        assert sent.values["notice"] == "We have sent a new code. Use the newest one."
        assert older.values["error"].startswith("That is the code from an earlier message.")
        assert (await house.found(verification)).attempts == 0
        assert (await page.type(house.code(verification, 1))).approved


async def test_code_whose_time_is_over_sends_a_new_one_once(house: House) -> None:
    page, verification = await started(house)
    shown = (await page.look())["at"]
    house.clock.advance(301)

    outcomes = await asyncio.gather(*(page.do("check", house.code(verification), at=shown) for _ in range(2)))

    assert {outcome.values["error"] for outcome in outcomes} == {
        "That code is too old. We have sent a new one."
    }
    assert len({outcome.verification for outcome in outcomes}) == 1
    assert len(await house.all()) == 2
    newest = (await house.all())[0]
    assert newest.id == outcomes[0].verification
    assert (await page.type(house.code(newest))).approved


async def test_code_very_long_past_sends_nothing(house: House) -> None:
    page, verification = await started(house)
    house.clock.advance(301 + 16 * 60)

    outcome = await page.type(house.code(verification))

    assert outcome.values["error"].startswith("The time for this code is over.")
    assert len(await house.all()) == 1


async def test_number_that_nobody_has_is_told_apart_from_a_time_that_is_over(house: House) -> None:
    page, _ = await started(house)
    await house.deliver()
    await house.receive("north-1", Outcome.UNKNOWN_NUMBER)

    assert (await page.look())["notice"] == "We cannot send a text to this number."


async def test_locked_number_gets_one_answer_for_right_and_wrong(house: House) -> None:
    for _ in range(2):
        page, verification = await started(house)
        for _ in range(5):
            await page.type(house.wrong(verification))
        house.clock.advance(40)
    page, verification = await started(house)

    right, wrong = await page.type(house.code(verification)), await page.type(house.wrong(verification))

    assert (right.status, right.values) == (wrong.status, wrong.values)
    assert right.values["error"].startswith("Too many tries. Wait 59 min")
    assert right.status == 429


async def test_number_that_somebody_has_to_unlock_is_told_no_time(house: House) -> None:
    for _ in range(WRONG_CONSECUTIVE_MAX // 5):
        page, verification = await started(house)
        for _ in range(5):
            await page.type(house.wrong(verification))
        house.clock.advance(7 * 3600)
    page, verification = await started(house)

    typed = await page.type(house.code(verification))

    assert (typed.status, typed.values["error"]) == (429, "We cannot send a text to this number.")


async def test_resend_waits_as_the_server_says_and_keeps_what_was_typed(house: House) -> None:
    page, verification = await started(house)

    early = await page.do("resend", "48")
    house.clock.advance(31)
    sent = await page.do("resend", "48")

    assert (early.status, early.values["typed"]) == (429, "48")
    assert early.values["error"] == "Wait 31 s, then ask again."
    assert sent.values["notice"] == "We have sent the code again. All messages carry the same code."
    assert (sent.values["typed"], sent.values["resend_wait_s"]) == ("48", 60)
    assert (await house.found(verification)).sends == 2


async def test_resend_that_comes_again_sends_nothing(house: House) -> None:
    page, verification = await started(house)
    house.clock.advance(31)
    shown = (await page.look())["at"]
    await page.do("resend", at=shown)
    house.clock.advance(100)

    again = await page.do("resend", at=shown)

    assert (again.status, again.values["error"]) == (200, "")
    assert (await house.found(verification)).sends == 2


async def test_call_may_be_asked_for_before_another_text(house: House) -> None:
    with_calls(house)
    page, _ = await started(house)
    before = await page.look()
    house.clock.advance(21)

    called = await page.do("call")

    assert (before["resend_wait_s"], before["call_wait_s"]) == (30, 20)
    assert called.values["notice"].startswith("We call you now.")
    assert called.values["way"] == "Your phone is ringing."


async def test_call_may_be_asked_for_at_once_where_the_text_is_lost(house: House) -> None:
    with_calls(house)
    page, verification = await started(house)
    await house.deliver()
    waits = [(await page.look())["call_wait_s"]]
    # No call comes by itself.
    house.ports.calls.on_event(verification, CallReported(int(house.clock.now().timestamp() * 1_000), 0))

    await house.receive("north-1", Outcome.EXPIRED)
    waits.append((await page.look())["call_wait_s"])
    watched = await page.step.watch(house.caller, page.id, WORDS)

    assert waits == [20, 0]
    assert (watched["state"], watched["call"]) == ("stuck", True)
    assert (await page.do("resend")).status == 429
    assert (await page.do("call")).values["notice"].startswith("We call you now.")


async def test_phone_that_is_away_is_promised_its_text_and_no_call(house: House) -> None:
    with_calls(house)
    page, _ = await started(house)
    await house.deliver()
    await house.receive("north-1", Outcome.ABSENT_SUBSCRIBER)

    seen = await page.look()
    watched = await page.step.watch(house.caller, page.id, WORDS)
    called = await page.do("call")

    assert (seen["way_state"], seen["call_wait_s"]) == ("off", 20)
    assert "The message comes when it is on again." in seen["way"]
    assert "call you" not in seen["way"]
    assert watched["call"] is False
    assert called.status == 429


async def test_line_follows_the_receipts_and_approves_nothing(house: House) -> None:
    page, verification = await started(house)
    lines = [(await page.look())["way"]]
    await house.deliver()
    lines.append((await page.look())["way"])

    await house.receive("north-1", Outcome.HANDSET_OFF)
    watched = await page.step.watch(house.caller, page.id, WORDS)

    assert lines == ["Sending the message…", "Sent. It usually takes about 5 s."]
    assert watched["state"] == "off"
    assert (await house.found(verification)).state is State.PENDING


async def test_masked_number_shows_two_digits_and_only_if_asked(house: House) -> None:
    page, verification = await started(house)

    plain = await page.look()
    shown = await page.step.look(house.caller, verification.id, WORDS, masked=MSISDN)

    assert plain["sent_to"] == ""
    assert shown["sent_to"] == f"Sent to the number that ends in {MSISDN[-2:]}."


async def test_number_typed_into_the_phone_is_taken_once(house: House) -> None:
    with_calls(house)
    page, verification = await started(house, match=True)
    number = match_number_of(house.ports, verification)
    shown = await page.look()
    early = await page.do("check")
    assert number is not None
    await match(house.ports, verification.id, number)

    taken = await asyncio.gather(*(page.do("check", at="") for _ in range(5)))

    assert (shown["kind"], shown["number"]) == ("match", number)
    assert early.values["error"].startswith("We have not heard the right number yet.")
    assert sum(outcome.approved for outcome in taken) == 1


async def test_payment_is_named_and_checked(house: House) -> None:
    said = Particulars(purpose="payment", amount="500.00", currency="INR", payee="Ravi")
    page, verification = await started(house, particulars=said)

    shown = await page.look()

    assert shown["payment"] == "You allow a payment of 500.00 INR to Ravi."
    assert (await page.type(house.code(verification))).approved


@pytest.mark.parametrize("do", ["resend", "call"])
async def test_authenticator_stays_asked_for_whatever_a_form_says(house: House, do: str) -> None:
    with_calls(house)
    made = await factors.enrol(house.ports, house.caller, factors.Enrolment(to=MSISDN, kind=Channel.TOTP))
    page, verification = await started(house, factor=made.factor.id)
    code = oath.totp(oath.Authenticator(seed=made.seed or b""), at_s=int(NOW.timestamp()))

    refused = await page.do(do, "48")

    assert (refused.status, refused.values["typed"]) == (422, "48")
    assert refused.values["error"].startswith("We cannot send another message now.")
    assert (await house.found(verification), house.handed) == (verification, [])
    assert (await page.type(code)).approved


@pytest.mark.parametrize("kind", [Channel.TOTP, Channel.HOTP])
async def test_authenticator_is_asked_for_without_anything_to_send(house: House, kind: Channel) -> None:
    made = await factors.enrol(house.ports, house.caller, factors.Enrolment(to=MSISDN, kind=kind))
    page, _ = await started(house, factor=made.factor.id)
    shared = oath.Authenticator(seed=made.seed or b"")
    now_s = int(house.clock.now().timestamp())
    code = oath.totp(shared, at_s=now_s) if kind is Channel.TOTP else oath.hotp(shared, 0)

    shown = await page.look()

    assert (shown["can_resend"], shown["can_call"], shown["way"]) == (False, False, "")
    assert shown["hint"] == "Type the 6 digits that your authenticator shows."
    assert (await page.type(code)).approved


async def test_authenticator_is_judged_although_the_first_question_is_over(house: House) -> None:
    made = await factors.enrol(house.ports, house.caller, factors.Enrolment(to=MSISDN, kind=Channel.TOTP))
    page, verification = await started(house, factor=made.factor.id)
    now = house.clock.advance(400)
    code = oath.totp(oath.Authenticator(seed=made.seed or b""), at_s=int(now.timestamp()))

    outcome = await page.type(code)

    assert outcome.approved
    assert outcome.verification != verification.id


async def test_printed_list_shows_its_challenge_and_takes_its_first_code(house: House) -> None:
    wanted = factors.Enrolment(to=MSISDN, kind=Channel.HASH_CHAIN, codes=20)
    made = await factors.enrol(house.ports, house.caller, wanted)
    page, _ = await started(house, factor=made.factor.id)

    shown = await page.look()

    assert "otp-sha1 19 " in shown["hint"]
    assert shown["input_mode"] == "text"
    assert (await page.type(made.printed[0])).approved


@pytest.mark.parametrize("typed", ["", "AAAA AAAA", "123456", "the first one", "0" * 65])
async def test_what_can_be_no_code_of_a_list_costs_no_attempt_and_is_told_what_is_wanted(
    house: House, typed: str
) -> None:
    wanted = factors.Enrolment(to=MSISDN, kind=Channel.HASH_CHAIN, codes=20)
    made = await factors.enrol(house.ports, house.caller, wanted)
    page, verification = await started(house, factor=made.factor.id)

    outcome = await page.type(typed)

    assert (outcome.status, outcome.judgement) == (422, None)
    assert outcome.values["error"].startswith("Type the next code of your printed list: otp-sha1 19 ")
    assert (await house.store.find(1, verification.id)).verification.attempts == 0
    assert (await page.type("0123 4567 89ab cdef")).judgement is not None, "this could have been one"


async def test_what_can_be_no_code_of_an_authenticator_is_told_where_to_look(house: House) -> None:
    made = await factors.enrol(house.ports, house.caller, factors.Enrolment(to=MSISDN, kind=Channel.TOTP))
    page, _ = await started(house, factor=made.factor.id)

    outcome = await page.type("hello")

    assert outcome.values["error"] == "Type the 6 digits that your authenticator shows."
