"""The program under test of the calls: so many legs that speak without end, until it is stopped.

`python -m bench.speaking CALLS PORT [PORT ...]`: the calls are spread over these ports of 127.0.0.1.
"""

import asyncio
import gc
import resource
import sys
from itertools import cycle

import uvloop

from dastak.voice.sound.g711 import FRAME_OCTETS
from dastak.voice.sound.media import Media
from dastak.voice.sound.sdp import Audio, Codec, Direction, Ours

# Below what the system gives away by itself.
PORTS = range(10_000, 30_000)
OURS = Ours(address="127.0.0.1", port=0, session_id=1)
PROMPT = [bytes([place]) * FRAME_OCTETS for place in range(1, 100)]


def callee(port: int) -> Audio:
    return Audio(
        address="127.0.0.1",
        port=port,
        codec=Codec.PCMA,
        payload_type=8,
        telephone_event=101,
        direction=Direction.SENDRECV,
        rtcp_port=port + 1,
    )


async def speak(calls: int, ports: list[int]) -> None:
    keys: list[str] = []
    async with Media("127.0.0.1", PORTS) as media:
        for place in range(calls):
            leg = media.open(on_key=keys.append, on_end=lambda: None)
            leg.start(callee(ports[place % len(ports)]), OURS)
            leg.speak(cycle(PROMPT).__next__)
            # Calls do not begin in one instant.
            await asyncio.sleep(0.001)
        gc.collect()
        gc.freeze()
        await asyncio.Event().wait()


if __name__ == "__main__":
    # Two sockets a call are soon more than the 1,024 files of a shell.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(speak(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
