"""What it costs to set calls up, and how soon after a text that failed the phone is rung."""

import asyncio
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import cast

import msgspec

from bench.cases import OPEN_CONNECTIONS, Dastak, Latencies
from bench.load import Pool, connect, open_loop
from bench.loopback_carrier import Carrier
from bench.processes import SERVER_CORE, cpu_s, move
from bench.scrape import until_figure
from bench.sip_callee import Does, SipCallee
from bench.spoken_calls import CALLS_A_TRUNK, FIRST_RTP_PORT, add_trunks
from bench.subject import make_installation
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.voice.engine.engine_line import EngineLine
from dastak.voice.engine.engine_process import EngineProcess
from dastak.voice.ivr import Step
from dastak.voice.line import Dial, Script
from dastak.voice.sip_settings import SipSettings

FAILED_PER_S = 50
UNDER_WAY = 100
WARM = 500
SETUP_S_MAX = 120


class CallSetups(msgspec.Struct, kw_only=True):
    """Calls that are rung, answered, acknowledged and hung up by the phone, as fast as they go.

    Attributes:
        per_cpu_s: For each second of the voice process, sound before the end included.
    """

    calls: int
    per_s: float
    per_cpu_s: float


class _Peer(asyncio.DatagramProtocol):
    """A callee on a UDP port of this process."""

    def __init__(self, does: Does) -> None:
        self.callee = SipCallee(does)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.callee.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for said in self.callee.hear(data):
            self._transport.sendto(said, addr)

    def close(self) -> None:
        self._transport.close()


async def _peer(does: Does) -> _Peer:
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_datagram_endpoint(lambda: _Peer(does), local_addr=("127.0.0.1", 0))
    return peer


class _Caller:
    """Dials the next call when one is over; a `Hearer` of all."""

    def __init__(self, line: EngineLine, count: int) -> None:
        self._line, self._left = line, count
        self.answered, self._over, self._count = 0, 0, count
        self.done = asyncio.Event()

    def dial(self) -> None:
        if self._left:
            self._left -= 1
            number = Msisdn(f"+9190{self._left:08d}")
            self._line.dial(Dial(number, "", 20.0, Script(locale="en", gate="7", code="123456")), self)

    def on_ringing(self, detail: str) -> None:
        del detail

    def on_answered(self, detail: str) -> None:
        del detail
        self.answered += 1

    def on_step(self, step: Step, typed: str) -> None:
        del step, typed

    def on_ended(self, outcome: Outcome, detail: str) -> None:
        del outcome, detail
        self._over += 1
        if self._over == self._count:
            self.done.set()
        self.dial()


async def measure_setups(count: int) -> CallSetups:
    """Set calls up through the voice process, with so many under way at one time."""
    peer, engine = await _peer(Does.HANGS_UP), EngineProcess()
    settings = SipSettings(
        host="127.0.0.1",
        port=peer.callee.port,
        caller="+911600123456",
        calls_max=CALLS_A_TRUNK,
        rtp_ports=(FIRST_RTP_PORT, FIRST_RTP_PORT + 2 * CALLS_A_TRUNK - 1),
    )
    async with EngineLine(engine, settings) as line:
        while not line.available:  # noqa: ASYNC110 - waited for once
            await asyncio.sleep(0.05)
        pid = engine.pid
        assert pid is not None
        move(pid, SERVER_CORE)
        await _all_over(line, WARM)
        cpu_before_s, began_s = cpu_s(pid), time.perf_counter()
        answered = await _all_over(line, count)
        took_s, used_s = time.perf_counter() - began_s, cpu_s(pid) - cpu_before_s
    peer.close()
    assert answered == count, f"{answered} of {count} calls were answered"
    return CallSetups(calls=count, per_s=count / took_s, per_cpu_s=count / used_s)


async def _all_over(line: EngineLine, count: int) -> int:
    caller = _Caller(line, count)
    for _ in range(min(UNDER_WAY, count)):
        caller.dial()
    async with asyncio.timeout(SETUP_S_MAX):
        await caller.done.wait()
    return caller.answered


async def measure_first_ring(directory: Path, *, count: int) -> Latencies:
    """Time the way from a receipt that says no to the INVITE, through the whole program."""
    carrier = Carrier(stat="UNDELIV", err="031")
    peer = await _peer(Does.IS_BUSY)
    installation = await make_installation(directory, await carrier.listen())
    await add_trunks(installation, peer.callee.port, trunks=1)
    invited_s = peer.callee.invited_s
    with installation.serve() as process:
        await process.until_listening(installation.port)
        await process.until_listening(installation.ops_port)
        await until_figure(installation.ops_port, 'dastak_bound{route="trunk0"}', 1)
        key, ops = installation.api_key, installation.ops_port
        dastak = Dastak(process, installation.port, ops, key, carrier)
        pool = Pool(await connect(dastak.port, OPEN_CONNECTIONS))
        statuses: list[int] = []
        answered = partial(lambda status, _body: statuses.append(status))
        cpu_before_s = process.cpu_s
        await open_loop(
            dastak.starts(count),
            per_s=FAILED_PER_S,
            send=lambda request, _due_s: pool.ask(request.octets, answered),
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                while len(invited_s) < count:  # noqa: ASYNC110 - what others do has no event
                    await asyncio.sleep(0.05)
        used_s = process.cpu_s - cpu_before_s
        pool.close()
    peer.close()
    took_s = [
        invited_s[f"+{number}"] - text.at_s
        for number, text in carrier.texts.items()
        if f"+{number}" in invited_s
    ]
    failed = count - len(took_s) + sum(status != 201 for status in statuses)
    return Latencies.of("negative receipt to INVITE", FAILED_PER_S, took_s, failed=failed, cpu_s=used_s)
