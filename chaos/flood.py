"""Starts from a schedule that waits for nobody, in a process of its own.

`python -m chaos.flood` reads its orders from standard input and writes what came back to standard output. Its
loop has nothing else to do, so that what it measures is the program and not the crowd beside it.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from bench.load import LOST, Pool, Request, closed_loop, connect, open_loop, post

# Under what one address may have, and enough that the server's own bounds are what limits. There are no more
# than starts in a second: the server closes those that nobody uses.
CONNECTIONS_MAX: Final = 700
TOGETHER: Final = 64
# How long the answers to the last starts are waited for.
PATIENCE_S: Final = 10.0
PATH: Final = "/v1/verifications"
ROOT: Final = Path(__file__).resolve().parents[1]


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        per_s: Starts a second; None asks for the next one as soon as there is an answer.
        first: The first number.
    """

    port: int
    key: str
    per_s: float | None
    seconds: float
    first: int


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """What one start got, `LOST` being no answer.

    Attributes:
        took_s: From when it was due.
        at_s: From the beginning of the flood.
    """

    number: str
    status: int
    took_s: float
    at_s: float
    says_when: bool


async def flood(orders: Orders) -> list[Reply]:
    """Have it done by another process, and return what came back."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaos.flood"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        told, _ = await process.communicate(msgspec.json.encode(orders))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return msgspec.json.decode(told, type=list[Reply])


class _Flood:
    """What is asked and what came back."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self.began_s = time.perf_counter()
        self.asked: list[str] = []
        self.replies: list[Reply] = []

    def requests(self) -> Iterator[Request]:
        """Return starts of ever new numbers until the time is over."""
        self.began_s = time.perf_counter()
        while time.perf_counter() < self.began_s + self._orders.seconds:
            number = f"+{self._orders.first + len(self.asked)}"
            self.asked.append(number)
            yield Request(number, post(PATH, self._orders.key, b'{"to":"%s"}' % number.encode()))

    def note(self, number: str, due_s: float, status: int, body: bytes) -> None:
        says_when = b'"retry_after_s":' in body
        now_s = time.perf_counter()
        self.replies.append(Reply(number, status, now_s - due_s, now_s - self.began_s, says_when))

    async def by_schedule(self, per_s: float) -> None:
        pool = Pool(await connect(self._orders.port, min(CONNECTIONS_MAX, max(TOGETHER, int(per_s)))))
        await open_loop(
            self.requests(),
            per_s=per_s,
            send=lambda asked, due_s: pool.ask(asked.octets, partial(self.note, asked.subject, due_s)),
        )
        give_up_s = time.perf_counter() + PATIENCE_S
        while len(self.replies) < len(self.asked) and time.perf_counter() < give_up_s:  # noqa: ASYNC110 - the pool has no event for it
            await asyncio.sleep(0.01)
        pool.close()
        self.replies += [Reply("", LOST, PATIENCE_S, PATIENCE_S + self._orders.seconds, False)] * (
            len(self.asked) - len(self.replies)
        )

    async def one_after_the_other(self) -> None:
        await closed_loop(
            [self._orders.port],
            self.requests(),
            connections=TOGETHER,
            on_answer=lambda answer: self.note(answer.subject, answer.at_s, answer.status, answer.body),
        )


def main() -> None:
    """Do as ordered."""
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)
    crowd = _Flood(orders)
    asyncio.run(crowd.one_after_the_other() if orders.per_s is None else crowd.by_schedule(orders.per_s))
    sys.stdout.buffer.write(msgspec.json.encode(crowd.replies))


if __name__ == "__main__":
    main()
