"""Connections that are lost while others wait for them: all are told, and none is asked again."""

import asyncio
from collections import Counter

from bench.load import LOST, Pool, connect

# More than a chain of calls could be deep.
MANY = 5_000
TOGETHER = 4
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


async def asked(answers_each: int) -> Counter[int]:
    """Ask many times at once by a few connections, each of which the server ends after so many answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(answers_each):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
        writer.close()

    told: list[int] = []
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        opened = await connect(server.sockets[0].getsockname()[1], TOGETHER)
        pool = Pool(opened)
        for _ in range(MANY):
            pool.ask(b"GET / HTTP/1.1\r\n\r\n", lambda status, _body: told.append(status))
        async with asyncio.timeout(30):
            while len(told) < MANY:  # noqa: ASYNC110 - the pool has no event for it
                await asyncio.sleep(0.01)
        pool.ask(b"", lambda status, _body: told.append(status))
        pool.close()
    return Counter(told)


async def test_all_who_wait_are_told_when_every_connection_is_lost() -> None:
    told = await asked(answers_each=3)

    assert told == {200: 3 * TOGETHER, LOST: MANY + 1 - 3 * TOGETHER}
