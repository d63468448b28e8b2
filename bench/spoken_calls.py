"""What a speaking call costs, and how evenly its packets come, for so many calls at one time.

The receiver takes the kernel's time of each packet's arrival, so that its own delay does not blur what is
measured, and sends every packet back at once: sound goes both ways.
"""

import selectors
import socket
import struct
import time
from itertools import pairwise
from pathlib import Path

import msgspec

from bench.load import quantile_ms
from bench.processes import Pinned

CALLS = (50, 200, 500)
CALLS_A_SOCKET = 25
# Until all calls have begun and the interpreter is warm.
WARM_S = 3.0
# The value of SO_TIMESTAMPNS on Linux; Python has no name for it.
SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
_SEQUENCE = struct.Struct(">H")


class SpokenCalls(msgspec.Struct, kw_only=True):
    """So many calls at one time.

    Attributes:
        cpu_share: Of one core, for one call.
        gap_p99_ms: Between two packets of one call as they arrive; 20 would be perfect.
        lost: Packets that were sent and not read here.
    """

    calls: int
    cpu_share: float
    gap_p50_ms: float
    gap_p99_ms: float
    gap_p999_ms: float
    longest_ms: float
    packets: int
    lost: int
    resident_mib: float


class _Phones:
    """The callees: a few sockets for all of them."""

    def __init__(self, calls: int) -> None:
        self._selector = selectors.DefaultSelector()
        self.ports: list[int] = []
        for _ in range(-(-calls // CALLS_A_SOCKET)):
            phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            phone.bind(("127.0.0.1", 0))
            phone.setblocking(False)
            phone.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            phone.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self._selector.register(phone, selectors.EVENT_READ)
            self.ports.append(phone.getsockname()[1])

    def hear(self, seconds: float) -> dict[int, list[tuple[float, int]]]:
        """Return of each call, by its port, when packets came and their sequence numbers."""
        heard: dict[int, list[tuple[float, int]]] = {}
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            for key, _ in self._selector.select(0.1):
                self._drain(key.fileobj, heard)
        return heard

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()

    @staticmethod
    def _drain(phone: socket.socket, heard: dict[int, list[tuple[float, int]]]) -> None:
        while True:
            try:
                octets, ancillary, _, source = phone.recvmsg(2_048, 64)
            except BlockingIOError:
                return
            if source[1] % 2:
                # A report for the port below, which belongs to nobody here or to another phone.
                continue
            phone.sendto(octets, source)
            seconds, ns = _TIMESPEC.unpack(ancillary[0][2][: _TIMESPEC.size])
            heard.setdefault(source[1], []).append((seconds + ns / 1e9, _SEQUENCE.unpack_from(octets, 2)[0]))


def measure_spoken_calls(directory: Path, *, seconds: float) -> list[SpokenCalls]:
    """Measure each number of calls."""
    return [_measure(directory, calls, seconds) for calls in CALLS]


def _measure(directory: Path, calls: int, seconds: float) -> SpokenCalls:
    phones = _Phones(calls)
    try:
        arguments = ("-m", "bench.speaking", str(calls), *map(str, phones.ports))
        with Pinned(*arguments, log=directory / f"speaking-{calls}.log") as process:
            phones.hear(WARM_S + calls / 1_000)
            before_s, began_s = process.cpu_s, time.monotonic()
            heard = phones.hear(seconds)
            cpu_share = (process.cpu_s - before_s) / (time.monotonic() - began_s) / calls
            resident_mib = process.resident_mib
    finally:
        phones.close()
    assert len(heard) == calls, f"{len(heard)} of {calls} calls were heard"
    gaps_s = [later - earlier for call in heard.values() for (earlier, _), (later, _) in pairwise(call)]
    return SpokenCalls(
        calls=calls,
        cpu_share=cpu_share,
        gap_p50_ms=quantile_ms(gaps_s, 0.5),
        gap_p99_ms=quantile_ms(gaps_s, 0.99),
        gap_p999_ms=quantile_ms(gaps_s, 0.999),
        longest_ms=max(gaps_s) * 1_000,
        packets=sum(map(len, heard.values())),
        lost=sum((call[-1][1] - call[0][1]) % 65_536 + 1 - len(call) for call in heard.values()),
        resident_mib=resident_mib,
    )
