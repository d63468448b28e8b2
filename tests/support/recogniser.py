"""Whisper, which nobody here trained, writes down what recordings say; it knows English best."""

import json
import re
import subprocess
import wave
from pathlib import Path
from typing import Final

from dastak.voice.prompt_words import all_words
from dastak.voice.sound.g711 import ulaw_to_pcm
from tests.support.needed import PEERS, missing

PYTHON: Final = PEERS.parents[1] / ".recogniser-venv" / "bin" / "python"
LISTEN_S_MAX: Final = 300
NUMBER_WORDS: Final = {word: str(digit) for digit, word in enumerate(all_words()["en"].digits)}
# How Whisper writes a digit where it expects a word.
HOMOPHONES: Final = {"oh": "0", "o": "0", "to": "2", "too": "2", "for": "4", "ate": "8"}


def write(path: Path, ulaw: bytes) -> Path:
    """Write a recording as a telephone made it."""
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(8000)
        recording.writeframes(ulaw_to_pcm(ulaw))
    return path


def listen(recordings: list[Path]) -> list[str]:
    """Return the text of each recording; skip loudly where nobody can listen."""
    if not (PYTHON.parents[1] / ".installed").exists():
        missing("needs Whisper: tools/recogniser-venv.sh")
    program = PEERS / "recogniser" / "listen.py"
    done = subprocess.run(
        [PYTHON, program, *recordings], capture_output=True, text=True, check=False, timeout=LISTEN_S_MAX
    )
    assert done.returncode == 0, done.stderr
    heard: list[str] = json.loads(done.stdout)
    return heard


def digits(text: str) -> str:
    """Return the digits of a text, whether written as figures or as words."""
    known = NUMBER_WORDS | HOMOPHONES
    words = re.findall(r"[a-z]+|\d", text.lower())
    return "".join(word if word.isdigit() else known.get(word, "") for word in words)
