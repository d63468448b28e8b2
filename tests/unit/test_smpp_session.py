"""The SMPP session machine: its tables, its clock, and its laws under any course of events."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dastak.sms.pdu import Pdu, decode, encode, encode_body, frame
from dastak.sms.pdu_bodies import AlertNotification, Bind, BindResp, MessageIdResp, Sm
from dastak.sms.smpp_codes import RESPONSE_BIT, Command, Status
from dastak.sms.smpp_session import (
    OPERATIONS,
    SEQUENCE_NUMBER_MAX,
    TRANSITIONS,
    Alerted,
    Answered,
    Closed,
    Event,
    Requested,
    Role,
    SmppSession,
    State,
    TimedOut,
)

BIND = encode_body(Bind(system_id="acme", password="pw"))
SUBMIT = encode_body(Sm(destination_addr="919876543210", short_message=b"x"))
BINDS = [Command.BIND_TRANSMITTER, Command.BIND_RECEIVER, Command.BIND_TRANSCEIVER]


def new_session(role: Role, **changes: Any) -> SmppSession:
    wanted = {
        "window": 3,
        "inbound_max": 2,
        "bind_timeout_s": 5.0,
        "response_timeout_s": 1.0,
        "enquire_link_s": 10.0,
        "now": 0.0,
    }
    return SmppSession(role, **(wanted | changes))


def sent(session: SmppSession) -> list[Pdu]:
    """Take away what a session has to say."""
    pdus = [decode(octets) for octets in session.output]
    session.output.clear()
    return pdus


def hear(session: SmppSession, *pdus: Pdu, now: float = 0.0) -> list[Event]:
    return list(session.receive(b"".join(encode(pdu) for pdu in pdus), now))


def bound_esme(command: Command = Command.BIND_TRANSCEIVER, **changes: Any) -> SmppSession:
    esme = new_session(Role.ESME, **changes)
    esme.request(command, BIND, now=0.0)
    (bind,) = sent(esme)
    hear(esme, Pdu(command_id=command | RESPONSE_BIT, sequence_number=bind.sequence_number, body=BindResp()))
    return esme


def bound_smsc(command: Command = Command.BIND_TRANSCEIVER, **changes: Any) -> SmppSession:
    smsc = new_session(Role.SMSC, **changes)
    hear(smsc, Pdu(command_id=command, sequence_number=1, body=Bind(system_id="acme")))
    smsc.respond(1, body=BindResp())
    sent(smsc)
    return smsc


@pytest.mark.parametrize(
    ("command", "state"),
    [
        (Command.BIND_TRANSMITTER, State.BOUND_TX),
        (Command.BIND_RECEIVER, State.BOUND_RX),
        (Command.BIND_TRANSCEIVER, State.BOUND_TRX),
    ],
)
def test_bind_moves_both_sides(command: Command, state: State) -> None:
    assert bound_esme(command).state is state
    assert bound_smsc(command).state is state


def test_refused_bind_leaves_both_sides_open() -> None:
    esme, smsc = new_session(Role.ESME), new_session(Role.SMSC)
    esme.request(Command.BIND_TRANSCEIVER, BIND, context="bind", now=0.0)

    (asked,) = hear(smsc, *sent(esme))
    assert isinstance(asked, Requested)
    smsc.respond(asked.sequence_number, Status.ESME_RINVPASWD)
    answers = hear(esme, *sent(smsc))

    assert answers == [Answered("bind", Status.ESME_RINVPASWD, None)]
    assert (esme.state, smsc.state) == (State.OPEN, State.OPEN)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", sorted(OPERATIONS))
def test_peer_may_ask_only_what_the_table_allows(state: State, command: int) -> None:
    smsc = new_session(Role.SMSC)
    smsc.state = state
    allowed = state in OPERATIONS[command].esme

    list(smsc.receive(frame(command, 0, 9, b"\0" * 40), 0.0))

    answers = [pdu.command_status for pdu in sent(smsc)]
    if state is State.CLOSED or command == Command.ALERT_NOTIFICATION:
        assert answers == []
    elif not allowed:
        assert answers == [Status.ESME_RALYBND if command in BINDS else Status.ESME_RINVBNDSTS]
    else:
        assert answers in ([], [0])


def test_every_transition_starts_from_a_state_in_which_its_request_is_allowed() -> None:
    for (state, command), _ in TRANSITIONS.items():
        if not command & RESPONSE_BIT:
            assert state in OPERATIONS[command].esme


def test_unknown_command_gets_generic_nack() -> None:
    smsc = bound_smsc()

    events = list(smsc.receive(frame(0x00010203, 0, 77, b"abc"), 0.0))

    assert events == []
    nack = Pdu(command_id=Command.GENERIC_NACK, command_status=Status.ESME_RINVCMDID, sequence_number=77)
    assert sent(smsc) == [nack]


def test_unknown_response_is_not_answered() -> None:
    smsc = bound_smsc()

    assert list(smsc.receive(frame(0x80010203, 0, 77), 0.0)) == []
    assert sent(smsc) == []


def test_request_that_cannot_be_read_gets_an_error_and_the_link_lives() -> None:
    smsc = bound_smsc()

    assert list(smsc.receive(frame(Command.SUBMIT_SM, 0, 5, b"\0\0"), 0.0)) == []

    assert [(p.command_id, p.command_status) for p in sent(smsc)] == [
        (Command.SUBMIT_SM_RESP, Status.ESME_RINVCMDLEN)
    ]
    assert smsc.bound


def test_alert_notification_is_told_and_never_answered() -> None:
    esme = bound_esme()
    alert = AlertNotification(source_addr="919876543210")

    events = hear(esme, Pdu(command_id=Command.ALERT_NOTIFICATION, sequence_number=4, body=alert))

    assert events == [Alerted(alert)]
    assert sent(esme) == []


def test_enquire_link_is_answered_at_once_by_either_side() -> None:
    for session in (bound_esme(), bound_smsc(), new_session(Role.SMSC)):
        assert hear(session, Pdu(command_id=Command.ENQUIRE_LINK, sequence_number=8)) == []
        assert sent(session) == [Pdu(command_id=Command.ENQUIRE_LINK_RESP, sequence_number=8)]


def test_silent_peer_is_asked_once_and_then_given_up() -> None:
    esme = bound_esme(enquire_link_s=10.0)

    assert [esme.tick(now) for now in (9.9, 10.0, 15.0)] == [[], [], []]
    assert [pdu.command_id for pdu in sent(esme)] == [Command.ENQUIRE_LINK]
    assert esme.tick(20.0) == [Closed("no answer to enquire_link", ())]


def test_peer_that_answers_enquire_link_lives_on() -> None:
    esme = bound_esme(enquire_link_s=10.0)
    esme.tick(10.0)
    (asked,) = sent(esme)

    hear(esme, Pdu(command_id=Command.ENQUIRE_LINK_RESP, sequence_number=asked.sequence_number), now=12.0)

    assert esme.tick(21.9) == []
    assert esme.bound


def test_request_without_answer_times_out_and_frees_its_room() -> None:
    esme = bound_esme(window=1, response_timeout_s=1.0)
    esme.request(Command.SUBMIT_SM, SUBMIT, context="a", now=3.0)
    (asked,) = sent(esme)
    assert esme.room == 0

    assert esme.tick(3.9) == []
    assert esme.tick(4.0) == [TimedOut("a")]
    assert esme.room == 1
    late = Pdu(command_id=Command.SUBMIT_SM_RESP, sequence_number=asked.sequence_number, body=MessageIdResp())
    assert hear(esme, late, now=4.1) == []


def test_answer_of_another_kind_is_passed_over() -> None:
    esme = bound_esme()
    esme.request(Command.SUBMIT_SM, SUBMIT, context="a", now=0.0)
    (asked,) = sent(esme)

    wrong = Pdu(command_id=Command.DATA_SM_RESP, sequence_number=asked.sequence_number, body=MessageIdResp())

    assert hear(esme, wrong) == []
    assert not esme.idle


@pytest.mark.parametrize(
    ("status", "seen"), [(Status.ESME_RTHROTTLED, Status.ESME_RTHROTTLED), (0, Status.ESME_RUNKNOWNERR)]
)
def test_generic_nack_answers_a_request_and_is_never_success(status: int, seen: int) -> None:
    esme = bound_esme()
    esme.request(Command.SUBMIT_SM, SUBMIT, context="a", now=0.0)
    (asked,) = sent(esme)

    nack = Pdu(command_id=Command.GENERIC_NACK, command_status=status, sequence_number=asked.sequence_number)

    assert hear(esme, nack) == [Answered("a", seen, None)]


@pytest.mark.parametrize(
    ("session", "command", "status"),
    [
        (bound_smsc, Command.SUBMIT_SM, Status.ESME_RTHROTTLED),
        (bound_esme, Command.DELIVER_SM, Status.ESME_RMSGQFUL),
    ],
)
def test_more_requests_than_allowed_are_refused_at_once(
    session: Any, command: Command, status: Status
) -> None:
    peer = session(inbound_max=2)

    events = hear(peer, *(Pdu(command_id=command, sequence_number=n, body=Sm()) for n in (11, 12, 13)))

    assert [event.sequence_number for event in events] == [11, 12]
    assert [(pdu.sequence_number, pdu.command_status) for pdu in sent(peer)] == [(13, status)]


def test_sequence_number_in_use_is_refused() -> None:
    smsc = bound_smsc(inbound_max=10)
    twice = Pdu(command_id=Command.SUBMIT_SM, sequence_number=5, body=Sm())

    assert len(hear(smsc, twice, twice)) == 1
    assert [pdu.command_status for pdu in sent(smsc)] == [Status.ESME_RTHROTTLED]


def test_respond_answers_once() -> None:
    smsc = bound_smsc()
    hear(smsc, Pdu(command_id=Command.SUBMIT_SM, sequence_number=5, body=Sm()))

    assert smsc.respond(5, body=MessageIdResp(message_id="a"))
    assert not smsc.respond(5)
    assert len(sent(smsc)) == 1


def test_unbind_lets_answers_in_and_nothing_new_out() -> None:
    esme = bound_esme()
    esme.request(Command.SUBMIT_SM, SUBMIT, context="a", now=0.0)
    esme.request(Command.UNBIND, context="unbind", now=0.0)
    submit, unbind = sent(esme)

    assert esme.state is State.UNBOUND
    assert not esme.may(Command.SUBMIT_SM)
    events = hear(
        esme,
        Pdu(command_id=Command.SUBMIT_SM_RESP, sequence_number=submit.sequence_number, body=MessageIdResp()),
        Pdu(command_id=Command.UNBIND_RESP, sequence_number=unbind.sequence_number),
    )
    assert events == [Answered("a", 0, MessageIdResp()), Answered("unbind", 0, None), Closed("unbound", ())]


def test_unbind_by_the_peer_is_answered_and_ends_the_session() -> None:
    esme = bound_esme()
    esme.request(Command.SUBMIT_SM, SUBMIT, context="a", now=0.0)
    sent(esme)

    events = hear(esme, Pdu(command_id=Command.UNBIND, sequence_number=3))

    assert events == [Closed("unbound by the peer", ("a",))]
    assert sent(esme) == [Pdu(command_id=Command.UNBIND_RESP, sequence_number=3)]


def test_unbind_without_answer_ends_the_session() -> None:
    esme = bound_esme(response_timeout_s=1.0)
    esme.request(Command.UNBIND, context="unbind", now=0.0)

    assert esme.tick(1.0) == [TimedOut("unbind"), Closed("no answer to unbind", ())]


def test_link_without_bind_is_closed() -> None:
    assert new_session(Role.SMSC, bind_timeout_s=5.0).tick(5.0) == [Closed("no bind in time", ())]
    assert bound_smsc(bind_timeout_s=5.0).tick(5.0) == []


def test_bad_length_closes_the_session_and_gives_back_what_is_pending() -> None:
    esme = bound_esme()
    esme.request(Command.SUBMIT_SM, SUBMIT, context="a", now=0.0)

    (closed,) = list(esme.receive(b"\xff\xff\xff\xff", 0.0))

    assert isinstance(closed, Closed)
    assert closed.pending == ("a",)
    assert esme.close("again") == []


def test_sequence_numbers_begin_again_at_one_and_pass_over_those_in_use() -> None:
    esme = new_session(Role.ESME, sequence_number=1)
    esme.request(Command.BIND_TRANSCEIVER, BIND, now=0.0)
    esme._sequence_number = SEQUENCE_NUMBER_MAX  # reaching it would take two thousand million requests
    esme.state = State.BOUND_TRX

    for _ in range(2):
        esme.request(Command.SUBMIT_SM, SUBMIT, now=0.0)

    assert [pdu.sequence_number for pdu in sent(esme)] == [1, SEQUENCE_NUMBER_MAX, 2]


class TwoSessions(RuleBasedStateMachine):
    """An ESME and an SMSC joined by two wires on which octets travel in pieces of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.sessions = {"esme": new_session(Role.ESME), "smsc": new_session(Role.SMSC)}
        self.wires = {"esme": bytearray(), "smsc": bytearray()}  # by who hears
        self.asked: list[Requested] = []
        self.delivered: list[Requested] = []
        self.contexts = 0
        self.ended: Counter[int] = Counter()
        self.requests_seen: Counter[int] = Counter()
        self.answers_seen: Counter[int] = Counter()

    def _take(self, side: str, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Requested):
                (self.asked if side == "smsc" else self.delivered).append(event)
            elif isinstance(event, Answered | TimedOut) and event.context is not None:
                self.ended[event.context] += 1
            elif isinstance(event, Closed):
                self.ended.update(context for context in event.pending if context is not None)
        self._pump()

    def _pump(self) -> None:
        for side, other in (("esme", "smsc"), ("smsc", "esme")):
            session = self.sessions[side]
            for octets in session.output:
                pdu = decode(octets)
                if side == "smsc":
                    answered = pdu.command_id & RESPONSE_BIT and pdu.command_id != Command.GENERIC_NACK
                    self.answers_seen[pdu.sequence_number] += bool(answered)
                elif not pdu.command_id & RESPONSE_BIT:
                    self.requests_seen[pdu.sequence_number] += 1
                self.wires[other] += octets
            session.output.clear()

    def _send(self, side: str, command: Command, body: bytes = b"") -> None:
        self.contexts += 1
        self.sessions[side].request(command, body, context=self.contexts, now=self.now)
        self._pump()

    @initialize(command=st.sampled_from([*BINDS, None]))
    def begin(self, command: Command | None) -> None:
        """Begin with a bind most of the time, for little happens without one."""
        if command is not None:
            self._send("esme", command, BIND)
            self.carry("smsc", 1000)
            self.answer(0, 0)
            self.carry("esme", 1000)

    @precondition(
        lambda self: self.sessions["esme"].may(Command.BIND_RECEIVER) and self.sessions["esme"].idle
    )
    @rule(command=st.sampled_from(BINDS))
    def bind(self, command: Command) -> None:
        self._send("esme", command, BIND)

    @precondition(
        lambda self: self.sessions["esme"].may(Command.SUBMIT_SM) and self.sessions["esme"].room > 0
    )
    @rule()
    def submit(self) -> None:
        self._send("esme", Command.SUBMIT_SM, SUBMIT)

    @precondition(
        lambda self: self.sessions["smsc"].may(Command.DELIVER_SM) and self.sessions["smsc"].room > 0
    )
    @rule()
    def deliver(self) -> None:
        self._send("smsc", Command.DELIVER_SM, SUBMIT)

    @precondition(lambda self: self.asked)
    @rule(which=st.integers(0, 100), status=st.sampled_from([0, 0, 0, 0x58, 0x412]))
    def answer(self, which: int, status: int) -> None:
        asked = self.asked.pop(which % len(self.asked))
        body = BindResp() if asked.command_id in BINDS else MessageIdResp(message_id="a")
        self.sessions["smsc"].respond(asked.sequence_number, status, body)
        self._pump()

    @precondition(lambda self: self.delivered)
    @rule(which=st.integers(0, 100))
    def acknowledge(self, which: int) -> None:
        delivered = self.delivered.pop(which % len(self.delivered))
        self.sessions["esme"].respond(delivered.sequence_number, 0, MessageIdResp())
        self._pump()

    @rule(side=st.sampled_from(["esme", "smsc"]), size=st.integers(1, 200))
    def carry(self, side: str, size: int) -> None:
        octets = bytes(self.wires[side][:size])
        del self.wires[side][:size]
        self._take(side, list(self.sessions[side].receive(octets, self.now)))

    @rule(seconds=st.sampled_from([0.3, 1.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for side, session in self.sessions.items():
            self._take(side, session.tick(self.now))

    @precondition(lambda self: self.sessions["esme"].may(Command.UNBIND))
    @rule()
    def unbind(self) -> None:
        self._send("esme", Command.UNBIND)

    @precondition(lambda self: self.sessions["esme"].bound)
    @rule()
    def cut_the_link(self) -> None:
        for side, session in self.sessions.items():
            self.wires[side].clear()
            self._take(side, session.close("cut"))

    @invariant()
    def every_request_ends_at_most_once(self) -> None:
        assert all(times == 1 for times in self.ended.values())

    @invariant()
    def nothing_pending_is_forgotten(self) -> None:
        pending = sum(len(session._pending) for session in self.sessions.values())
        assert self.contexts == sum(self.ended.values()) + pending

    @invariant()
    def window_is_never_exceeded(self) -> None:
        # One more may be an unbind, which waits for no room.
        assert all(session.room >= -1 for session in self.sessions.values())

    @invariant()
    def no_request_is_answered_twice(self) -> None:
        assert all(times <= self.requests_seen[number] for number, times in self.answers_seen.items())

    @invariant()
    def closed_session_keeps_nothing(self) -> None:
        closed = [session for session in self.sessions.values() if session.state is State.CLOSED]
        assert all(session.idle and not session._unanswered for session in closed)


TestTwoSessions = TwoSessions.TestCase
TestTwoSessions.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
