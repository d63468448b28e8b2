"""Work a database hard and say on standard output what was acknowledged, until somebody kills the process.

One line each, after the answer: `opened <id>`, `missed <id>`, `approved <id>`.
"""

import asyncio
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from dastak.core.verification import Typed
from tests.support.samples import checking, some_msisdn, some_opening, some_verification
from tests.support.stores import open_sqlite

CLIENTS = 32


async def client(store) -> None:
    chance = random.Random()
    while True:
        now = datetime.now(UTC)
        verification = some_verification(
            id=os.urandom(16), msisdn=some_msisdn(chance.randrange(10**8)), created_at=now
        )
        await store.open(some_opening(verification))
        say("opened", verification.id)
        for _ in range(chance.randrange(3)):
            await store.decide(verification.id, checking(Typed.WRONG, now))
            say("missed", verification.id)
        judged = await asyncio.gather(
            *(store.decide(verification.id, checking(Typed.RIGHT, now)) for _ in range(2))
        )
        for _ in filter(lambda judgement: judgement.approved, judged):
            say("approved", verification.id)


def say(word: str, verification_id: bytes) -> None:
    # One write of one line: a pipe takes it whole or not at all, whenever the process is killed.
    os.write(1, f"{word} {verification_id.hex()}\n".encode())


async def main(home: Path) -> None:
    async with open_sqlite(home) as store:
        await asyncio.gather(*(client(store) for _ in range(CLIENTS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
