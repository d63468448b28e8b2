"""A call to a virtual phone on the SIP side: what it says, what it says again, and how each fault shows."""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dastak.simulator.call_faults import REFUSALS, CallFate, CallFault
from dastak.simulator.exchange.called_dialog import Hop
from dastak.simulator.exchange.called_events import Confirmed, Crossed, KeyTold, Over, Redescribed
from dastak.simulator.exchange.called_states import CALLED_TRANSITIONS, CalledInput, CalledState
from dastak.voice.sip.sip_message import parse
from tests.support.sip_caller import HOP, SipCaller, invite, request

TCP = Hop("TCP", ("127.0.0.1", 40_000))
SESSION = (("Supported", "timer"), ("Allow", "INVITE, UPDATE"), ("Session-Expires", "90;refresher=uas"))


def test_phone_rings_answers_and_hears_the_caller_hang_up() -> None:
    caller = SipCaller()
    caller.call.trying(0.0)
    caller.call.ring(0.0)
    caller.call.accept(b"an answer", 0.0)
    trying, ringing, answered = caller.said()
    caller.ack()
    (gone,) = caller.ask("BYE")

    assert [message.status for message in (trying, ringing, answered, gone)] == [100, 180, 200, 200]
    assert trying.to_tag == ""
    assert ringing.to_tag == answered.to_tag == "tok0"
    assert answered.first("Contact") == "<sip:+919876543210@127.0.0.1:5060>"
    assert answered.body == b"an answer"
    assert caller.news() == [Confirmed(b""), Over("BYE")]
    assert caller.call.log == ["INVITE", "100 Trying", "180 Ringing", "200 OK", "ACK", "BYE"]
    assert caller.wait(60.0) == []
    assert caller.call.finished


def test_answers_go_back_where_the_request_came_from() -> None:
    caller, stream = SipCaller(), SipCaller(hop=TCP)
    for one in (caller, stream):
        one.call.ring(0.0)

    assert [packet.to for packet in caller.packets()] == [HOP]
    assert [packet.to for packet in stream.packets()] == [TCP]


@pytest.mark.parametrize("fate", REFUSALS)
def test_refusal_is_said_until_it_is_acknowledged(fate: CallFate) -> None:
    refusal = REFUSALS[fate]
    caller = SipCaller()
    caller.call.refuse(refusal, (), 0.0)
    (first,) = caller.said()
    again = caller.wait(2.0)
    caller.say(request("ACK", branch="z9hG4bKinvite", cseq=1, tag=first.to_tag))

    assert (first.status, first.reason, first.cause) == refusal
    assert [message.status for message in again] == [refusal.status] * 2
    assert caller.news() == [Over(f"{refusal.status} {refusal.reason}")]
    assert caller.wait(60.0) == []
    assert caller.call.finished


@pytest.mark.parametrize("hop", [HOP, TCP])
def test_answer_is_said_again_until_its_ack_and_without_one_the_phone_hangs_up(hop: Hop) -> None:
    caller = SipCaller(hop=hop)
    caller.call.accept(b"an answer", 0.0)
    said = caller.wait(40.0)

    answers = [message for message in said if message.status]
    byes = [message for message in said if not message.status]
    assert [message.status for message in answers] == [200] * 11
    assert {(message.method, message.cseq) for message in byes} == {("BYE", 1)}
    assert caller.news() == [Over("BYE")]
    assert caller.call.log[-2:] == ["no ACK", "our BYE"]


def test_repeated_invite_gets_the_newest_answer_again_and_nothing_before_there_is_one() -> None:
    caller = SipCaller()
    before = caller.say(invite())
    caller.call.trying(2.0)
    caller.call.ring(2.0)
    caller.packets()

    assert before == []
    assert [message.status for message in caller.say(invite())] == [180]


def test_cancel_ends_a_call_that_rings() -> None:
    caller = SipCaller()
    caller.call.ring(0.0)
    caller.packets()
    canceled, terminated = caller.say(request("CANCEL", branch="z9hG4bKinvite", cseq=1))

    assert (canceled.method, canceled.status) == ("CANCEL", 200)
    assert (terminated.method, terminated.status) == ("INVITE", 487)
    assert caller.news() == [Over("CANCEL")]


@pytest.mark.parametrize("rings", [True, False])
def test_invitation_that_expires_ends_a_call_that_nobody_answered_or_called_off(rings: bool) -> None:
    caller = SipCaller(first=invite(headers=[("Expires", "9")]))
    if rings:
        caller.call.ring(0.0)
        caller.packets()
    before, (terminated, *_) = caller.wait(8.9), caller.wait(9.0)

    assert before == []
    assert (terminated.method, terminated.status) == ("INVITE", 487)
    assert caller.news() == [Over("expired")]
    assert caller.call.log[-2:] == ["the invitation expired", "487 Request Terminated"]


def test_invitation_that_was_answered_expires_no_more() -> None:
    caller = SipCaller(first=invite(headers=[("Expires", "9")]))
    caller.answered()

    assert caller.wait(60.0) == []
    assert caller.call.state is CalledState.TALKING


@pytest.mark.parametrize("said", ["", "soon", "-1", "9.5", "9" * 11])
def test_expiry_that_cannot_be_read_is_none(said: str) -> None:
    caller = SipCaller(first=invite(headers=[("Expires", said)]))
    caller.call.ring(0.0)
    caller.packets()

    assert caller.wait(200.0) == []
    assert caller.call.state is CalledState.RINGING


def test_cancel_of_nothing_and_of_an_answered_call_change_nothing() -> None:
    caller = SipCaller()
    caller.answered()
    other = caller.say(request("CANCEL", branch="z9hG4bKother", cseq=1))
    late = caller.say(request("CANCEL", branch="z9hG4bKinvite", cseq=1))

    assert [message.status for message in (*other, *late)] == [481, 200]
    assert caller.call.state is CalledState.TALKING


def test_late_answer_crosses_the_cancel() -> None:
    caller = SipCaller(CallFault(late_answer=True))
    caller.call.ring(0.0)
    caller.packets()
    caller.say(request("CANCEL", branch="z9hG4bKinvite", cseq=1))
    crossed = caller.news()
    caller.call.accept(b"an answer", 0.0)

    assert crossed == [Crossed()]
    assert caller.statuses() == [200]
    assert caller.call.log[-2:] == ["CANCEL", "200 OK"]


def test_lost_acks_let_the_answer_be_said_again() -> None:
    caller = SipCaller(CallFault(lost_acks=2))
    caller.call.accept(b"an answer", 0.0)
    caller.packets()
    caller.ack()
    first = caller.wait(0.6)
    caller.ack()
    second = caller.wait(2.0)
    caller.ack()

    assert [message.status for message in (*first, *second)] == [200, 200]
    assert caller.call.log == ["INVITE", "200 OK", "ACK lost", "ACK lost", "ACK"]
    assert caller.wait(60.0) == []


def test_lost_byes_are_not_answered() -> None:
    caller = SipCaller(CallFault(lost_byes=1))
    caller.answered()

    assert caller.ask("BYE", cseq=2) == []
    assert [message.status for message in caller.ask("BYE", cseq=2)] == [200]
    assert caller.news() == [Over("BYE")]


def test_forked_call_is_answered_by_each_phone_and_the_first_decides() -> None:
    caller = SipCaller(CallFault(forks=3))
    caller.call.accept(b"an answer", 0.0)
    tags = [message.to_tag for message in caller.said()]
    for tag in tags:
        caller.ack(tag=tag)
    for tag in tags[1:]:
        caller.ask("BYE", tag=tag)

    assert len(set(tags)) == 3
    assert caller.call.state is CalledState.TALKING
    assert caller.wait(60.0) == []
    caller.ask("BYE", tag=tags[0])
    assert caller.news() == [Confirmed(b""), Over("BYE")]


def test_phone_hangs_up_and_says_so_until_it_is_answered() -> None:
    caller = SipCaller()
    caller.answered()
    caller.call.hang_up(0.0)
    bye, *again = [*caller.said(), *caller.wait(1.6)]
    caller.reply(bye, 200)

    assert (bye.method, bye.uri, bye.from_tag, bye.to_tag) == (
        "BYE",
        "sip:shop@127.0.0.1:5071",
        "tok0",
        "caller",
    )
    assert [message.method for message in again] == ["BYE", "BYE"]
    assert caller.news() == [Over("BYE")]
    caller.wait(60.0)
    assert caller.call.finished


def test_phone_that_puts_down_before_the_ack_hangs_up_after_it() -> None:
    caller = SipCaller()
    caller.call.accept(b"an answer", 0.0)
    caller.call.hang_up(0.0)
    before = caller.said()
    (bye,) = caller.ack()

    assert [message.status for message in before] == [200]
    assert bye.method == "BYE"


def test_hold_options_info_and_what_is_unknown_are_answered_in_the_dialog() -> None:
    caller = SipCaller()
    caller.answered()
    caller.ask("INVITE", cseq=2, body=b"hold")
    held = caller.news()
    caller.call.answer_offer(b"held", 0.0)
    (answer,) = caller.said()
    caller.ack(cseq=2)
    (options,) = caller.ask("OPTIONS", cseq=3)
    (info,) = caller.ask("INFO", cseq=4, body=b"Signal=5")
    (unknown,) = caller.ask("REFER", cseq=5)
    (old,) = caller.ask("OPTIONS", cseq=1)
    (stranger,) = caller.ask("BYE", tag="nobody", cseq=6)

    assert held == [Redescribed(b"hold")]
    assert (answer.status, answer.body) == (200, b"held")
    assert [m.status for m in (options, info, unknown, old, stranger)] == [200, 200, 405, 500, 481]
    assert caller.news() == [KeyTold(b"Signal=5")]
    assert caller.call.state is CalledState.TALKING


def test_offer_that_cannot_be_used_is_refused_and_the_call_goes_on() -> None:
    caller = SipCaller()
    caller.answered()
    caller.ask("INVITE", cseq=2, body=b"video")
    caller.call.answer_offer(None, 0.0)

    assert caller.statuses() == [488]
    assert caller.call.state is CalledState.TALKING


def test_session_is_refreshed_by_the_phone_and_ends_when_nobody_answers_that() -> None:
    caller = SipCaller(first=invite(headers=SESSION))
    caller.call.accept(b"an answer", 0.0)
    (answer,) = caller.said()
    caller.ack()
    (refresh,) = caller.wait(45.2)
    caller.reply(refresh, 200)
    later = caller.wait(140.0)

    assert answer.first("Session-Expires") == "90;refresher=uas"
    assert (refresh.method, refresh.first("Session-Expires")) == ("UPDATE", "90;refresher=uac")
    assert {message.method for message in later} == {"UPDATE", "BYE"}
    assert caller.news()[-1] == Over("BYE")


def test_session_that_the_caller_stops_to_refresh_ends() -> None:
    wants = (("Supported", "timer"), ("Session-Expires", "90;refresher=uac"))
    caller = SipCaller(first=invite(headers=wants))
    caller.call.accept(b"an answer", 0.0)
    caller.ack()
    caller.packets()
    caller.wait(50.0)
    (refreshed,) = caller.ask("UPDATE", cseq=2, headers=wants)
    quiet = caller.wait(100.0)
    ended = caller.wait(111.0)

    assert (refreshed.status, refreshed.first("Session-Expires")) == (200, "90;refresher=uac")
    assert quiet == []
    assert ended[0].method == "BYE"


def test_table_leads_from_everywhere_to_the_end_and_from_there_nowhere() -> None:
    reached = {CalledState.OVER}
    for _ in CalledState:
        reached |= {state for (state, _), to in CALLED_TRANSITIONS.items() if to in reached}

    assert reached == set(CalledState)
    assert not [state for state, _ in CALLED_TRANSITIONS if state is CalledState.OVER]
    assert {happened for _, happened in CALLED_TRANSITIONS} == set(CalledInput)


class CallIsToldToBeOverExactlyOnce(RuleBasedStateMachine):
    """Whatever phone and caller do, in whatever order, and whatever time does."""

    def __init__(self) -> None:
        super().__init__()
        self.caller = SipCaller(CallFault(lost_acks=1, lost_byes=1, forks=2))
        self.over = 0
        self.cseq = 1

    @rule(act=st.sampled_from(["trying", "ring", "hang_up"]))
    def phone_acts(self, act: str) -> None:
        getattr(self.caller.call, act)(self.caller.now)

    @rule(early=st.booleans())
    def phone_answers(self, early: bool) -> None:
        act = self.caller.call.progress if early else self.caller.call.accept
        act(b"sdp", self.caller.now)

    @rule(fate=st.sampled_from(list(REFUSALS)))
    def phone_refuses(self, fate: CallFate) -> None:
        self.caller.call.refuse(REFUSALS[fate], (), self.caller.now)

    @rule(method=st.sampled_from(["BYE", "INFO", "INVITE", "UPDATE", "OPTIONS"]), again=st.booleans())
    def caller_asks(self, method: str, again: bool) -> None:
        self.cseq += not again
        self.caller.ask(method, cseq=self.cseq, body=b"x")

    @rule(tag=st.sampled_from(["tok0", "tok1", "tok9"]))
    def caller_acknowledges(self, tag: str) -> None:
        self.caller.ack(tag=tag)

    @rule()
    def caller_cancels(self) -> None:
        self.caller.say(request("CANCEL", branch="z9hG4bKinvite", cseq=1))

    @rule()
    def offer_is_answered(self) -> None:
        self.caller.call.answer_offer(b"sdp", self.caller.now)

    @rule(seconds=st.floats(0.1, 40.0))
    def time_goes_by(self, seconds: float) -> None:
        self.caller.wait(self.caller.now + seconds)

    @invariant()
    def told_once(self) -> None:
        self.over += sum(isinstance(event, Over) for event in self.caller.news())
        ending = self.caller.call.state in {CalledState.OVER, CalledState.HANGING_UP}
        assert self.over == ending

    def teardown(self) -> None:
        self.caller.call.answer_offer(None, self.caller.now)
        self.caller.call.refuse(REFUSALS[CallFate.BUSY], (), self.caller.now)
        self.caller.call.hang_up(self.caller.now)
        self.caller.wait(self.caller.now + 200.0)
        assert self.caller.call.finished


CallIsToldToBeOverExactlyOnce.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None
)
TestCallIsToldToBeOverExactlyOnce = CallIsToldToBeOverExactlyOnce.TestCase


def test_whatever_a_spoilt_message_says_a_call_stays_readable() -> None:
    dice = random.Random(5)
    for _ in range(300):
        caller = SipCaller(CallFault(forks=2))
        caller.call.accept(b"an answer", 0.0)
        for _ in range(6):
            method = dice.choice(["ACK", "BYE", "INFO", "UPDATE", "INVITE", "CANCEL", "OPTIONS"])
            tag = dice.choice(["", "tok0", "tok1", "nobody"])
            caller.say(request(method, tag=tag, cseq=dice.randrange(1, 4), body=dice.randbytes(9)))
        for message in caller.wait(100.0):
            assert message.call_id == parse(invite()).call_id
