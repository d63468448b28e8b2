"""Whom the sound of a call goes to and who is heard: who was described, or who sends from behind a NAT.

1. Who was described is always heard, and takes the sound back from anybody else with one packet.
2. Somebody else is followed only where that is wanted, while who was described is silent, and after a stream
   that keeps counting or one packet that has the key. Then nobody but who was described can move it again.
3. Where nobody is followed, the described host alone is heard; some equipment sends from another port of it.

Who guesses our port and counts faster than a phone behind a NAT is followed still; a key (SRTP) ends that.
"""

from typing import Any, Final

from dastak.voice.sound.rtp import RtpPacket

# A stream is believed in at this many packets in order; with 20 ms each that is 40 ms after its first.
STREAM_PACKETS: Final = 3
# Streams that are weighed at once; the oldest makes room, so that who floods us shuts nobody out for long.
STREAMS_MAX: Final = 8
_SEQUENCES: Final = 1 << 16


class Latch:
    """One call's; deaf until `describe`.

    Args:
        symmetric: Whether to follow who sends from elsewhere.

    Attributes:
        remote: Where sound goes now.
    """

    __slots__ = ("_described", "_settled", "_streams", "_symmetric", "remote")

    def __init__(self, *, symmetric: bool) -> None:
        self.remote: Any = None
        self._described: tuple[str, int] = ("", 0)
        self._symmetric = symmetric
        self._settled = False
        self._streams: dict[tuple[Any, int], tuple[int, int]] = {}

    def describe(self, address: str, port: int) -> bool:
        """Learn where the peer says that it is; True if that is news."""
        if self._described == (address, port):
            return False
        self._described = self.remote = (address, port)
        self._settled = False
        self._streams.clear()
        return True

    def hears(self, packet: RtpPacket, source: Any, *, keyed: bool) -> bool:
        """Say whether a packet is the peer's, and follow it where it comes from elsewhere.

        Args:
            packet: One that a phone of this call may send.
            source: Where it came from.
            keyed: Whether it was signed with the peer's key.
        """
        if source[:2] == self._described:
            self._settle(self._described)
            return True
        if not self._symmetric:
            return bool(source[0] == self._described[0])
        if self._settled:
            return bool(source[:2] == self.remote[:2])
        if not keyed and not self._keeps_counting(packet, source):
            return False
        self._settle(source)
        return True

    def _settle(self, remote: Any) -> None:
        self._settled = True
        self.remote = remote
        self._streams.clear()

    def _keeps_counting(self, packet: RtpPacket, source: Any) -> bool:
        stream = (source[:2], packet.ssrc)
        newest, packets = self._streams.get(stream, (0, 0))
        following = packets > 0 and packet.sequence == (newest + 1) % _SEQUENCES
        packets = packets + 1 if following else 1
        if stream not in self._streams and len(self._streams) >= STREAMS_MAX:
            del self._streams[next(iter(self._streams))]
        self._streams[stream] = (packet.sequence, packets)
        return packets >= STREAM_PACKETS
