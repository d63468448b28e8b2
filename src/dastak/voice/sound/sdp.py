"""Session descriptions of a call: our offer and the peer's answer, the peer's offers and our answers.

1. We offer PCMU, PCMA and key presses, in frames of 20 ms; SRTP only if the caller of this module gives keys.
   What was agreed to be encrypted stays so: no later description takes it back.
2. What a peer says at session level holds, unless its line of audio says otherwise.
3. A description that cannot be read and one that leaves no sound we can send are one thing: `UnusableSdp`.

Source: RFC 8866 (the text), RFC 3264 (offer and answer), RFC 4733 (key presses), RFC 4568, RFC 8643 (SRTP).
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import ip_address
from typing import Final

from dastak.voice.sound.g711 import FRAME_MS, SAMPLES_PER_S
from dastak.voice.sound.rtp import PAYLOAD_TYPE_MAX, RTCP_LOOKALIKES
from dastak.voice.sound.sdes import Crypto, read_crypto, write_crypto

SDP_OCTETS_MAX: Final = 16_384
MEDIA_LINES_MAX: Final = 16
FORMATS_MAX: Final = 64
CRYPTO_LINES_MAX: Final = 16
PORT_MAX: Final = 65_535

TELEPHONE_EVENT: Final = 101
# Digits, *, #, A to D and flash: what RFC 4733 registers for telephones.
_EVENTS: Final = "0-16"


class UnusableSdp(ValueError):  # noqa: N818 - what it is, not that it went wrong
    """This description cannot be read, or leaves no sound that we can send."""


class Codec(StrEnum):
    """How sound is written down, by its name in SDP."""

    PCMU = "PCMU"
    PCMA = "PCMA"


# RFC 3551, table 4: these numbers mean these codecs, whether a line says so or not.
PAYLOAD_TYPES: Final = {Codec.PCMU: 0, Codec.PCMA: 8}
# On the line these would be taken for RTCP.
_NEVER_HEARD: Final = frozenset(map(str, RTCP_LOOKALIKES))
_STATIC: Final = {str(number): codec for codec, number in PAYLOAD_TYPES.items()}


class Profile(StrEnum):
    """How RTP travels."""

    PLAIN = "RTP/AVP"
    SRTP = "RTP/SAVP"


class Direction(StrEnum):
    """Who sends, as the one says who describes."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


# What the other side must say to it (RFC 3264, section 6.1).
MIRRORED: Final = {
    Direction.SENDRECV: Direction.SENDRECV,
    Direction.SENDONLY: Direction.RECVONLY,
    Direction.RECVONLY: Direction.SENDONLY,
    Direction.INACTIVE: Direction.INACTIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """Our side of one call.

    Attributes:
        address: Where we hear, in digits.
        session_id: Random; the same for the whole call.
        version: Grows by one with every description that says something new.
        cryptos: What we offer for SRTP, the dearest first; none means plain RTP.
        opportunistic: Whether keys are offered beside plain RTP, which will do as well (RFC 8643).
        encrypted: Whether the call is encrypted already.
    """

    address: str
    port: int
    session_id: int
    version: int = 1
    cryptos: tuple[Crypto, ...] = ()
    opportunistic: bool = False
    encrypted: bool = False

    @property
    def profile(self) -> Profile:
        """How RTP shall travel, as we offer it."""
        return Profile.SRTP if self.cryptos and not self.opportunistic else Profile.PLAIN

    @property
    def profiles(self) -> frozenset[Profile]:
        """How it may travel, as a peer says it."""
        if not self.cryptos:
            return frozenset({Profile.PLAIN})
        return frozenset({Profile.SRTP, self.profile})

    @property
    def may_be_plain(self) -> bool:
        """Whether a peer without a key is heard."""
        return not self.cryptos or (self.opportunistic and not self.encrypted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio:
    """What a peer wants to hear and where, and how it sends.

    Attributes:
        payload_type: The peer's number for the codec.
        telephone_event: The peer's number for key presses; None if it has none.
        direction: As the peer says it: `sendonly` means that we shall be silent.
        rtcp_port: Where it hears reports.
        crypto: The peer's key for what it sends, if this is SRTP.
        profile: How the peer says that it travels; SRTP may stand under the plain one (RFC 8643).
        line: Which of the media lines this is, counted from 0.
        rejected: The other media lines, each as `video 0 RTP/AVP 96`, in their order.
    """

    address: str
    port: int
    codec: Codec
    payload_type: int
    telephone_event: int | None
    direction: Direction
    rtcp_port: int
    crypto: Crypto | None = None
    profile: Profile = Profile.PLAIN
    line: int = 0
    rejected: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Whether the peer wants to hear nothing for now."""
        return (
            self.direction in {Direction.SENDONLY, Direction.INACTIVE}
            or ip_address(self.address).is_unspecified
        )


def write_offer(ours: Ours) -> bytes:
    """Write what we offer in an INVITE, or in the 200 to a re-INVITE that offers nothing."""
    numbers = [*PAYLOAD_TYPES.values(), TELEPHONE_EVENT]
    lines = [
        f"m=audio {ours.port} {ours.profile} {' '.join(map(str, numbers))}",
        *(_rtpmap(number, codec) for codec, number in PAYLOAD_TYPES.items()),
        *_telephone_event(TELEPHONE_EVENT),
        *map(_crypto_line, ours.cryptos),
    ]
    return _describe(ours, [[*lines, f"a=ptime:{FRAME_MS}", f"a={Direction.SENDRECV}"]])


def write_answer(ours: Ours, offer: Audio) -> bytes:
    """Write our answer to a peer's offer: its own numbers, the mirrored direction, one key with its tag.

    Raises:
        UnusableSdp: The offer is for SRTP and we have no key of its suite.
    """
    lines = [_rtpmap(offer.payload_type, offer.codec)]
    numbers = [offer.payload_type]
    if offer.telephone_event is not None:
        numbers.append(offer.telephone_event)
        lines += _telephone_event(offer.telephone_event)
    if offer.crypto is not None:
        key = our_key(ours, offer.crypto)
        lines.append(_crypto_line(Crypto(tag=offer.crypto.tag, suite=offer.crypto.suite, key=key)))
    lines.insert(0, f"m=audio {ours.port} {offer.profile} {' '.join(map(str, numbers))}")
    media = [[f"m={line}"] for line in offer.rejected]
    media.insert(offer.line, [*lines, f"a=ptime:{FRAME_MS}", f"a={MIRRORED[offer.direction]}"])
    return _describe(ours, media)


def read_answer(octets: bytes, ours: Ours) -> Audio:
    """Read the peer's answer to our offer.

    Raises:
        UnusableSdp: It cannot be read, refuses the sound, or answers another offer than ours.
    """
    audio = _read(octets, ours)
    if audio.crypto is not None:
        our_key(ours, audio.crypto, tag=audio.crypto.tag)
    return audio


def read_offer(octets: bytes, ours: Ours, *, in_use: Codec | None = None) -> Audio:
    """Read a new offer of the peer within the call.

    Args:
        octets: The body of the re-INVITE.
        ours: Our side of the call.
        in_use: The codec of the call, which is kept if the peer still offers it.

    Raises:
        UnusableSdp: It cannot be read, or offers nothing that we can send as the call is encrypted or not.
    """
    return _read(octets, ours, in_use=in_use)


def our_key(ours: Ours, theirs: Crypto, *, tag: int | None = None) -> bytes:
    """Return the key that we send with when the peer's is this one: ours of the same suite, and tag if given.

    Raises:
        UnusableSdp: We have none.
    """
    for crypto in ours.cryptos:
        if crypto.suite is theirs.suite and tag in {None, crypto.tag}:
            return crypto.key
    raise UnusableSdp("the peer's key is for a suite or a tag that we did not offer")


def agreed(ours: Ours, audio: Audio) -> Ours:
    """Return our side after the peer's answer: what is encrypted stays so, and what is plain as well."""
    if audio.crypto is None:
        return replace(ours, cryptos=())
    return replace(ours, encrypted=True)


def _describe(ours: Ours, media: list[list[str]]) -> bytes:
    family = f"IN IP{ip_address(ours.address).version} {ours.address}"
    head = ["v=0", f"o=- {ours.session_id} {ours.version} {family}", "s=-", f"c={family}", "t=0 0"]
    return "".join(f"{line}\r\n" for lines in [head, *media] for line in lines).encode("ascii")


def _rtpmap(number: int, codec: Codec) -> str:
    return f"a=rtpmap:{number} {codec}/{SAMPLES_PER_S}"


def _telephone_event(number: int) -> list[str]:
    return [f"a=rtpmap:{number} telephone-event/{SAMPLES_PER_S}", f"a=fmtp:{number} {_EVENTS}"]


def _crypto_line(crypto: Crypto) -> str:
    return f"a=crypto:{write_crypto(crypto)}"


@dataclass(slots=True)
class _Media:
    """One media line and what belongs to it; the session's own lines are kept as the first of them."""

    words: list[str]
    connection: str = ""
    attributes: list[str] = field(default_factory=list)

    def is_audio(self, ours: Ours) -> bool:
        """Whether this is sound, not refused, and travels as we want it."""
        profile = self.words[2].upper()
        if self.words[0] != "audio" or self.words[1].strip("0") == "" or profile not in ours.profiles:
            return False
        return ours.may_be_plain or profile == Profile.SRTP or bool(self.values("crypto"))

    def values(self, name: str) -> list[str]:
        """Return what the attributes of this name say."""
        return [value for key, _, value in (line.partition(":") for line in self.attributes) if key == name]


def _read(octets: bytes, ours: Ours, *, in_use: Codec | None = None) -> Audio:
    session, *media = _split(octets)
    place = next((i for i, one in enumerate(media) if one.is_audio(ours)), None)
    if place is None:
        raise UnusableSdp("no line of sound" if ours.may_be_plain else "no line of encrypted sound")
    chosen = media[place]
    port = _number(chosen.words[1], PORT_MAX, "port")
    address = _address(chosen.connection or session.connection, ours)
    codec, payload_type, telephone_event = _formats(chosen, in_use)
    return Audio(
        address=address,
        port=port,
        codec=codec,
        payload_type=payload_type,
        telephone_event=telephone_event,
        direction=_direction(chosen) or _direction(session) or Direction.SENDRECV,
        rtcp_port=_rtcp_port(chosen, port),
        crypto=_crypto(chosen, ours),
        profile=Profile(chosen.words[2].upper()),
        line=place,
        rejected=tuple(f"{one.words[0]} 0 {' '.join(one.words[2:])}" for one in media if one is not chosen),
    )


def _split(octets: bytes) -> list[_Media]:
    """Sort the lines: the session's first, then those of each medium."""
    if len(octets) > SDP_OCTETS_MAX:
        raise UnusableSdp(f"{len(octets)} octets are more than {SDP_OCTETS_MAX}")
    lines = octets.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if lines[0].strip() != "v=0":
        raise UnusableSdp("it does not begin with v=0")
    parts = [_Media([])]
    for line in lines:
        kind, _, value = line.strip().partition("=")
        if kind == "m":
            words = value.split()
            if (
                len(words) < 4
                or len(words) > 3 + FORMATS_MAX
                or not value.isascii()
                or not value.isprintable()
            ):
                raise UnusableSdp("a media line that is none")
            parts.append(_Media(words))
        elif kind == "c":
            parts[-1].connection = value
        elif kind == "a":
            parts[-1].attributes.append(value)
    if len(parts) > 1 + MEDIA_LINES_MAX:
        raise UnusableSdp(f"more than {MEDIA_LINES_MAX} media lines")
    return parts


def _number(word: str, maximum: int, what: str) -> int:
    # isdigit alone takes digits of every script, and int would too.
    if not (word.isascii() and word.isdigit()) or len(word) > len(str(maximum)) or int(word) > maximum:
        raise UnusableSdp(f"a {what} that is none")
    return int(word)


def _address(connection: str, ours: Ours) -> str:
    words = connection.split()
    if len(words) != 3:
        raise UnusableSdp("no address to send to")
    try:
        address = ip_address(words[2])
    except ValueError:
        raise UnusableSdp("an address that is not in digits") from None
    if address.is_multicast or address.version != ip_address(ours.address).version or "%" in words[2]:
        raise UnusableSdp("an address that we cannot send to")
    return str(address)


def _formats(media: _Media, in_use: Codec | None) -> tuple[Codec, int, int | None]:
    """Return the codec, its number and the number of key presses."""
    names = {}
    for value in media.values("rtpmap"):
        number, _, encoding = value.partition(" ")
        names[number.strip()] = encoding.strip().upper().removesuffix("/1")
    codecs: dict[Codec, int] = {}
    telephone_event = None
    for word in media.words[3:]:
        if word in _NEVER_HEARD:
            continue
        name, _, rate = names.get(word, f"{_STATIC.get(word, '')}/{SAMPLES_PER_S}").partition("/")
        if rate != str(SAMPLES_PER_S):
            continue
        if name in set(Codec):
            codecs.setdefault(Codec(name), _number(word, PAYLOAD_TYPE_MAX, "payload type"))
        elif name == "TELEPHONE-EVENT" and telephone_event is None:
            telephone_event = _number(word, PAYLOAD_TYPE_MAX, "payload type")
    if not codecs:
        raise UnusableSdp("neither PCMU nor PCMA")
    codec = in_use if in_use in codecs else next(iter(codecs))
    assert codec is not None
    return codec, codecs[codec], telephone_event


def _direction(media: _Media) -> Direction | None:
    return next((Direction(line) for line in media.attributes if line in set(Direction)), None)


def _rtcp_port(media: _Media, port: int) -> int:
    # RFC 3605; an address of its own is not followed, reports go where the sound goes.
    words = next(iter(media.values("rtcp")), "").split()
    return _number(words[0], PORT_MAX, "port of RTCP") if words else min(port + 1, PORT_MAX)


def _crypto(media: _Media, ours: Ours) -> Crypto | None:
    """Return the first key of a suite that we have as well; None for plain sound."""
    suites = {crypto.suite for crypto in ours.cryptos}
    offered = media.values("crypto")[:CRYPTO_LINES_MAX] if suites else []
    if not offered and ours.may_be_plain and media.words[2].upper() == Profile.PLAIN:
        return None
    for value in offered:
        crypto = read_crypto(value)
        if crypto is not None and crypto.suite in suites:
            return crypto
    raise UnusableSdp("no key of SRTP that we can use")
