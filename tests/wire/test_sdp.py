"""Descriptions of sound on the wire: what we write, what real peers write, and what nobody should."""

import os
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sound.sdes import SRTP_KEY_OCTETS, Crypto, Suite, new_keys, read_crypto, write_crypto
from dastak.voice.sound.sdp import (
    MEDIA_LINES_MAX,
    MIRRORED,
    SDP_OCTETS_MAX,
    Audio,
    Codec,
    Direction,
    Ours,
    Profile,
    UnusableSdp,
    agreed,
    our_key,
    read_answer,
    read_offer,
    write_answer,
    write_offer,
)

OURS = Ours(address="192.0.2.10", port=40_000, session_id=7, version=1)
KEYS = (
    Crypto(tag=1, suite=Suite.AES_CM_128_HMAC_SHA1_80, key=bytes(range(30))),
    Crypto(tag=2, suite=Suite.AES_CM_128_HMAC_SHA1_32, key=bytes(range(30, 60))),
)
THEIR_KEY = bytes(range(60, 90))
SECRET = replace(OURS, cryptos=KEYS)

PLAIN_OFFER = (
    "v=0\r\no=- 7 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)

# In the manner of an Asterisk: its own number for key presses, the direction in the line of audio.
EXCHANGE = """v=0
o=- 1822 3 IN IP4 198.51.100.7
s=Asterisk
c=IN IP4 198.51.100.7
t=0 0
m=audio 11998 RTP/AVP 8 96
a=rtpmap:8 PCMA/8000
a=rtpmap:96 telephone-event/8000
a=fmtp:96 0-16
a=ptime:20
a=maxptime:150
a=sendrecv
"""


def answer(
    *lines: str, head: str = "v=0\r\nc=IN IP4 198.51.100.7\r\n", m: str = "audio 5004 RTP/AVP 0"
) -> bytes:
    return (head + f"m={m}\r\n" + "".join(f"{line}\r\n" for line in lines)).encode()


def audio_of(*lines: str, **more: str) -> Audio:
    return read_answer(answer(*lines, **more), OURS)


def test_offer_is_written_octet_by_octet() -> None:
    assert write_offer(OURS) == PLAIN_OFFER.encode()


def test_offer_of_srtp_has_both_keys_in_order() -> None:
    text = write_offer(SECRET).decode()

    assert "m=audio 40000 RTP/SAVP 0 8 101\r\n" in text
    assert [line for line in text.splitlines() if line.startswith("a=crypto")] == [
        f"a=crypto:{write_crypto(key)}" for key in KEYS
    ]


def test_ipv6_is_said_in_the_offer() -> None:
    assert b"c=IN IP6 2001:db8::1\r\n" in write_offer(replace(OURS, address="2001:db8::1"))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_answer_of_an_exchange_is_read(newline: str) -> None:
    assert read_answer(EXCHANGE.replace("\n", newline).encode(), OURS) == Audio(
        address="198.51.100.7",
        port=11_998,
        codec=Codec.PCMA,
        payload_type=8,
        telephone_event=96,
        direction=Direction.SENDRECV,
        rtcp_port=11_999,
    )


def test_our_own_offer_is_readable_as_one() -> None:
    audio = read_offer(write_offer(SECRET), SECRET)

    assert (audio.codec, audio.telephone_event, audio.crypto) == (Codec.PCMU, 101, KEYS[0])


def test_static_numbers_need_no_map_and_names_have_no_case() -> None:
    assert audio_of().telephone_event is None
    audio = audio_of("a=rtpmap:97 Telephone-Event/8000", m="audio 5004 rtp/avp 18 8 97")
    assert (audio.codec, audio.payload_type, audio.telephone_event) == (Codec.PCMA, 8, 97)


def test_numbers_of_a_peer_are_taken_as_it_maps_them() -> None:
    audio = audio_of("a=rtpmap:110 PCMU/8000/1", m="audio 5004 RTP/AVP 110")

    assert (audio.codec, audio.payload_type) == (Codec.PCMU, 110)


def test_key_presses_of_another_clock_rate_are_not_taken() -> None:
    audio = audio_of(
        "a=rtpmap:96 telephone-event/48000", "a=rtpmap:97 telephone-event/8000", m="audio 5 RTP/AVP 0 96 97"
    )

    assert audio.telephone_event == 97


def test_line_of_audio_overrides_the_session() -> None:
    head = "v=0\r\nc=IN IP4 198.51.100.7\r\na=sendonly\r\n"

    session = audio_of(head=head)
    line = audio_of("c=IN IP4 198.51.100.8", "a=sendrecv", head=head)

    assert (session.address, session.direction, session.held) == ("198.51.100.7", Direction.SENDONLY, True)
    assert (line.address, line.direction, line.held) == ("198.51.100.8", Direction.SENDRECV, False)


@pytest.mark.parametrize(
    ("lines", "held"),
    [
        (["a=sendonly"], True),
        (["a=inactive"], True),
        (["c=IN IP4 0.0.0.0"], True),
        (["a=recvonly"], False),
        (["a=sendrecv"], False),
        ([], False),
    ],
)
def test_hold_is_seen_in_each_of_its_forms(lines: list[str], held: bool) -> None:
    assert audio_of(*lines).held is held


def test_port_of_rtcp_is_the_next_or_the_one_named() -> None:
    assert audio_of().rtcp_port == 5_005
    assert audio_of("a=rtcp:9000 IN IP4 198.51.100.7").rtcp_port == 9_000


def test_new_offer_keeps_the_codec_in_use() -> None:
    offer = answer(m="audio 5004 RTP/AVP 8 0")

    assert read_offer(offer, OURS).codec is Codec.PCMA
    assert read_offer(offer, OURS, in_use=Codec.PCMU).codec is Codec.PCMU
    assert read_offer(answer(m="audio 5004 RTP/AVP 8"), OURS, in_use=Codec.PCMU).codec is Codec.PCMA


@pytest.mark.parametrize("direction", Direction)
def test_answer_mirrors_the_direction_and_the_numbers(direction: Direction) -> None:
    offer = read_offer(
        answer("a=rtpmap:96 telephone-event/8000", f"a={direction}", m="audio 5004 RTP/AVP 8 96"), OURS
    )

    written = write_answer(replace(OURS, version=2), offer).decode()

    assert written == (
        "v=0\r\no=- 7 2 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
        "m=audio 40000 RTP/AVP 8 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\n"
        f"a=fmtp:96 0-16\r\na=ptime:20\r\na={MIRRORED[direction]}\r\n"
    )


def test_other_media_are_refused_in_their_places() -> None:
    offer = read_offer(
        b"v=0\nc=IN IP4 198.51.100.7\nm=video 6000 RTP/AVP 31\nm=audio 5004 RTP/AVP 0\n"
        b"m=audio 5006 RTP/AVP 8\nm=image 7000 udptl t38\n",
        OURS,
    )

    written = write_answer(OURS, offer).decode().splitlines()

    assert [line for line in written if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 31",
        "m=audio 40000 RTP/AVP 0",
        "m=audio 0 RTP/AVP 8",
        "m=image 0 udptl t38",
    ]


def test_answer_to_srtp_has_one_key_with_the_tag_of_the_offer() -> None:
    theirs = Crypto(tag=9, suite=Suite.AES_CM_128_HMAC_SHA1_32, key=THEIR_KEY)
    offer = read_offer(
        answer(
            "a=crypto:3 AEAD_AES_256_GCM inline:x", f"a=crypto:{write_crypto(theirs)}", m="audio 5 RTP/SAVP 0"
        ),
        SECRET,
    )

    written = write_answer(SECRET, offer).decode().splitlines()

    assert offer.crypto == theirs
    assert [line for line in written if line.startswith("a=crypto")] == [
        f"a=crypto:{write_crypto(replace(KEYS[1], tag=9))}"
    ]
    assert our_key(SECRET, theirs) == KEYS[1].key


@pytest.mark.parametrize(
    ("theirs", "usable"),
    [
        (Crypto(tag=1, suite=Suite.AES_CM_128_HMAC_SHA1_80, key=THEIR_KEY), True),
        (Crypto(tag=2, suite=Suite.AES_CM_128_HMAC_SHA1_32, key=THEIR_KEY), True),
        (Crypto(tag=2, suite=Suite.AES_CM_128_HMAC_SHA1_80, key=THEIR_KEY), False),
        (Crypto(tag=3, suite=Suite.AES_CM_128_HMAC_SHA1_80, key=THEIR_KEY), False),
    ],
)
def test_answer_must_take_a_key_that_we_offered(theirs: Crypto, usable: bool) -> None:
    octets = answer(f"a=crypto:{write_crypto(theirs)}", m="audio 5 RTP/SAVP 0")

    if usable:
        assert read_answer(octets, SECRET).crypto == theirs
    else:
        with pytest.raises(UnusableSdp, match="did not offer"):
            read_answer(octets, SECRET)


THEIRS = Crypto(tag=1, suite=Suite.AES_CM_128_HMAC_SHA1_80, key=THEIR_KEY)
KEYED = f"a=crypto:{write_crypto(THEIRS)}"
AVP, SAVP = "audio 5 RTP/AVP 0", "audio 5 RTP/SAVP 0"
EITHER = replace(SECRET, opportunistic=True)


def test_keys_may_be_offered_beside_plain_sound() -> None:
    text = write_offer(EITHER).decode()

    assert "m=audio 40000 RTP/AVP 0 8 101\r\n" in text
    assert [line for line in text.splitlines() if line.startswith("a=crypto")] == [
        f"a=crypto:{write_crypto(key)}" for key in KEYS
    ]


@pytest.mark.parametrize(
    ("octets", "crypto"),
    [(answer(m=AVP), None), (answer(KEYED, m=AVP), THEIRS), (answer(KEYED, m=SAVP), THEIRS)],
)
def test_trunk_takes_a_key_that_is_offered_beside_plain_sound_or_does_not(
    octets: bytes, crypto: Crypto | None
) -> None:
    assert read_answer(octets, EITHER).crypto == crypto


@pytest.mark.parametrize(
    ("ours", "octets"),
    [
        (SECRET, answer(m=AVP)),
        (SECRET, answer(KEYED, m=AVP)),
        (SECRET, answer(m=SAVP)),
        (EITHER, answer(m=SAVP)),
        (EITHER, answer("a=crypto:1 AEAD_AES_256_GCM inline:x", m=AVP)),
        (agreed(EITHER, read_answer(answer(KEYED, m=AVP), EITHER)), answer(m=AVP)),
        (agreed(EITHER, read_answer(answer(m=AVP), EITHER)), answer(KEYED, m=SAVP)),
    ],
)
def test_sound_is_never_plainer_than_was_offered_or_agreed(ours: Ours, octets: bytes) -> None:
    for read in (read_answer, read_offer):
        with pytest.raises(UnusableSdp):
            read(octets, ours)


def test_plain_agreement_offers_no_key_again_and_an_encrypted_one_keeps_its_own() -> None:
    plain = agreed(EITHER, read_answer(answer(m=AVP), EITHER))
    encrypted = agreed(EITHER, read_answer(answer(KEYED, m=AVP), EITHER))

    assert b"crypto" not in write_offer(plain)
    assert write_offer(encrypted) == write_offer(EITHER)


@pytest.mark.parametrize("line", [AVP, SAVP])
def test_answer_travels_as_the_offer_did(line: str) -> None:
    encrypted = agreed(EITHER, read_answer(answer(KEYED, m=AVP), EITHER))

    written = write_answer(encrypted, read_offer(answer(KEYED, m=line), encrypted)).decode()

    assert f"m=audio 40000 {line.split()[2]} 0\r\n" in written
    assert "a=crypto:1 " in written


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "v=0"),
        (b"v=1\r\n", "v=0"),
        (b"v=0\r\n", "no line of sound"),
        (answer(m="audio 0 RTP/AVP 0"), "no line of sound"),
        (answer(m="audio 5004 RTP/SAVP 0"), "no line of sound"),
        (answer(m="audio 70000 RTP/AVP 0"), "port"),
        (answer(m="audio 5004/2 RTP/AVP 0"), "port"),
        (answer(m="audio \u0665\u0660 RTP/AVP 0"), "media line"),
        (answer(m="audio 5004 RTP/AVP"), "media line"),
        (answer(m="audio 5004 RTP/AVP" + " 0" * 65), "media line"),
        (answer(m="audio 5004 RTP/AVP 18"), "PCMU"),
        (answer("a=rtpmap:72 PCMU/8000", m="audio 5004 RTP/AVP 72"), "PCMU"),
        (answer("a=rtpmap:300 PCMU/8000", m="audio 5004 RTP/AVP 300"), "payload type"),
        (answer(head="v=0\r\n"), "no address"),
        (answer("c=IN IP4 sip.example.com"), "in digits"),
        (answer("c=IN IP4 224.0.0.1"), "cannot send"),
        (answer("c=IN IP6 2001:db8::1"), "cannot send"),
        (answer("a=rtcp:x"), "RTCP"),
        (answer(*["m=audio 5 RTP/AVP 0"] * MEDIA_LINES_MAX), "media lines"),
        (b"v=0\r\n" + b"x" * SDP_OCTETS_MAX, "octets"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(octets: bytes, reason: str) -> None:
    with pytest.raises(UnusableSdp, match=reason):
        read_answer(octets, OURS)


@pytest.mark.parametrize("lines", [[], ["a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:short"]])
def test_srtp_without_a_key_is_refused(lines: list[str]) -> None:
    with pytest.raises(UnusableSdp, match="no key"):
        read_answer(answer(*lines, m="audio 5004 RTP/SAVP 0"), SECRET)


GOOD_KEY = write_crypto(Crypto(tag=1, suite=Suite.AES_CM_128_HMAC_SHA1_80, key=THEIR_KEY))


@pytest.mark.parametrize("more", ["", "|2^31", " WSH=64"])
def test_key_is_read_with_what_may_be_overlooked(more: str) -> None:
    crypto = read_crypto(GOOD_KEY + more)

    assert crypto is not None
    assert crypto.key == THEIR_KEY


@pytest.mark.parametrize(
    "value",
    [
        "",
        GOOD_KEY + "|2^31|1:4",
        GOOD_KEY + "|1:4",
        GOOD_KEY + " UNENCRYPTED_SRTP",
        GOOD_KEY.replace("inline", "uri"),
        GOOD_KEY.replace("_80", "_40"),
        "x" + GOOD_KEY,
        "1" * 10 + GOOD_KEY,
        GOOD_KEY + "AAAA",
        GOOD_KEY[:-1] + "\u00e9",
    ],
)
def test_key_that_wants_what_we_do_not_do_is_passed_over(value: str) -> None:
    assert read_crypto(value) is None


def test_every_call_gets_fresh_keys_and_the_longer_signature_first() -> None:
    one, two = new_keys(os.urandom), new_keys(os.urandom)

    assert [(key.tag, key.suite) for key in one] == [(key.tag, key.suite) for key in KEYS]
    assert len({key.key for key in (*one, *two)}) == 4
    assert {len(key.key) for key in one} == {SRTP_KEY_OCTETS}


def test_key_is_in_no_repr() -> None:
    assert repr(KEYS[0].key) not in repr(SECRET)
    assert "key=" not in repr(KEYS[0])


@given(
    st.integers(0, 10**9 - 1),
    st.sampled_from(Suite),
    st.binary(min_size=SRTP_KEY_OCTETS, max_size=SRTP_KEY_OCTETS),
)
def test_key_comes_back_as_it_was(tag: int, suite: Suite, key: bytes) -> None:
    crypto = Crypto(tag=tag, suite=suite, key=key)

    assert read_crypto(write_crypto(crypto)) == crypto


@given(
    st.ip_addresses(v=4).filter(lambda address: not address.is_multicast),
    st.integers(1, 65_535),
    st.sampled_from(Direction),
    st.booleans(),
)
def test_what_we_answer_is_what_the_peer_reads(
    address: object, port: int, direction: Direction, srtp: bool
) -> None:
    base = SECRET if srtp else OURS
    offer = read_offer(
        write_offer(replace(base, session_id=1)).replace(b"sendrecv", direction.encode()), base
    )
    peer = replace(base, address=str(address), port=port)

    heard = read_answer(write_answer(peer, offer), base)

    assert (heard.address, heard.port, heard.direction) == (str(address), port, MIRRORED[direction])
    assert heard.crypto == (KEYS[0] if srtp else None)
    assert (heard.codec, heard.telephone_event) == (offer.codec, 101)


LINES = st.sampled_from(
    [
        *EXCHANGE.splitlines(),
        f"a=crypto:{GOOD_KEY}",
        "m=audio 1 RTP/SAVP 0 8",
        "m=audio 2 RTP/AVP 0 8 101",
        "m=video 0 RTP/AVP 96",
        "c=IN IP6 ::",
        "c=IN IP4 \u0661.2.3.4",
        "a=rtcp:99999",
        "a=rtpmap:0",
        "a=crypto:\u00b2 AES_CM_128_HMAC_SHA1_80 inline:",
        "a=rtpmap: /8000",
        "a=",
        "=",
    ]
)


@given(
    st.lists(LINES, max_size=30), st.sampled_from([OURS, SECRET]), st.integers(0, 400), st.binary(max_size=3)
)
def test_shuffled_and_broken_text_is_read_or_refused(
    lines: list[str], ours: Ours, at: int, junk: bytes
) -> None:
    octets = "\r\n".join(["v=0", *lines]).encode()
    octets = octets[:at] + junk + octets[at:]

    with suppress(UnusableSdp):
        read_answer(octets, ours)
    with suppress(UnusableSdp):
        offer = read_offer(octets, ours)
        assert write_answer(ours, offer).isascii()
        assert isinstance(offer.held, bool)


@given(st.binary(max_size=400))
def test_rubbish_is_refused(octets: bytes) -> None:
    with pytest.raises(UnusableSdp):
        read_answer(octets, OURS)


def test_profile_follows_from_the_keys() -> None:
    assert [OURS.profile, SECRET.profile] == [Profile.PLAIN, Profile.SRTP]
