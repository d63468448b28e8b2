"""The door of the HTTP server: strangers who send slowly, too much, or nothing, over real sockets."""

import asyncio
import gc
import json
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from dastak.api.asgi_way import asgi
from dastak.api.door import DESCRIPTORS_RESERVED, LINGERING_MAX, Door, DoorSettings
from dastak.api.edge import PIPELINED_MAX, edge_protocol
from dastak.api.exchange import Request, Response, answer
from dastak.api.gate import NOBODY, Gate
from dastak.core.errors import Unauthenticated
from dastak.core.tenant import Caller
from dastak.guard.shedding import WINDOW_FIRST, Kind, Shedding

# Short patience, so that a test of it is short; the ratios are those of the real settings.
QUICK = DoorSettings(request_s=0.4, idle_s=0.5, linger_s=0.2, stalled_s=0.2, stalled_per_address_max=5)


async def echo(request: Request) -> Response:
    return answer(200, {"path": request.path, "query": request.query, "octets": len(request.body)})


def nobody(_authorization: bytes | None) -> Caller:
    raise Unauthenticated("no key")


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Leave signals to the test runner."""


@asynccontextmanager
async def served(
    settings: DoorSettings = QUICK,
    respond: Callable[[Request], Awaitable[Response]] = echo,
    shedding: Shedding | None = None,
) -> AsyncIterator[int]:
    gate = Gate(shedding or Shedding(0.0), caller_of=nobody, time_s=lambda: 0.0, on_shed=lambda _kind: None)
    async with Door(settings) as door:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            asgi(gate, respond),
            http=edge_protocol(door, gate, respond),
            lifespan="off",
            log_config=None,
            ws="none",
        )
        server = _Server(config)
        task = asyncio.create_task(server._serve([listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


async def exchange(port: int, *pieces: bytes) -> bytes:
    """Send pieces, then read until the other end hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
    async with asyncio.timeout(5):
        octets = await reader.read(-1)
    writer.close()
    return octets


def status_of(octets: bytes) -> int:
    return int(octets.split(b" ", 2)[1])


def body_of(octets: bytes) -> dict[str, object]:
    return json.loads(octets.partition(b"\r\n\r\n")[2])


def post(body: bytes, *, path: str = "/v1/x", headers: bytes = b"connection: close\r\n") -> bytes:
    return b"POST %s HTTP/1.1\r\nhost: x\r\n%scontent-length: %d\r\n\r\n%s" % (
        path.encode(),
        headers,
        len(body),
        body,
    )


def upload(octets: int, *, path: str = "/console/x", kind: bytes = b"multipart/form-data") -> bytes:
    return post(b"x" * octets, path=path, headers=b"connection: close\r\ncontent-type: %s\r\n" % kind)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((), id="says nothing"),
        pytest.param((b"POST /v1/x HT",), id="half a line"),
        pytest.param((b"POST /v1/x HTTP/1.1\r\nhost: x\r\n",), id="half a head"),
        pytest.param((b"POST /v1/x HTTP/1.1\r\ncontent-length: 9\r\n\r\n",), id="no body"),
        pytest.param((b"POST /v1/x HTTP/1.1\r\ncontent-length: 9\r\n\r\n1234",), id="half a body"),
        pytest.param((b"POST /page HTTP/1.1\r\ncontent-length: 9\r\n\r\n1234",), id="half a body of a page"),
    ],
)
async def test_slow_sender_is_told_408_within_its_deadline(pieces: tuple[bytes, ...]) -> None:
    async with served() as port:
        answered = await exchange(port, *pieces)

    assert status_of(answered) == 408
    assert body_of(answered)["code"] == "request_timeout"


async def test_idle_connection_closes_silently_after_an_answer() -> None:
    async with served() as port:
        answered = await exchange(port, post(b"{}", headers=b""))

    assert answered.count(b"HTTP/1.1") == 1
    assert status_of(answered) == 200


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        pytest.param(post(b"x" * 16384), 200, id="body at its bound"),
        pytest.param(post(b"x" * 16385), 413, id="body over its bound"),
        pytest.param(upload(4_100_000), 200, id="form with files at its bound"),
        pytest.param(upload(4_100_001), 413, id="form with files over its bound"),
        pytest.param(upload(16385, path="/login/shop/web"), 413, id="form with files elsewhere"),
        pytest.param(upload(16385, kind=b"application/json"), 413, id="large form without files"),
        pytest.param(post(b"", headers=b"x: " + b"y" * 17000 + b"\r\n"), 431, id="one huge header"),
        pytest.param(post(b"", headers=b"x: yyyyyyyy\r\n" * 2000), 431, id="many headers"),
        pytest.param(post(b"", path="/v1/" + "p" * 4200), 414, id="long address"),
        pytest.param(b"\x16\x03\x01\x02\x00 this is TLS\r\n\r\n", 400, id="not HTTP"),
        pytest.param(b"POST /v1/x HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413, id="announced body"),
        pytest.param(
            b"POST /v1/x HTTP/1.1\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            + b"2000\r\n" + b"x" * 0x2000 + b"\r\n" + b"2001\r\n" + b"x" * 0x2001 + b"\r\n0\r\n\r\n",
            413,
            id="chunked body over its bound",
        ),
    ],
)  # fmt: skip
async def test_size_bounds_are_exact(octets: bytes, status: int) -> None:
    async with served() as port:
        answered = await exchange(port, octets)

    assert status_of(answered) == status


async def test_endless_head_is_cut_without_being_kept() -> None:
    async with served() as port:
        answered = await exchange(port, b"POST /v1/x HTTP/1.1\r\nx: ", b"y" * 20000)

    assert status_of(answered) == 431


async def test_honest_caller_is_served_while_an_address_stalls() -> None:
    async with served() as port:
        stalled = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        answered = await exchange(port, post(b"{}"))
        ends = await asyncio.gather(*(reader.read(-1) for reader, _ in stalled))
        for _, writer in stalled:
            writer.close()

    assert status_of(answered) == 200
    assert {status_of(end) for end in ends} == {408}


async def test_connection_past_the_most_is_told_503() -> None:
    async with served(DoorSettings(connections_per_address_max=2)) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        refused = await exchange(port)
        for _, writer in held:
            writer.close()

    assert status_of(refused) == 503
    assert b"retry-after: 1" in refused


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS_RESERVED + 10, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_descriptors")
def test_one_address_alone_cannot_shut_the_door() -> None:
    door = Door(DoorSettings())
    crowd = [_Waiting("192.0.2.1") for _ in range(1000)]

    let_in = [door.enter(visitor) for visitor in crowd]
    kept = [door.linger(visitor) for visitor in crowd[sum(let_in) :]]

    assert (sum(let_in), sum(kept)) == (5, LINGERING_MAX)
    assert door.enter(_Waiting("192.0.2.2"))


class _Waiting:
    """A visitor whose request lies in a buffer that we have not read."""

    since, deadline, ended = 0.0, 4.0, False

    def __init__(self, address: str = "192.0.2.1") -> None:
        self.address = address

    def overdue(self) -> None:
        self.ended = True


async def test_delay_of_our_own_ends_no_connection() -> None:
    door, visitor = Door(DoorSettings()), _Waiting()
    door.enter(visitor)

    door.forgive(2.0)
    door.look(5.9)
    assert not visitor.ended
    door.look(6.0)
    assert visitor.ended


async def test_short_way_and_asgi_way_give_the_same_answer() -> None:
    async with served() as port:
        short = await exchange(port, post(b'{"a":1}', path="/v1/x%20y?q=1"))
        pipelined = await exchange(
            port, post(b'{"a":1}', path="/v1/x%20y?q=1", headers=b"") + post(b'{"a":1}', path="/v1/x%20y?q=1")
        )

    head, _, body = short.partition(b"\r\n\r\n")
    second = pipelined[pipelined.index(b"HTTP/1.1", 10) :]
    assert second.partition(b"\r\n\r\n")[2] == body
    assert set(second.partition(b"\r\n\r\n")[0].split(b"\r\n")) == set(head.split(b"\r\n"))


async def test_requests_leave_nothing_that_only_the_collector_finds() -> None:
    requests = (b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",) * 20
    gc.collect()
    gc.disable()
    try:
        async with served() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for request in requests:
                writer.write(request)
                await reader.readuntil(b"}")
            left = [kept for kept in gc.get_objects() if type(kept).__name__ == "_Cycle"]
            writer.close()
    finally:
        gc.enable()

    # The connection keeps its last one.
    assert len(left) == 1


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with served() as port:
        octets = b"".join(post(b"", path=f"/v1/{n}", headers=b"") for n in range(5)) + post(b"", path="/v1/5")
        answered = await exchange(port, octets)

    bodies = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in answered.split(b"HTTP/1.1 200 OK")[1:]]
    assert [body["path"] for body in bodies] == [f"/v1/{n}" for n in range(6)]


async def test_head_that_began_behind_another_request_is_measured_whole() -> None:
    long = b"POST /v1/y HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 17000 + b"\r\n"
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"", headers=b"") + long)
        first = await reader.readuntil(b"}")
        writer.write(b"\r\n")
        async with asyncio.timeout(5):
            second = await reader.read(-1)
        writer.close()

    assert (status_of(first), status_of(second)) == (200, 431)


@pytest.mark.parametrize(
    "head", [b"POST /v1/x HTTP/1.0\r\n", b"POST /v1/x HTTP/1.1\r\nexpect: 100-continue\r\n"]
)
async def test_old_and_careful_clients_are_answered(head: bytes) -> None:
    async with served() as port:
        answered = await exchange(port, head + b"connection: close\r\ncontent-length: 2\r\n\r\n{}")

    assert b"HTTP/1.1 200 OK" in answered
    assert answered.endswith(b'"octets":2}')


async def test_failing_handler_answers_500_without_its_reason() -> None:
    async def broken(request: Request) -> Response:
        raise ZeroDivisionError("secret")

    async with served(respond=broken) as port:
        answered = await exchange(port, post(b"{}"))

    assert status_of(answered) == 500
    assert b"secret" not in answered


CHUNKED = b"POST /v1/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n%stransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("way", [b"", b"expect: 100-continue\r\n"])
async def test_trailer_is_no_header(way: bytes) -> None:
    async def headers(request: Request) -> Response:
        return answer(200, sorted(name.decode() for name in request.headers))

    async with served(respond=headers) as port:
        answered = await exchange(port, CHUNKED % way + b"2\r\n{}\r\n0\r\nauthorization: Bearer x\r\n\r\n")

    assert b"HTTP/1.1 200 OK" in answered
    assert b"authorization" not in answered


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"2\r\n{}\r\n0\r\n" + b"x: y\r\n" * 10_000, id="trailers"),
        pytest.param(b"2\r\n{}\r\n0\r\nx: " + b"y" * 60_000, id="one trailer"),
        pytest.param(b"2;" + b"x" * 60_000, id="chunk extension"),
        pytest.param(b"1\r\nx\r\n" * 10_000, id="small chunks"),
    ],
)
@pytest.mark.parametrize("way", [b"", b"expect: 100-continue\r\n"])
async def test_what_stands_around_a_body_is_bounded(way: bytes, endless: bytes) -> None:
    async with served() as port:
        answered = await exchange(port, CHUNKED % way, endless)

    assert b"HTTP/1.1 413" in answered


@pytest.mark.parametrize("way", [b"", b"expect: 100-continue\r\n"])
async def test_chunked_body_has_the_same_bound_on_both_ways(way: bytes) -> None:
    chunks = (b"1000\r\n" + b"x" * 0x1000 + b"\r\n") * 4
    async with served() as port:
        whole = await exchange(port, CHUNKED % way + chunks + b"0\r\n\r\n")
        over = await exchange(port, CHUNKED % way + chunks + b"1\r\nx\r\n0\r\n\r\n")

    assert b"HTTP/1.1 200 OK" in whole
    assert b"HTTP/1.1 413" in over


@pytest.mark.parametrize("name", [b"authorization", b"host", b"content-type", b"idempotency-key"])
async def test_header_that_may_stand_once_is_refused_twice(name: bytes) -> None:
    async with served() as port:
        answered = await exchange(port, post(b"{}", headers=b"%s: a\r\n%s: b\r\n" % (name, name.title())))

    assert status_of(answered) == 400


async def test_coded_chunks_are_refused() -> None:
    head = (CHUNKED % b"").replace(b": chunked", b": gzip, chunked")
    async with served() as port:
        answered = await exchange(port, head + b"2\r\n{}\r\n0\r\n\r\n")

    assert answered.count(b"HTTP/1.1") == 1
    assert status_of(answered) == 415


async def test_refusal_is_written_once_whatever_follows() -> None:
    async with served() as port:
        answered = await exchange(
            port, b"POST /v1/x HTTP/1.1\r\ncontent-length: 99999\r\n\r\n" + b"\x16 not HTTP\r\n" * 2000
        )

    assert answered.count(b"HTTP/1.1") == 1
    assert status_of(answered) == 413


async def test_large_body_in_its_own_packet_counts_for_no_later_head() -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head, _, body = post(b"x" * 16_000, headers=b"").partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        await asyncio.sleep(0.02)
        writer.write(body)
        await reader.readuntil(b"}")
        writer.write(b"POST /v1/x HTTP/1.1\r\nx: " + b"y" * 1000)
        await asyncio.sleep(0.02)
        writer.write(b"\r\nconnection: close\r\n\r\n")
        async with asyncio.timeout(5):
            second = await reader.read(-1)
        writer.close()

    assert status_of(second) == 200


async def test_more_pipelined_requests_than_may_wait_are_left_unanswered() -> None:
    async with served() as port:
        answered = await exchange(port, post(b"", headers=b"") * 500)

    assert answered.count(b"HTTP/1.1 200 OK") == 1 + PIPELINED_MAX


async def test_who_does_not_read_answers_is_cut_off() -> None:
    async def page(request: Request) -> Response:
        return answer(200, "x" * 60_000)

    requests = post(b"", headers=b"") * 10
    async with served(respond=page) as port:
        with socket.create_connection(("127.0.0.1", port)) as deaf:
            deaf.setblocking(False)
            loop = asyncio.get_running_loop()

            async def talk() -> None:
                while True:
                    await loop.sock_sendall(deaf, requests)

            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await asyncio.wait_for(talk(), 5)


async def test_garbage_behind_a_request_is_not_answered_in_its_place() -> None:
    async with served() as port:
        answered = await exchange(port, post(b"", headers=b"") + b"\x16 not HTTP\r\n\r\n")

    assert answered == b""


START = (
    b"POST /v1/verifications HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\ncontent-length: 2\r\n\r\n{}"
)


@pytest.mark.parametrize(
    "pieces",
    [
        (START,),
        (START[:40], START[40:]),
        (START.replace(b"host: x", b"host: x\r\nexpect: nothing"),),
        (START.replace(b"/v1/verifications", b"/v1/%76erifications"),),
    ],
    ids=["unread", "in pieces", "unusual", "encoded"],
)
async def test_start_that_is_too_much_is_refused_and_its_connection_goes_on(
    pieces: tuple[bytes, ...],
) -> None:
    answered: list[str] = []

    async def note(request: Request) -> Response:
        answered.append(request.path)
        return await echo(request)

    shedding = Shedding(0.0)
    crowd = [shedding.enter(Kind.LOOK, NOBODY, 0.0) for _ in range(WINDOW_FIRST)]
    inside = [one for one in crowd if one is not None]
    async with served(respond=note, shedding=shedding) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        refused = await reader.readuntil(b'"retry_after_s":1}')
        for one in inside:
            shedding.leave(one, 0.0, worked=False)
        writer.write(START)
        let_in = await reader.readuntil(b'"octets":2}')
        writer.close()

    assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"retry-after: 1\r\n" in refused
    assert b"connection: close" not in refused
    assert let_in.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answered == ["/v1/verifications"]


async def test_refusal_is_the_same_whichever_way_it_took() -> None:
    shedding = Shedding(0.0)
    for _ in range(WINDOW_FIRST):
        shedding.enter(Kind.LOOK, NOBODY, 0.0)
    chunked = START.replace(b"content-length: 2", b"transfer-encoding: chunked").replace(
        b"{}", b"2\r\n{}\r\n0\r\n\r\n"
    )
    asked = [START, chunked, START.replace(b"HTTP/1.1", b"HTTP/1.0")]
    async with served(shedding=shedding) as port:
        answers = [
            await exchange(port, one.replace(b"host: x", b"connection: close\r\nhost: x")) for one in asked
        ]
        unread = await ask_once(port, START)

    bodies = {answer.partition(b"\r\n\r\n")[2] for answer in [*answers, unread]}
    assert len(bodies) == 1
    assert b'"code":"too_busy"' in bodies.pop()


async def ask_once(port: int, octets: bytes) -> bytes:
    """Send a request and read until its refusal is whole."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(octets)
    answer = await reader.readuntil(b'"retry_after_s":1}')
    writer.close()
    return answer
