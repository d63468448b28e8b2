"""How many submit_sm one bind carries and what each costs on our side, against a carrier that costs nothing.

The whole way of a route is measured: alphabet, parts, TLVs, encoding, the answer and the ref it gives; in the
second case the receipt as well, read, matched and acknowledged.
"""

import asyncio
import gc
import time
from pathlib import Path

import msgspec

from bench.processes import Pinned, free_port
from dastak.core.ids import VerificationId
from dastak.core.message import MessageKey, Receipt
from dastak.core.msisdn import Msisdn
from dastak.core.way_out import Outgoing
from dastak.sms.inbound import Acknowledge
from dastak.sms.smpp_route import SmppRoute
from dastak.sms.smpp_settings import SmppSettings

WINDOW = 50


class Submits(msgspec.Struct, kw_only=True):
    """One case.

    Attributes:
        cpu_us: Of our side, one thread, for one message.
    """

    name: str
    count: int
    per_s: float
    cpu_us: float


class _Desk:
    """Takes receipts as they come; `all_taken` tells of the last one."""

    def __init__(self, count: int) -> None:
        self.all_taken = asyncio.Event()
        self._left = count

    def take(self, receipt: Receipt, acknowledge: Acknowledge) -> None:
        del receipt
        acknowledge(True)
        self._left -= 1
        if not self._left:
            self.all_taken.set()


async def measure_submits(directory: Path, *, count: int, rounds: int) -> list[Submits]:
    """Run both cases; of several rounds the one with the middle cost."""
    found = []
    for receipts in (False, True):
        cases = [await _measure(directory, count=count, receipts=receipts) for _ in range(rounds)]
        found.append(sorted(cases, key=lambda case: case.cpu_us)[len(cases) // 2])
    return found


async def _measure(directory: Path, *, count: int, receipts: bool) -> Submits:
    port = free_port()
    options = ["--receipts"] if receipts else []
    with Pinned("-m", "bench.smpp_sink", str(port), *options, log=directory / "sink.log") as sink:
        await sink.until_listening(port)
        desk = _Desk(count)
        settings = SmppSettings(host="127.0.0.1", port=port, system_id="b", password="b", window=WINDOW)
        async with SmppRoute("bench", settings, desk.take) as route:
            await route.wait_bound()
            waiting = iter([_outgoing(number) for number in range(count)])

            async def work() -> None:
                for outgoing in waiting:
                    await route.submit(outgoing)

            # The collector is part of the cost.
            gc.enable()
            began_at, began_cpu_s = time.perf_counter(), time.process_time()
            await asyncio.gather(*(work() for _ in range(WINDOW)))
            if receipts:
                await desk.all_taken.wait()
            cpu_s, seconds = time.process_time() - began_cpu_s, time.perf_counter() - began_at
            gc.disable()
    return Submits(
        name="submit_sm and its receipt" if receipts else "submit_sm",
        count=count,
        per_s=count / seconds,
        cpu_us=cpu_s / count * 1e6,
    )


def _outgoing(number: int) -> Outgoing:
    key = MessageKey(VerificationId((number * 0x9E3779B97F4A7C15 % 2**128).to_bytes(16, "big")), 0)
    text = f"{number % 1_000_000:06d} is your Acme code. Valid 5 min."
    return Outgoing(key, Msisdn(f"+9198{number % 100_000_000:08d}"), text, "ACMEOT", 299)
