"""The program of the voice process, started by the main one: `-m dastak.voice_process SOCKET LEVEL STYLE`.

1. It ends when the main program closes its end of the socket, be it in order or by a crash. Signals to stop
   are the main program's business alone: a service manager sends them to both.
2. What is there at the start stays, and the garbage collector never looks at it again: its pauses are heard.
"""

import asyncio
import gc
import signal
import socket
import sys
from typing import Final, Literal, cast

from dastak.telemetry.logs import setup_logs
from dastak.voice.engine.open_files import FileLimit
from dastak.voice.engine.voice_engine import VoiceEngine
from dastak.voice.prompt_words import all_words
from dastak.voice.prompts import pack

COLLECT_AFTER: Final = 100_000


def main() -> None:
    """Run; the arguments hold no secret, for everybody on the machine can read them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    file, level, style = sys.argv[1:]
    setup_logs(level, cast(Literal["auto", "json", "human"], style))
    # Unpacked now: in a call that would be heard.
    for language in all_words():
        pack(language)
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    program = VoiceEngine(speech_of=pack, files=FileLimit()).serve(socket.socket(fileno=int(file)))
    if sys.platform == "win32":
        asyncio.run(program)
    else:
        import uvloop  # noqa: PLC0415 - not on every platform

        uvloop.run(program)


if __name__ == "__main__":
    main()
