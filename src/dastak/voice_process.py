"""The program of the voice process, started by the main one with a socket, how to log, and what to speak.

1. It ends when the main program closes its end of the socket, be it in order or by a crash. Signals to stop
   are the main program's business alone: a service manager sends them to both.
2. What is there at the start stays, and the garbage collector never looks at it again: its pauses are heard.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from typing import Final, Literal, cast

import msgspec

from dastak import precedence
from dastak.telemetry.logs import setup_logs
from dastak.voice.engine.open_files import FileLimit
from dastak.voice.engine.voice_engine import VoiceEngine
from dastak.voice.prompt_words import all_words
from dastak.voice.speech import FOLLOWED_EVERY_S, Sources, Speaking

COLLECT_AFTER: Final = 100_000


def main() -> None:
    """Run; the arguments hold no secret, for everybody on the machine can read them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    precedence.follow(os.getppid())
    file, level, style, sources = sys.argv[1:]
    setup_logs(level, cast(Literal["auto", "json", "human"], style))
    speaking = Speaking(msgspec.json.decode(sources, type=Sources))
    speaking.refresh()
    # Unpacked now: in a call that would be heard.
    for language in all_words():
        speaking.speech_of(language)
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    engine = VoiceEngine(speech_of=speaking.speech_of, files=FileLimit())
    program = _run(engine, speaking, socket.socket(fileno=int(file)))
    if sys.platform == "win32":
        asyncio.run(program)
    else:
        import uvloop  # noqa: PLC0415 - not on every platform

        uvloop.run(program)


async def _run(engine: VoiceEngine, speaking: Speaking, end: socket.socket) -> None:
    following = asyncio.get_running_loop().create_task(_follow(speaking))
    try:
        await engine.serve(end)
    finally:
        following.cancel()


async def _follow(speaking: Speaking) -> None:
    """Hear of recordings that have changed; to read them in a thread leaves the calls their pace."""
    while True:
        await asyncio.sleep(FOLLOWED_EVERY_S)
        await asyncio.to_thread(speaking.refresh)


if __name__ == "__main__":
    main()
