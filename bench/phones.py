"""The phones of the speaking calls, in a process of their own: `python -m bench.phones SECONDS FILE`.

It prints its SIP port, answers every call, and sends each packet of sound back at once, so that sound goes
both ways. A line on its standard input begins the measurement of so many seconds; its figures go into
the file. Arrivals are timed by the kernel, so that neither its own delay nor that of this core blurs them.
"""

import gc
import os
import selectors
import socket
import struct
import sys
import time
from contextlib import suppress
from itertools import cycle, pairwise
from pathlib import Path

import msgspec

from bench.load import quantile_ms
from bench.processes import LOAD_CORE
from bench.sip_callee import Does, SipCallee

SOCKETS = 40
# The values of these on Linux; Python has no names for them.
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
# What waits here is no loss of ours; without the right to force it the system gives less.
BUFFER_OCTETS = 4 << 20
# Phones are the world outside, which does not stand still because a server is busy; this too wants the right.
NICE = -10
_TIMESPEC = struct.Struct("@ll")
_SEQUENCE = struct.Struct(">H")
# Who sends less than this of what is due does not speak any more.
SPEAKING_SHARE = 0.9
# Until somebody ends it; a call is 22 s.
LIFE_S_MAX = 120.0


class Heard(msgspec.Struct, kw_only=True):
    """What came of the calls that spoke throughout; of all where none did.

    Attributes:
        ended: Calls that were over before the end, or hardly spoke.
        lost: Packets that were sent and not read here.
    """

    calls: int
    ended: int
    gap_p50_ms: float
    gap_p99_ms: float
    gap_p999_ms: float
    longest_ms: float
    packets: int
    lost: int


class Phones:
    """A SIP port and some sockets for the sound of all."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sip.bind(("127.0.0.1", 0))
        self.port = self._sip.getsockname()[1]
        self._add(self._sip, None)
        media = [self._media() for _ in range(SOCKETS)]
        self._callee = SipCallee(Does.ANSWERS, port=self.port, media_port=cycle(media).__next__)
        self.heard: dict[int, list[tuple[float, int]]] = {}
        self.measuring = False
        self._selector.register(sys.stdin, selectors.EVENT_READ, self._order)

    def serve(self, seconds: float) -> None:
        """Serve until the measurement is over."""
        give_up_s = time.monotonic() + LIFE_S_MAX
        end_s = None
        while (now_s := time.monotonic()) < (end_s or give_up_s):
            if self.measuring and end_s is None:
                end_s = now_s + seconds
            for key, _ in self._selector.select(0.1):
                if key.data is None:
                    self._signalled()
                elif key.data == self._order:
                    self._order()
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._drain(key.fileobj)

    def result(self, seconds: float) -> Heard:
        due = seconds * 50 * SPEAKING_SHARE
        throughout = [call for call in self.heard.values() if len(call) >= due]
        calls = throughout or list(self.heard.values())
        gaps_s = [later - earlier for call in calls for (earlier, _), (later, _) in pairwise(call)]
        return Heard(
            calls=len(throughout),
            ended=len(self.heard) - len(throughout),
            gap_p50_ms=quantile_ms(gaps_s, 0.5),
            gap_p99_ms=quantile_ms(gaps_s, 0.99),
            gap_p999_ms=quantile_ms(gaps_s, 0.999),
            longest_ms=max(gaps_s) * 1_000,
            packets=sum(map(len, calls)),
            lost=sum((call[-1][1] - call[0][1]) % 65_536 + 1 - len(call) for call in calls),
        )

    def _media(self) -> int:
        phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        phone.bind(("127.0.0.1", 0))
        phone.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._add(phone, phone)
        port: int = phone.getsockname()[1]
        return port

    def _add(self, end: socket.socket, data: object) -> None:
        end.setblocking(False)
        try:
            end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_OCTETS)
        except PermissionError:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_OCTETS)
        self._selector.register(end, selectors.EVENT_READ, data)

    def _order(self) -> None:
        if sys.stdin.readline():
            self.measuring = True
        else:
            raise SystemExit

    def _signalled(self) -> None:
        while True:
            try:
                octets, source = self._sip.recvfrom(8_192)
            except BlockingIOError:
                return
            for said in self._callee.hear(octets):
                self._sip.sendto(said, source)

    def _drain(self, phone: socket.socket) -> None:
        while True:
            try:
                octets, ancillary, _, source = phone.recvmsg(2_048, 64)
            except BlockingIOError:
                return
            if source[1] % 2:
                # A report for the port below, which belongs to nobody here or to another phone.
                continue
            phone.sendto(octets, source)
            if self.measuring:
                seconds, ns = _TIMESPEC.unpack(ancillary[0][2][: _TIMESPEC.size])
                sequence = _SEQUENCE.unpack_from(octets, 2)[0]
                self.heard.setdefault(source[1], []).append((seconds + ns / 1e9, sequence))


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(LOAD_CORE, (os.cpu_count() or 1) - 1)})
    gc.disable()
    with suppress(PermissionError):
        os.nice(NICE)
    phones = Phones()
    print(phones.port, flush=True)
    phones.serve(float(sys.argv[1]))
    Path(sys.argv[2]).write_bytes(msgspec.json.encode(phones.result(float(sys.argv[1]))))
