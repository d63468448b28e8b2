"""One outgoing call as a machine: answered, refused, challenged, canceled, forked, hung up, and spoiled."""

import random

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dastak.voice.sip.call_events import Answered, EarlyMedia, Ended, Ringing, Trying
from dastak.voice.sip.call_outcomes import CallOutcome, read_overrides
from dastak.voice.sip.sip_asking import Callee
from dastak.voice.sip.sip_call import (
    CALL_TRANSITIONS,
    CHALLENGES_MAX,
    FORKS_MAX,
    PRACKS_MAX,
    CallInput,
    CallState,
    SipCall,
)
from dastak.voice.sip.sip_digest import DigestClient
from dastak.voice.sip.sip_headers import MalformedSip, NameAddr
from dastak.voice.sip.sip_message import SipMessage, parse
from dastak.voice.sip.sip_transactions import Timing
from tests.support import sip_samples
from tests.support.sip_peer import CALLEE, PEER, TRUNK, Conversation

ASK = ("Proxy-Authenticate", 'Digest realm="trunk.example", nonce="n1", qop="auth"')
RELIABLE = (("Require", "100rel"), ("RSeq", "7"))


def methods(messages: list[SipMessage]) -> list[str | int]:
    return [message.status or message.method for message in messages]


def test_every_state_can_be_reached_and_left() -> None:
    assert {CallState.CALLING, *CALL_TRANSITIONS.values()} == set(CallState)
    assert {state for state, _ in CALL_TRANSITIONS} == set(CallState) - {CallState.OVER}
    assert {happened for _, happened in CALL_TRANSITIONS} == set(CallInput)


def test_invite_says_who_calls_whom_and_from_where() -> None:
    invite = Conversation().invite

    assert (invite.method, invite.uri, invite.body) == ("INVITE", CALLEE.uri, b"our offer")
    assert invite.via.parameters["rport"] is None
    assert invite.branch.startswith("z9hG4bK")
    assert invite.first("From") == f'"Shop" <sip:+911600100200@trunk.example>;tag={invite.from_tag}'
    assert invite.first("To") == "<sip:+919876543210@trunk.example>"
    assert invite.first("Contact") == "<sip:dastak@127.0.0.1:5070>"
    assert invite.first("Content-Type") == "application/sdp"
    assert invite.tokens("Supported") == {"timer"}
    assert invite.first("Session-Expires") == "90;refresher=uas"
    assert invite.first("Expires") == "27"
    assert invite.all("P-Asserted-Identity") == []


def test_invite_says_what_the_trunk_is_set_to() -> None:
    trunk = TRUNK.__class__(
        sent_by="h",
        contact="sip:h",
        routes=("<sip:proxy;lr>",),
        prack=True,
        session_s=0,
        assert_identity=True,
    )

    invite = Conversation(trunk).invite

    assert invite.all("Route") == ["<sip:proxy;lr>"]
    assert invite.tokens("Supported") == {"100rel"}
    assert invite.all("Session-Expires") == []
    assert invite.first("P-Asserted-Identity") == '"Shop" <sip:+911600100200@trunk.example>'


@pytest.mark.parametrize(
    "callee",
    [
        Callee(uri="sip:1\r\nX: y@t", caller=CALLEE.caller, offer=b""),
        Callee(uri=CALLEE.uri, caller=NameAddr("sip:a@b", "Shop\r\nX: y"), offer=b""),
    ],
)
def test_number_or_name_that_ends_its_line_is_refused(callee: Callee) -> None:
    with pytest.raises(MalformedSip):
        SipCall(TRUNK, callee, DigestClient(None, str), lambda: "x", now=0.0)


def test_call_is_told_from_trying_to_the_end() -> None:
    talk = Conversation()

    talk.reply(100, tag="")
    talk.reply(180)
    talk.reply(180)
    talk.reply(183, body=b"tones")
    (ack,) = talk.reply(200, body=b"their answer")
    (ok,) = talk.ask("BYE", headers=(("Reason", "Q.850;cause=16"),))

    assert talk.news() == [
        Trying(),
        Ringing(180),
        EarlyMedia(b"tones"),
        Answered(b"their answer"),
        Ended(CallOutcome.REMOTE_HANGUP, 200, 16),
    ]
    assert (ack.method, ack.cseq, ok.status, ok.method) == ("ACK", 1, 200, "BYE")


def test_early_media_is_no_answer() -> None:
    talk = Conversation()
    talk.reply(183, body=b"you have reached")

    talk.reply(480)

    assert talk.news() == [EarlyMedia(b"you have reached"), Ended(CallOutcome.NO_ANSWER, 480)]


def test_ack_goes_to_the_contact_by_the_recorded_route_reversed() -> None:
    talk = Conversation()

    talk.call.receive(
        parse(
            sip_samples.reply(
                talk.invite,
                200,
                headers=[("Record-Route", "<sip:10.0.0.2;lr>, <sip:10.0.0.1:5080;lr>")],
                contact="<sip:callee@10.9.9.9:7000;transport=UDP>;q=1",
            )
        ),
        PEER,
        0.0,
    )
    (packet,) = talk.packets()
    ack = parse(packet.octets)

    assert packet.to == ("10.0.0.1", 5080)
    assert ack.uri == "sip:callee@10.9.9.9:7000;transport=UDP"
    assert ack.all("Route") == ["<sip:10.0.0.1:5080;lr>", "<sip:10.0.0.2;lr>"]
    assert ack.branch != talk.invite.branch
    assert (ack.to_tag, ack.from_tag) == ("theirs", talk.invite.from_tag)


def test_strict_router_is_asked_in_the_request_line() -> None:
    talk = Conversation()

    (ack,) = talk.reply(200, headers=(("Record-Route", "<sip:10.0.0.2;lr>, <sip:10.0.0.1>"),))

    assert ack.uri == "sip:10.0.0.1"
    assert ack.all("Route") == ["<sip:10.0.0.2;lr>", "<sip:callee@127.0.0.1:5066>"]


def test_repeated_2xx_gets_the_same_ack_again() -> None:
    talk = Conversation()
    ack = talk.answered()

    assert talk.reply(200, body=b"their answer") == [ack]
    assert talk.news() == []


def test_second_fork_is_acknowledged_and_hung_up() -> None:
    talk = Conversation()
    talk.answered(tag="first")

    ack, bye = talk.reply(200, tag="second", contact="<sip:second@127.0.0.1>")

    assert (ack.method, ack.to_tag, ack.uri) == ("ACK", "second", "sip:second@127.0.0.1")
    assert (bye.method, bye.to_tag, bye.uri) == ("BYE", "second", "sip:second@127.0.0.1")
    assert talk.news() == []
    assert talk.call.state is CallState.ANSWERED


def test_forks_are_bounded() -> None:
    talk = Conversation()
    for number in range(FORKS_MAX):
        assert talk.reply(200, tag=f"fork{number}")

    assert talk.reply(200, tag="one more") == []


@pytest.mark.parametrize(
    ("status", "reason", "outcome"),
    [
        (486, "Q.850;cause=17", CallOutcome.BUSY),
        (603, "Q.850;cause=21", CallOutcome.DECLINED),
        (404, "Q.850;cause=1", CallOutcome.INVALID_NUMBER),
        (480, "Q.850;cause=20", CallOutcome.ABSENT),
        (503, "Q.850;cause=34", CallOutcome.TRUNK_DOWN),
        (302, "", CallOutcome.FAILED),
    ],
)
def test_refusal_is_acknowledged_and_named(status: int, reason: str, outcome: CallOutcome) -> None:
    talk = Conversation()
    headers = (("Reason", reason),) if reason else ()

    (ack,) = talk.reply(status, headers=headers)

    cause = int(reason.partition("=")[2]) if reason else None
    assert talk.news() == [Ended(outcome, status, cause)]
    assert (ack.method, ack.branch, ack.uri) == ("ACK", talk.invite.branch, talk.invite.uri)
    assert (ack.cseq, ack.to_tag) == (1, "theirs")
    assert talk.reply(status, headers=headers) == [ack]
    assert not talk.call.finished
    talk.wait(32.0)
    assert talk.call.finished


def test_trunk_can_name_a_refusal_otherwise() -> None:
    trunk = TRUNK.__class__(sent_by="h", contact="sip:h", overrides=read_overrides({"603/*": "absent"}))
    talk = Conversation(trunk)

    talk.reply(603)

    assert talk.news() == [Ended(CallOutcome.ABSENT, 603)]


def test_challenge_is_answered_by_a_new_invite() -> None:
    talk = Conversation()

    ack, again = talk.reply(407, headers=(ASK,))

    assert (ack.method, ack.branch, ack.cseq) == ("ACK", talk.invite.branch, 1)
    assert (again.method, again.cseq, again.call_id) == ("INVITE", 2, talk.invite.call_id)
    assert (again.from_tag, again.to_tag) == (talk.invite.from_tag, "")
    assert again.branch != talk.invite.branch
    proof = again.first("Proxy-Authorization")
    assert f'uri="{again.uri}"' in proof
    assert "secret" not in proof
    (ack,) = talk.reply(200, again)
    assert ack.cseq == 2
    assert ack.first("Proxy-Authorization") == proof


def test_next_call_proves_itself_unasked() -> None:
    first = Conversation()
    first.reply(407, headers=(ASK,))

    second = Conversation(digest=first.digest)

    assert "nc=00000002" in second.invite.first("Proxy-Authorization")


def test_trunk_that_challenges_again_and_again_does_not_know_us() -> None:
    talk = Conversation()
    invite = talk.invite

    for number in range(CHALLENGES_MAX):
        nonce = ("Proxy-Authenticate", f'Digest realm="r", nonce="{number}"')
        _, invite = talk.reply(407, invite, headers=(nonce,))
    (ack,) = talk.reply(407, invite, headers=(ASK,))

    assert (ack.method, ack.cseq) == ("ACK", CHALLENGES_MAX + 1)
    assert talk.news() == [Ended(CallOutcome.AUTH_FAILED, 407)]


def test_challenge_of_an_unknown_kind_is_the_end() -> None:
    talk = Conversation()

    talk.reply(401, headers=(("WWW-Authenticate", "Basic realm=x"),))

    assert talk.news() == [Ended(CallOutcome.AUTH_FAILED, 401)]


def test_session_too_short_for_the_trunk_is_lengthened() -> None:
    talk = Conversation()

    ack, again = talk.reply(422, headers=(("Min-SE", "180;x"),))
    talk.reply(422, again, headers=(("Min-SE", "180"),))

    assert (ack.method, again.method, again.cseq) == ("ACK", "INVITE", 2)
    assert again.first("Session-Expires") == "180;refresher=uas"
    assert talk.news() == [Ended(CallOutcome.FAILED, 422)]


@pytest.mark.parametrize("least", ["", "soon", "60", "99999999999"])
def test_session_that_cannot_be_agreed_on_is_the_end(least: str) -> None:
    talk = Conversation()

    talk.reply(422, headers=(("Min-SE", least),))

    assert talk.news() == [Ended(CallOutcome.FAILED, 422)]


def test_silent_trunk_is_unreachable_after_timer_b() -> None:
    talk = Conversation(TRUNK.__class__(sent_by="h", contact="sip:h", timing=Timing(silence_s=5.0)))

    said = talk.wait(5.0)

    assert methods(said) == ["INVITE"] * 3
    assert {message.branch for message in said} == {talk.invite.branch}
    assert talk.news() == [Ended(CallOutcome.UNREACHABLE)]
    assert talk.call.finished


def test_ringing_for_too_long_is_canceled() -> None:
    talk = Conversation()
    talk.reply(180)

    (cancel,) = talk.wait(25.0)

    assert (cancel.method, cancel.branch, cancel.cseq) == ("CANCEL", talk.invite.branch, 1)
    assert (cancel.uri, cancel.to_tag) == (talk.invite.uri, "")
    assert talk.reply(200, cancel) == []
    assert talk.news() == [Ringing(180)]
    (ack,) = talk.reply(487)
    assert ack.method == "ACK"
    assert talk.news() == [Ended(CallOutcome.NO_ANSWER, 487)]
    talk.wait(60.0)
    assert talk.call.finished


def test_cancel_without_a_487_ends_after_8_s() -> None:
    talk = Conversation()
    talk.reply(180)
    talk.wait(25.0)
    talk.news()

    talk.wait(32.9)
    assert talk.news() == []
    talk.wait(33.0)
    assert talk.news() == [Ended(CallOutcome.NO_ANSWER)]
    assert methods(talk.reply(200)) == ["ACK", "BYE"]
    assert talk.news() == []


def test_cancel_waits_for_the_first_provisional() -> None:
    talk = Conversation()

    talk.call.hang_up(CallOutcome.CANCELED, 0.1)

    assert talk.said() == []
    assert talk.news() == [Ended(CallOutcome.CANCELED)]
    assert methods(talk.reply(100, tag="")) == ["CANCEL"]
    assert methods(talk.reply(487)) == ["ACK"]
    assert talk.news() == []
    assert talk.call.state is CallState.OVER


@pytest.mark.parametrize(("rings_until", "limit"), [(9.2, 9.2), (60.0, 25.0)])
def test_earlier_limit_of_call_and_trunk_ends_the_ringing_before_the_invitation_expires(
    rings_until: float, limit: float
) -> None:
    talk = Conversation(callee=msgspec.structs.replace(CALLEE, rings_until=rings_until))
    talk.reply(180)

    before, (cancel, *_) = talk.wait(limit - 0.1), talk.wait(limit)

    assert (before, cancel.method) == ([], "CANCEL")
    assert limit + 2 <= int(talk.invite.first("Expires")) < limit + 3


def test_invitation_that_is_said_anew_expires_when_the_first_one_did() -> None:
    talk = Conversation()
    talk.wait(10.4)

    _, again = talk.reply(407, headers=(ASK,))

    assert (again.method, again.first("Expires")) == ("INVITE", "17")


def test_invitation_that_comes_too_late_expires_at_once() -> None:
    talk = Conversation(callee=msgspec.structs.replace(CALLEE, rings_until=-3.0))

    assert talk.invite.first("Expires") == "2"


def test_ring_limit_without_any_answer_is_unreachable() -> None:
    talk = Conversation()

    said = talk.wait(25.0)

    assert set(methods(said)) == {"INVITE"}
    assert talk.news() == [Ended(CallOutcome.UNREACHABLE)]


@pytest.mark.parametrize("heard", [True, False])
def test_2xx_that_races_the_cancel_is_hung_up_at_once(heard: bool) -> None:
    talk = Conversation()
    if heard:
        talk.reply(180)
    talk.call.hang_up(CallOutcome.CANCELED, 1.0)
    talk.said()

    ack, bye = talk.reply(200)

    assert (ack.method, bye.method, bye.to_tag) == ("ACK", "BYE", "theirs")
    assert [event for event in talk.news() if isinstance(event, Ended | Answered)] == [
        Ended(CallOutcome.CANCELED, 200 if heard else 0)
    ]
    talk.reply(200, bye)
    assert talk.call.state is CallState.OVER
    talk.wait(80.0)
    assert talk.call.finished


def test_hanging_up_repeats_its_bye_until_it_is_answered() -> None:
    talk = Conversation()
    talk.answered()

    talk.call.hang_up(CallOutcome.COMPLETED, 10.0)
    (bye,) = talk.said()
    again = talk.wait(11.0)

    assert (bye.method, bye.cseq) == ("BYE", 2)
    assert again == [bye]
    assert talk.news() == [Ended(CallOutcome.COMPLETED, 200)]
    talk.reply(200, bye)
    assert talk.call.state is CallState.OVER
    assert talk.wait(60.0) == []
    assert talk.call.finished


def test_challenged_bye_is_said_again_once() -> None:
    talk = Conversation()
    talk.answered()
    talk.call.hang_up(CallOutcome.COMPLETED, 1.0)
    (bye,) = talk.said()

    (again,) = talk.reply(407, bye, headers=(ASK,))

    assert (again.method, again.cseq) == ("BYE", 3)
    assert "nc=00000001" in again.first("Proxy-Authorization")
    assert talk.reply(407, again, headers=(ASK,)) == []
    assert talk.call.state is CallState.OVER


def test_call_that_lasts_too_long_is_hung_up() -> None:
    talk = Conversation()
    talk.answered()

    (bye,) = talk.wait(90.0)

    assert bye.method == "BYE"
    assert talk.news() == [Ended(CallOutcome.MAX_DURATION, 200)]


def test_byes_that_cross_are_both_answered() -> None:
    talk = Conversation()
    talk.answered()
    talk.call.hang_up(CallOutcome.COMPLETED, 1.0)
    (bye,) = talk.said()

    (ok,) = talk.ask("BYE")
    talk.reply(481, bye)

    assert ok.status == 200
    assert talk.news() == [Ended(CallOutcome.COMPLETED, 200)]
    assert talk.call.state is CallState.OVER


def test_reliable_provisional_gets_its_prack_once() -> None:
    talk = Conversation()

    (prack,) = talk.reply(183, headers=RELIABLE, body=b"early answer")
    repeated = talk.reply(183, headers=RELIABLE)
    skipped = talk.reply(183, headers=(("Require", "100rel"), ("RSeq", "9")))
    (second,) = talk.reply(180, headers=(("Require", "100rel"), ("RSeq", "8")))

    assert (prack.method, prack.first("RAck"), prack.to_tag) == ("PRACK", "7 1 INVITE", "theirs")
    assert prack.uri == "sip:callee@127.0.0.1:5066"
    assert (repeated, skipped) == ([], [])
    assert (second.first("RAck"), second.cseq) == ("8 1 INVITE", 3)
    talk.reply(200, prack)
    talk.reply(200, body=b"")
    assert talk.news()[-1] == Answered(b"early answer")


def test_pracks_of_one_call_are_bounded() -> None:
    talk = Conversation()

    said = [talk.reply(183, headers=(("Require", "100rel"), ("RSeq", f"{n}"))) for n in range(1, 200)]

    assert sum(map(len, said)) == PRACKS_MAX
    talk.reply(200, body=b"their answer")
    assert talk.news()[-1] == Answered(b"their answer")


def test_challenged_prack_is_said_again_with_its_rack() -> None:
    talk = Conversation()
    (prack,) = talk.reply(183, headers=RELIABLE)

    (again,) = talk.reply(407, prack, headers=(ASK,))

    assert (again.method, again.first("RAck"), again.cseq) == ("PRACK", "7 1 INVITE", 3)


@pytest.mark.parametrize("wished", [None, CallOutcome.CANCELED])
def test_lost_connection_ends_the_call(wished: CallOutcome | None) -> None:
    talk = Conversation()
    talk.reply(180)
    if wished:
        talk.call.hang_up(wished, 1.0)
    talk.news()

    talk.call.lose()

    assert talk.news() == [Ended(wished) if wished else Ended(CallOutcome.TRUNK_DOWN, 503)]
    assert talk.call.finished
    assert talk.call.deadline is None


def test_stray_answers_say_nothing() -> None:
    talk = Conversation()
    octets = sip_samples.reply(talk.invite, 200)

    assert talk.hear(octets.replace(talk.invite.branch.encode(), b"z9hG4bKguessed")) == []
    assert talk.hear(octets.replace(b"CSeq: 1", b"CSeq: 2")) == []
    assert talk.hear(octets.replace(talk.invite.from_tag.encode(), b"guessed")) == []
    assert talk.news() == []


@pytest.mark.parametrize("seed", range(3))
def test_spoiled_messages_end_no_call_twice_and_raise_nothing(seed: int) -> None:
    dice = random.Random(seed)
    ended = 0

    for _ in range(300):
        talk = Conversation()
        templates = [
            sip_samples.reply(talk.invite, 180, headers=RELIABLE),
            sip_samples.reply(talk.invite, 407, headers=[ASK]),
            sip_samples.reply(talk.invite, 200, headers=[("Record-Route", "<sip:10.0.0.1;lr>")]),
            sip_samples.reply(talk.invite, 486, headers=[("Reason", "Q.850;cause=17")]),
            sip_samples.ask(talk.invite, "BYE", cseq=9),
            sip_samples.ask(
                talk.invite, "INVITE", cseq=5, body=b"offer", headers=[("Session-Expires", "90")]
            ),
            sip_samples.ask(talk.invite, "INFO", cseq=6, body=b"Signal=1"),
            sip_samples.ask(talk.invite, "ACK", cseq=5),
        ]
        for _ in range(6):
            template = dice.choice(templates)
            try:
                message = parse(template if dice.random() < 0.3 else sip_samples.spoiled(template, dice))
            except MalformedSip:
                continue
            talk.call.receive(message, PEER, talk.now)
            talk.call.answer_offer(dice.choice([None, b"sdp"]), talk.now)
            talk.said()
        talk.wait(200.0)
        over = [event for event in talk.news() if isinstance(event, Ended)]
        assert len(over) == 1
        assert talk.call.finished
        ended += 1

    assert ended == 300


class AnyCall(RuleBasedStateMachine):
    """Answers, requests, hanging up and time in any order."""

    @initialize(prack=st.booleans())
    def begin(self, prack: bool) -> None:
        self.talk = Conversation(TRUNK.__class__(sent_by="h", contact="sip:h", prack=prack))
        self.over: list[Ended] = []
        self.answers = 0
        self.acked: set[str] = set()
        self.accepted: set[str] = set()
        self.byes: set[str] = set()

    def look(self, said: list[SipMessage]) -> None:
        self.acked |= {one.to_tag for one in said if one.method == "ACK" and one.uri.startswith("sip:callee")}
        self.byes |= {one.to_tag for one in said if one.method == "BYE" and not one.status}
        for event in self.talk.news():
            assert not self.over, "something was told after the end"
            if isinstance(event, Ended):
                self.over.append(event)
            self.answers += isinstance(event, Answered)

    @rule(status=st.sampled_from([100, 180, 183, 200, 302, 407, 486, 487]), tag=st.sampled_from(["a", "b"]))
    def answer(self, status: int, tag: str) -> None:
        said = self.talk.reply(status, tag=tag, headers=(ASK,) if status == 407 else ())
        if status == 200 and any(one.method == "ACK" and one.to_tag == tag for one in said):
            self.accepted.add(tag)
        self.look(said)

    @rule(method=st.sampled_from(["BYE", "INFO", "OPTIONS", "UPDATE"]), tag=st.sampled_from(["a", "b"]))
    def ask(self, method: str, tag: str) -> None:
        (answer, *_) = self.talk.ask(method, tag=tag, cseq=len(self.over) + 1) or [None]
        assert answer is None or answer.status in {200, 481, 500}
        self.look([])

    @rule(outcome=st.sampled_from([CallOutcome.COMPLETED, CallOutcome.CANCELED, CallOutcome.NO_HUMAN]))
    def hang_up(self, outcome: CallOutcome) -> None:
        self.talk.call.hang_up(outcome, self.talk.now)
        self.look(self.talk.said())

    @rule(step=st.floats(0.1, 40.0))
    def wait(self, step: float) -> None:
        self.look(self.talk.wait(self.talk.now + step))

    @invariant()
    def every_accepted_fork_is_acknowledged(self) -> None:
        assert self.accepted <= self.acked

    @invariant()
    def answered_once_and_ended_once(self) -> None:
        assert self.answers <= 1
        assert len(self.over) <= 1

    @invariant()
    def nothing_is_kept_for_ever(self) -> None:
        if self.talk.call.state is not CallState.OVER:
            assert self.talk.call.deadline is not None

    def teardown(self) -> None:
        if hasattr(self, "talk"):
            self.look(self.talk.wait(self.talk.now + 500.0))
            assert len(self.over) == 1
            assert self.talk.call.finished


AnyCall.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestAnyCall = AnyCall.TestCase
