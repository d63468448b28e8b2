"""Make recordings fit the telephone in a process of its own, so that no code waits for the arithmetic.

A list of WAV files comes in as MessagePack, and one of what became of each goes out: whole frames of G.711
u-law, or in words what is wrong.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec

from dastak.core.errors import InvalidRequest
from dastak.voice.recordings import telephone

# Codes come first.
NICENESS: Final = 10
WORK_S_MAX: Final = 60.0


class Made(NamedTuple):
    """What became of a recording.

    Attributes:
        frames: Whole frames of G.711 u-law, if it can be used.
        fault: What is wrong with it otherwise.
    """

    frames: bytes = b""
    fault: str = ""


def make(wav: bytes) -> Made:
    """Return a recording as the telephone carries it, or what is wrong with it."""
    try:
        return Made(telephone(wav))
    except ValueError as error:
        return Made(fault=str(error))


async def made_apart(wavs: Sequence[bytes]) -> Sequence[Made]:
    """Return what became of each recording, made in a process that ends with it.

    Raises:
        InvalidRequest: It takes too long.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WORK_S_MAX):
            octets, _ = await process.communicate(msgspec.msgpack.encode(wavs))
    except TimeoutError as error:
        raise InvalidRequest("It takes too long to make these fit; send fewer at once.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return msgspec.msgpack.decode(octets, type=list[Made])


def main() -> None:
    """Read all, make all, write all."""
    with suppress(AttributeError, OSError):
        os.nice(NICENESS)
    wavs = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=list[bytes])
    sys.stdout.buffer.write(msgspec.msgpack.encode([make(wav) for wav in wavs]))


if __name__ == "__main__":
    main()
