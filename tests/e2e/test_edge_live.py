"""Strangers stall the real program by every known way while an honest caller is served."""

import asyncio
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.plenty import PLENTY

END_S_MAX = 5.0
DRIP_EVERY_S = 0.4
EACH = 50
DESCRIPTORS = 256

HEAD = b"POST /v1/verifications HTTP/1.1\r\nhost: x\r\n"
WHOLE_HEAD = HEAD + b"content-length: 40\r\n\r\n"
# What a stalled client sends first, what it drips, and how it is told that its time is over.
STALLS = {
    "says nothing": (b"", b"", 408),
    "half a head": (HEAD, b"", 408),
    "a header line now and then": (HEAD, b"x-more: y\r\n", 408),
    "no body": (WHOLE_HEAD, b"", 408),
    "an octet of the body now and then": (WHOLE_HEAD, b" ", 408),
    "idle after an answer": (b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", b"", 200),
}
TOO_BIG = {
    "announced body": (HEAD + b"content-length: 999999999\r\n\r\n", 413),
    "chunked body": (HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"4001\r\n" + b"x" * 0x4001, 413),
    "compressed body": (
        HEAD + b"connection: close\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
        415,
    ),
    "head": (HEAD + b"x: " + b"y" * 17_000, 431),
    "address": (b"GET /" + b"p" * 5_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 414),
}


class End(NamedTuple):
    """How a connection ended: the first status it was told, how many answers, and when."""

    status: int
    answers: int
    after_s: float


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    with DastakProcess(tmp_path_factory.mktemp("edge") / "data", environment=PLENTY) as process:
        yield process


async def stall(process: DastakProcess, first: bytes, drip: bytes) -> End:
    """Connect, send what is first, drip the rest, and return what came of it."""
    began_at = time.monotonic()
    port = int(process.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    octets = b""
    try:
        while piece := await piece_or_drip(reader, writer, drip):
            octets += piece
    except ConnectionError:
        pass
    after_s = time.monotonic() - began_at
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return End(int(octets.split(b" ", 2)[1]) if octets else 0, octets.count(b"HTTP/1.1 "), after_s)


async def piece_or_drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, drip: bytes) -> bytes:
    while True:
        try:
            async with asyncio.timeout(DRIP_EVERY_S):
                return await reader.read(4096)
        except TimeoutError:
            writer.write(drip)


class Served(NamedTuple):
    """What an honest caller got: all statuses, and the longest time it waited for one."""

    statuses: list[int]
    slowest_s: float


def be_honest(process: DastakProcess, over: threading.Event) -> Served:
    """Start and look, over a kept connection and over new ones, until the strangers are gone."""
    statuses, slowest_s = [], 0.0
    fresh = ApiClient(process.url, process.api_key)
    with ApiClient(process.url, process.api_key, kept=True) as kept:
        for n in count(7_050_000_000):
            api, began_at = (fresh if n % 2 else kept), time.monotonic()
            start = api.start(f"+91{n}")
            slowest_s = max(slowest_s, time.monotonic() - began_at)
            statuses += [start.status, kept.get(f"/v1/verifications/{start.body['id']}").status]
            if over.is_set():
                return Served(statuses, slowest_s)
    raise AssertionError


async def test_honest_caller_is_served_while_300_sockets_stall_and_end(process: DastakProcess) -> None:
    over = threading.Event()
    honest = asyncio.create_task(asyncio.to_thread(be_honest, process, over))

    kinds = [(name, *STALLS[name]) for name in STALLS for _ in range(EACH)]
    ends = await asyncio.gather(*(stall(process, first, drip) for _, first, drip, _ in kinds))
    over.set()
    statuses, slowest_s = await honest

    assert len(ends) == 300
    for (name, _, _, status), end in zip(kinds, ends, strict=True):
        assert (name, end.status, end.answers) == (name, status, 1)
        # A busy machine is late for everybody: for the server here, and for who looks at its clock.
        assert end.after_s < END_S_MAX + 2 * slowest_s, (name, end)
    assert len(statuses) > 100
    assert set(statuses) == {200, 201}


@pytest.mark.parametrize("name", TOO_BIG)
async def test_too_much_is_refused_at_once(process: DastakProcess, name: str) -> None:
    octets, status = TOO_BIG[name]

    end = await stall(process, octets, b"")

    assert (end.status, end.answers) == (status, 1)


@pytest.fixture
def process_with_few_descriptors(tmp_path: Path) -> Iterator[DastakProcess]:
    """A program under `ulimit -n 256`; it inherits the limit of whoever starts it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    process = DastakProcess(tmp_path / "data", environment={"DASTAK__SERVER__DOOR__REQUEST_S": "1.5"})
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
    try:
        process.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    yield process
    process.stop()


async def test_connections_past_the_descriptors_are_told_503_and_it_recovers(
    process_with_few_descriptors: DastakProcess,
) -> None:
    process = process_with_few_descriptors

    ends = await asyncio.gather(*(stall(process, b"", b"") for _ in range(DESCRIPTORS + 44)))

    # Refused ones keep their descriptor until they have read why; with none left, accept hangs up (0).
    assert {408, 503} <= {end.status for end in ends} <= {0, 408, 503}
    assert ApiClient(process.url, process.api_key).start("+917051000000").status == 201
