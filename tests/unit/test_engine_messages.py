from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.outcome import Outcome
from dastak.voice.engine import engine_messages
from dastak.voice.engine.engine_messages import (
    FROM_ENGINE,
    TO_ENGINE,
    CallAnswered,
    CallLastWords,
    CallOver,
    CallRings,
    CallStepped,
    CloseTrunk,
    FromEngine,
    HangUp,
    MalformedEngineMessage,
    MessageFramer,
    OpenTrunk,
    PlaceCall,
    Pulse,
    ToEngine,
    TrunkClosed,
    TrunkStands,
    framed,
)
from dastak.voice.ivr import Step
from dastak.voice.line import Dial, Script
from dastak.voice.sip.line_call import LastWords
from dastak.voice.sip_settings import SipSettings
from tests.support.samples import MSISDN

SETTINGS = SipSettings(host="trunk.example", caller="+911600123456", username="shop", password="p4ss-w0rd")
NUMBERS = st.integers(0, 2**31)
WORDS = st.text(max_size=40)
ADDRESSES = st.tuples(WORDS, st.integers(0, 65_535))
SCRIPTS = st.one_of(
    st.builds(Script, locale=WORDS, gate=st.sampled_from("0123456789"), code=st.text("0123", min_size=4)),
    st.builds(Script, locale=WORDS, gate=st.just("7"), typed=st.integers(1, 10)),
)
DIALS = st.builds(Dial, st.just(MSISDN), WORDS, st.floats(1, 60), SCRIPTS)
ORDERS: st.SearchStrategy[ToEngine] = st.one_of(
    st.builds(OpenTrunk, NUMBERS, st.just(SETTINGS)),
    st.builds(CloseTrunk, NUMBERS),
    st.builds(PlaceCall, NUMBERS, NUMBERS, DIALS),
    st.builds(HangUp, NUMBERS),
)
NEWS: st.SearchStrategy[FromEngine] = st.one_of(
    st.builds(TrunkStands, NUMBERS, st.booleans(), WORDS),
    st.builds(TrunkClosed, NUMBERS),
    st.builds(CallRings, NUMBERS, WORDS),
    st.builds(CallAnswered, NUMBERS, WORDS),
    st.builds(CallStepped, NUMBERS, st.sampled_from(Step), WORDS),
    st.builds(
        CallLastWords, NUMBERS, st.builds(LastWords, st.binary(max_size=80), ADDRESSES, ADDRESSES, ADDRESSES)
    ),
    st.builds(CallOver, NUMBERS, st.sampled_from(Outcome), WORDS),
    st.just(Pulse()),
)


def fed(decoder: msgspec.msgpack.Decoder[Any], octets: bytes, size: int) -> list[Any]:
    framer = MessageFramer(decoder)
    pieces = (octets[at : at + size] for at in range(0, len(octets), size))
    return [message for piece in pieces for message in framer.feed(piece)]


@given(st.lists(ORDERS, max_size=8), st.integers(1, 200))
def test_orders_arrive_as_they_were_sent_however_they_are_cut(orders: list[ToEngine], size: int) -> None:
    assert fed(TO_ENGINE, b"".join(map(framed, orders)), size) == orders


@given(st.lists(NEWS, max_size=8), st.integers(1, 200))
def test_news_arrive_as_they_were_sent_however_they_are_cut(news: list[FromEngine], size: int) -> None:
    assert fed(FROM_ENGINE, b"".join(map(framed, news)), size) == news


@given(NEWS, st.data())
def test_changed_octets_are_a_message_or_malformed_and_nothing_else(
    message: FromEngine, data: st.DataObject
) -> None:
    octets = bytearray(framed(message))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    framer = MessageFramer(FROM_ENGINE)

    try:
        heard = list(framer.feed(bytes(octets)))
    except MalformedEngineMessage:
        return
    assert all(isinstance(one, FromEngine) for one in heard)


@given(st.binary(max_size=200))
def test_noise_is_a_message_or_malformed_and_nothing_else(noise: bytes) -> None:
    framer = MessageFramer(TO_ENGINE)
    framed_noise = len(noise).to_bytes(4, "big") + noise

    try:
        heard = list(framer.feed(framed_noise))
    except MalformedEngineMessage:
        return
    assert all(isinstance(one, ToEngine) for one in heard)


def test_news_are_no_orders() -> None:
    with pytest.raises(MalformedEngineMessage):
        fed(TO_ENGINE, framed(CallRings(1, "SIP 180")), 4096)


def test_settings_that_no_trunk_may_have_are_malformed() -> None:
    octets = framed(OpenTrunk(1, msgspec.structs.replace(SETTINGS, host="")))

    with pytest.raises(MalformedEngineMessage) as refused:
        fed(TO_ENGINE, octets, 4096)

    assert SETTINGS.password not in str(refused.value)
    assert refused.value.__cause__ is None


def test_length_beyond_the_bound_is_refused_before_anything_is_kept() -> None:
    framer = MessageFramer(TO_ENGINE)

    with pytest.raises(MalformedEngineMessage, match="too long"):
        list(framer.feed((engine_messages.MESSAGE_OCTETS_MAX + 1).to_bytes(4, "big")))


def test_message_beyond_the_bound_is_not_sent() -> None:
    with pytest.raises(MalformedEngineMessage, match="too long"):
        framed(CallRings(1, "x" * engine_messages.MESSAGE_OCTETS_MAX))


@given(st.one_of(ORDERS, NEWS))
def test_message_shows_nothing_of_itself(message: ToEngine | FromEngine) -> None:
    assert repr(message) == f"{type(message).__name__}(...)"
    assert repr(message) == str(message)
