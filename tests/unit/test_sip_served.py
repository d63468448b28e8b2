"""What the peer asks within a call: hold, keys, timers, keep-alives, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sip.call_events import Ended, Key, Offered, Settled
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.sip_call import CallState
from dastak.voice.sip.sip_message import Header, SipMessage, parse
from dastak.voice.sip.sip_served import REQUESTS_MAX, info_digit
from tests.support import sip_samples
from tests.support.sip_peer import Conversation

RELAY: Header = ("Content-Type", "application/dtmf-relay")
SESSION: tuple[Header, ...] = (("Supported", "timer"), ("x", "90;refresher=uac"))


def talking() -> Conversation:
    talk = Conversation()
    talk.answered()
    return talk


def accept(talk: Conversation, sdp: bytes | None = b"our answer") -> SipMessage:
    talk.call.answer_offer(sdp, talk.now)
    (answer,) = talk.said()
    return answer


def test_re_invite_is_answered_by_the_shell_and_repeated_until_its_ack() -> None:
    talk = talking()

    assert talk.ask("INVITE", body=b"hold", headers=SESSION) == []
    assert talk.news() == [Offered(b"hold")]
    answer = accept(talk)
    repeats = talk.wait(0.6)
    talk.ask("ACK")
    after = talk.wait(40.0)

    assert (answer.status, answer.body, answer.first("Content-Type")) == (
        200,
        b"our answer",
        "application/sdp",
    )
    assert answer.first("Contact") == "<sip:dastak@127.0.0.1:5070>"
    assert (answer.first("Session-Expires"), answer.tokens("Require")) == ("90;refresher=uac", {"timer"})
    assert repeats == [answer]
    assert after == []
    assert talk.news() == []
    assert talk.call.state is CallState.ANSWERED


def test_repeated_re_invite_gets_the_same_answer_and_is_told_once() -> None:
    talk = talking()
    talk.ask("INVITE", body=b"hold")
    talk.ask("INVITE", body=b"hold")
    answer = accept(talk)

    assert talk.ask("INVITE", body=b"hold") == [answer]
    assert talk.news() == [Offered(b"hold")]


def test_empty_re_invite_asks_for_our_offer_and_the_ack_settles_it() -> None:
    talk = talking()
    talk.ask("INVITE")
    accept(talk, b"our offer")

    talk.ask("ACK", body=b"their answer")
    talk.ask("ACK", body=b"their answer")

    assert talk.news() == [Offered(b""), Settled(b"their answer")]


def test_refused_media_leave_the_call_as_it_is() -> None:
    talk = talking()
    talk.ask("INVITE", body=b"video only")

    answer = accept(talk, None)
    talk.ask("ACK")

    assert answer.status == 488
    assert talk.wait(20.0) == []
    assert talk.call.state is CallState.ANSWERED


def test_peer_that_never_acknowledges_is_hung_up() -> None:
    talk = talking()
    talk.ask("INVITE", body=b"hold")
    accept(talk)
    talk.news()

    said = talk.wait(32.0)

    assert said[-1].method == "BYE"
    assert talk.news() == [Ended(CallOutcome.FAILED, 200)]


def test_second_offer_waits_for_the_first() -> None:
    talk = talking()
    talk.ask("INVITE", cseq=1, body=b"hold")

    (answer,) = talk.ask("UPDATE", cseq=2, body=b"other")

    assert (answer.status, answer.first("Retry-After")) == (500, "1")
    assert talk.news() == [Offered(b"hold")]
    assert accept(talk).cseq == 1


def test_update_refreshes_the_session_and_moves_the_target() -> None:
    talk = talking()

    (answer,) = talk.ask("UPDATE", headers=(*SESSION, ("Contact", "<sip:moved@127.0.0.1:5099>")))
    talk.call.hang_up(CallOutcome.COMPLETED, 1.0)
    (bye,) = talk.said()

    assert (answer.status, answer.first("Session-Expires")) == (200, "90;refresher=uac")
    assert bye.uri == "sip:moved@127.0.0.1:5099"


@pytest.mark.parametrize(
    "headers",
    [
        (("Supported", "timer"), ("Session-Expires", "90;refresher=uas")),
        (("Session-Expires", "90;refresher=uac"),),
        (("Supported", "timer"), ("Session-Expires", "soon")),
    ],
)
def test_session_that_we_would_have_to_refresh_is_not_agreed_to(headers: tuple[Header, ...]) -> None:
    (answer,) = talking().ask("UPDATE", headers=headers)

    assert answer.status == 200
    assert answer.all("Session-Expires") == []


def test_update_with_media_before_the_answer_is_refused() -> None:
    talk = Conversation()
    talk.reply(183)

    (answer,) = talk.ask("UPDATE", body=b"early")

    assert answer.status == 488


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("application/dtmf-relay", b"Signal=7\r\nDuration=160\r\n", "7"),
        ("Application/DTMF-Relay; x=y", b"Duration=160\nsignal = 7", "7"),
        ("application/dtmf-relay", b"Signal=*\r\n", "*"),
        ("application/dtmf-relay", b"Signal=11\r\n", "#"),
        ("application/dtmf-relay", b"Signal=a", "A"),
        ("application/dtmf", b"5", "5"),
        ("application/dtmf", b" #\r\n", "#"),
        ("application/dtmf", b"55", None),
        ("application/dtmf-relay", b"Signal=99\r\n", None),
        ("application/dtmf-relay", b"Signal=", None),
        ("application/dtmf-relay", b"", None),
        ("text/plain", b"Signal=7", None),
    ],
)
def test_info_tells_a_key(kind: str, body: bytes, digit: str | None) -> None:
    talk = talking()

    (answer,) = talk.ask("INFO", headers=(("Content-Type", kind),), body=body)

    assert answer.status == 200
    assert talk.news() == ([Key(digit)] if digit else [])


def test_repeated_info_is_one_key() -> None:
    talk = talking()
    first = talk.ask("INFO", headers=(RELAY,), body=b"Signal=7")

    assert talk.ask("INFO", headers=(RELAY,), body=b"Signal=7") == first
    assert talk.news() == [Key("7")]


def test_key_before_the_answer_or_from_another_fork_counts_for_nothing() -> None:
    talk = Conversation()
    talk.reply(180, tag="early")
    talk.news()
    talk.ask("INFO", tag="early", headers=(RELAY,), body=b"Signal=7")
    talk.answered()
    talk.ask("INFO", cseq=2, tag="early", headers=(RELAY,), body=b"Signal=7")

    assert talk.news() == []


@given(st.binary(max_size=80))
def test_bodies_of_info_raise_nothing(body: bytes) -> None:
    talk = talking()

    digit = info_digit(parse(sip_samples.ask(talk.invite, "INFO", headers=[RELAY], body=body)))

    assert digit is None or digit in set("0123456789*#ABCD")


@pytest.mark.parametrize(
    ("method", "how", "status", "header"),
    [
        ("OPTIONS", {}, 200, "Allow"),
        ("CANCEL", {}, 481, ""),
        ("PRACK", {}, 405, "Allow"),
        ("REFER", {}, 405, "Allow"),
        ("MESSAGE", {}, 405, "Allow"),
        ("INFO", {"headers": (("Require", "Replaces, timer"),)}, 420, "Unsupported"),
        ("BYE", {"tag": "stranger"}, 481, ""),
    ],
)
def test_request_is_answered_by_its_method(
    method: str, how: dict[str, object], status: int, header: str
) -> None:
    talk = talking()

    (answer,) = talk.ask(method, **how)

    assert answer.status == status
    assert not header or answer.first(header)
    assert talk.news() == []
    assert talk.call.state is CallState.ANSWERED


def test_request_that_comes_out_of_order_is_refused() -> None:
    talk = talking()
    talk.ask("OPTIONS", cseq=5)

    (answer,) = talk.ask("INFO", cseq=4, headers=(RELAY,), body=b"Signal=7")

    assert answer.status == 500
    assert talk.news() == []


def test_cancel_of_an_answered_re_invite_changes_nothing() -> None:
    talk = talking()
    talk.ask("INVITE", branch="z9hG4bKsame", body=b"hold")
    accept(talk)

    (answer,) = talk.ask("CANCEL", branch="z9hG4bKsame")

    assert (answer.status, answer.method) == (200, "CANCEL")


def test_bye_with_the_tag_of_another_call_is_refused() -> None:
    talk = talking()
    octets = sip_samples.ask(talk.invite, "BYE").replace(talk.invite.from_tag.encode(), b"stranger")

    (answer,) = talk.hear(octets)

    assert answer.status == 481
    assert talk.call.state is CallState.ANSWERED


def test_requests_at_once_are_bounded() -> None:
    talk = talking()
    for number in range(REQUESTS_MAX):
        talk.ask("OPTIONS", cseq=number + 1)

    (answer,) = talk.ask("OPTIONS", cseq=REQUESTS_MAX + 1)

    assert answer.status == 503
    assert [answer.status for answer in talk.ask("BYE", cseq=REQUESTS_MAX + 1)] == [200]
    talk.wait(33.0)
    assert talk.call.finished


def test_strange_ack_is_passed_over() -> None:
    talk = talking()

    assert talk.ask("ACK", cseq=9, body=b"x") == []
    assert talk.news() == []
