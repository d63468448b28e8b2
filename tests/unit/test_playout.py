"""What a phone hears of packets that come late, twice, out of order or not at all."""

from hypothesis import given
from hypothesis import strategies as st

from dastak.simulator.exchange import playout as playout_module
from dastak.simulator.exchange.playout import Playout
from dastak.voice.sound.g711 import SILENT_FRAME
from dastak.voice.sound.rtp import RtpPacket

FRAMES = [bytes([n]) * 160 for n in range(1, 9)]
START = 2**32 - 320  # it rolls over within the call
PACKETS = [RtpPacket(0, n, (START + n * 160) % 2**32, 7, frame) for n, frame in enumerate(FRAMES)]


def play(packets: list[RtpPacket]) -> tuple[bytes, bytes]:
    playout = Playout()
    news = b"".join(playout.hear(one.ssrc, one.timestamp, one.payload) for one in packets)
    return bytes(playout.heard), news


@given(st.permutations(PACKETS[1:]), st.lists(st.sampled_from(PACKETS[1:]), max_size=4))
def test_order_and_twins_change_nothing(order: list[RtpPacket], twins: list[RtpPacket]) -> None:
    heard, _ = play([PACKETS[0], *order, *twins])

    assert heard == b"".join(FRAMES)


def test_what_is_lost_is_silence_as_long() -> None:
    heard, news = play([one for n, one in enumerate(PACKETS) if n not in {2, 3}])

    assert heard == news == b"".join([*FRAMES[:2], SILENT_FRAME * 2, *FRAMES[4:]])


def test_another_stream_goes_on_where_the_first_ended() -> None:
    other = [one._replace(ssrc=8, timestamp=5 + n * 160) for n, one in enumerate(PACKETS[2:])]
    jumped = [one._replace(timestamp=(one.timestamp + 10**6) % 2**32) for one in PACKETS[2:]]

    for rest in (other, jumped):
        assert play([*PACKETS[:2], *rest])[0] == b"".join(FRAMES)


def test_what_is_kept_is_bounded(monkeypatch: object) -> None:
    playout = Playout()
    frames = playout_module.HEARD_OCTETS_MAX // 160
    for n in range(frames + 10):
        playout.hear(7, n * 160, FRAMES[0])

    assert len(playout.heard) == playout_module.HEARD_OCTETS_MAX
    assert playout.hear(7, frames * 160, FRAMES[0]) == b""
