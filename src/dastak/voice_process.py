"""The program of the voice process, started by the main one.

It is told its socket, how to log, and where an operator's recordings and rendered brands are.

1. It ends when the main program closes its end of the socket, be it in order or by a crash. Signals to stop
   are the main program's business alone: a service manager sends them to both.
2. What is there at the start stays, and the garbage collector never looks at it again: its pauses are heard.
"""

import asyncio
import gc
import signal
import socket
import sys
from functools import partial
from typing import Final, Literal, cast

from dastak.flows.worker import every
from dastak.telemetry.logs import setup_logs
from dastak.voice.engine.open_files import FileLimit
from dastak.voice.engine.voice_engine import VoiceEngine
from dastak.voice.prompt_words import all_words
from dastak.voice.speech import Speaking

COLLECT_AFTER: Final = 100_000
REFRESH_S: Final = 2.0


def main() -> None:
    """Run; the arguments hold no secret, for everybody on the machine can read them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    file, level, style, *places = sys.argv[1:]
    setup_logs(level, cast(Literal["auto", "json", "human"], style))
    # Unpacked now: in a call that would be heard.
    spoken = Speaking.at(*places)
    spoken.refresh()
    for language in all_words():
        spoken.speech_of(language)
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    engine = VoiceEngine(speech_of=spoken.speech_of, files=FileLimit())
    program = _serve(engine, socket.socket(fileno=int(file)), spoken)
    if sys.platform == "win32":
        asyncio.run(program)
    else:
        import uvloop  # noqa: PLC0415 - not on every platform

        uvloop.run(program)


async def _serve(engine: VoiceEngine, ours: socket.socket, spoken: Speaking) -> None:
    """Make calls until the main program is gone, and follow what changes of the recordings."""
    async with every(REFRESH_S, partial(asyncio.to_thread, spoken.refresh)):
        await engine.serve(ours)


if __name__ == "__main__":
    main()
